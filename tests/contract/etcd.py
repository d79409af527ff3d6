"""A real etcd for one test: its own directory, its own ports, ended with the test."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def server(directory: Path) -> Iterator[str]:
    """The URL of an empty one-member cluster that answers."""
    binary = shutil.which("etcd")
    if binary is None:
        if os.environ.get("CI"):
            pytest.fail("etcd is not installed: apt-get install etcd-server")
        pytest.skip("etcd is not installed: apt-get install etcd-server")
    client, peer = (f"http://127.0.0.1:{_free_port()}" for _ in range(2))
    command = [binary, "--data-dir", str(directory / "etcd"), "--name", "one", "--logger", "zap"]
    command += ["--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peer]
    command += ["--initial-advertise-peer-urls", peer, "--initial-cluster", f"one={peer}"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if ("serving" in line and "client traffic" in line) or "serving insecure client requests" in line:
                break
        else:
            pytest.fail("etcd ended before it served")
        yield client
    finally:
        process.terminate()
        process.communicate()
