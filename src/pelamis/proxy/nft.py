"""Carries rules to the kernel through the ``nft`` program, one transaction at a time; and connection tracking."""

from __future__ import annotations

import asyncio
import shutil
from typing import Protocol


class FilterError(Exception):
    """The kernel or ``nft`` refused a transaction; nothing of it is in force."""


class PacketFilter(Protocol):
    """The seam: ``apply`` is all or nothing. ``Recorded`` is its twin in memory."""

    async def apply(self, commands: str) -> None: ...

    async def forget_udp(self, address: str, port: int, endpoint: str) -> None: ...


class Nft:
    """The real one. ``program`` defaults to what PATH (or /usr/sbin) gives."""

    def __init__(self, program: str | None = None) -> None:
        self.program = program or shutil.which("nft") or "/usr/sbin/nft"
        self.conntrack = shutil.which("conntrack") or shutil.which("conntrack", path="/usr/sbin")

    async def apply(self, commands: str) -> None:
        process = await asyncio.create_subprocess_exec(
            self.program,
            "-f",
            "-",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, error = await process.communicate(commands.encode())
        if process.returncode:
            raise FilterError(error.decode(errors="replace").strip()[:2000])

    async def forget_udp(self, address: str, port: int, endpoint: str) -> None:
        """Drops tracked UDP connections, so that the next packet is routed anew. Without conntrack they time out."""
        if self.conntrack is None:
            return
        arguments = ["-D", "-p", "udp", "--orig-port-dst", str(port)]
        if address:
            arguments += ["--orig-dst", address]
        if endpoint:
            arguments += ["--dst-nat", endpoint]
        process = await asyncio.create_subprocess_exec(
            self.conntrack, *arguments, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        await process.wait()


class Recorded:
    """The twin: keeps what it was given."""

    def __init__(self) -> None:
        self.transactions: list[str] = []
        self.forgotten: list[tuple[str, int, str]] = []
        self.refuse = 0
        """So many of the next transactions fail."""

    async def apply(self, commands: str) -> None:
        if self.refuse:
            self.refuse -= 1
            raise FilterError("refused")
        self.transactions.append(commands)

    async def forget_udp(self, address: str, port: int, endpoint: str) -> None:
        self.forgotten.append((address, port, endpoint))
