"""Unix sockets: taking a path safely, and who is at the other end."""

from __future__ import annotations

import os
import socket
import stat
import struct
from typing import NamedTuple

from pelamis.net.httpserver import Server


class Peer(NamedTuple):
    """The process at the other end of a Unix socket, as the kernel saw it when it connected."""

    pid: int
    uid: int
    gid: int


def peer(sock: socket.socket) -> Peer | None:
    """None where the system cannot tell."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return None
    return Peer(*struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, option, struct.calcsize("3i"))))


def in_use(path: str) -> bool:
    """Does somebody answer at ``path``?"""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(path)
        except OSError:
            return False
    return True


async def serve(server: Server, path: str, mode: int = 0o600) -> None:
    """Listen at ``path``, replacing a stale socket. Raises OSError when a live process holds it."""
    try:
        if stat.S_ISSOCK(os.stat(path).st_mode):
            if in_use(path):
                raise OSError(f"another process listens at {path}")
            os.unlink(path)
    except FileNotFoundError:
        pass
    mask = os.umask(0o177)
    try:
        await server.listen_unix(path)
    finally:
        os.umask(mask)
    os.chmod(path, mode)
