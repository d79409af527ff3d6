"""kubectl's streams by the oldest and the newest kubectl: logs, exec on a terminal, attach, cp, port-forward."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.lab import BUSYBOX, Lab, container, fetch, free_port, kubectls, pod, until, web

pytestmark = pytest.mark.e2e
PROGRAMS = kubectls()
both = pytest.mark.parametrize("program", PROGRAMS, ids=[Path(program).name for program in PROGRAMS])


@pytest.fixture(scope="module")
def talk(lab: Lab) -> Any:
    echo = container('while read line; do echo "got $line"; done', name="echo", stdin=True)
    lab.apply(pod("talk", web(), echo))
    lab.ready("talk")
    yield lab
    lab.kubectl("delete", "pod", "talk", "--wait=false")


class Terminal:
    """A program on a pseudo terminal, as a person has it."""

    def __init__(self, lab: Lab, program: str, *args: str) -> None:
        self.master, slave = pty.openpty()
        import fcntl
        import struct
        import termios

        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", 33, 101, 0, 0))
        self.process = lab.start_kubectl(
            *args, program=program, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        )
        os.close(slave)
        self.seen = ""

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def expect(self, pattern: str, seconds: float = 20) -> str:
        end = time.monotonic() + seconds
        while not re.search(pattern, self.seen):
            left = end - time.monotonic()
            assert left > 0 and select.select([self.master], [], [], left)[0], f"{pattern!r} not in {self.seen!r}"
            try:
                self.seen += os.read(self.master, 65536).decode(errors="replace")
            except OSError:
                raise AssertionError(f"ended before {pattern!r}: {self.seen!r}") from None
        found, self.seen = self.seen, ""
        return found

    def end(self) -> int:
        code = self.process.wait(20)
        os.close(self.master)
        return code


@both
def test_logs(talk: Lab, program: str) -> None:
    count = "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); [ $((i % 500)) = 0 ] && sleep 0.05; done; exit 0"
    name = f"count-{Path(program).suffix[1:] or 'x'}"
    talk.apply(pod(name, container(count), restartPolicy="Never"))
    until(lambda: talk.get("pods", name)["status"].get("phase") in ("Running", "Succeeded"), "it starts")
    out = talk.kubectl("logs", "-f", name, program=program)
    assert out.splitlines() == [f"line {i}" for i in range(3000)]
    assert talk.kubectl("logs", name, "--tail=2", program=program) == "line 2998\nline 2999\n"
    stamped = talk.kubectl("logs", name, "--tail=1", "--timestamps", program=program)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z line 2999\n", stamped)
    assert talk.kubectl("logs", name, "--limit-bytes=6", program=program) == "line 0"
    assert "line 0" in talk.kubectl("logs", name, "--since=1h", "--all-containers", "--prefix", program=program)
    talk.kubectl("delete", "pod", name, "--wait=false")


@both
def test_exec(talk: Lab, program: str) -> None:
    def run(*args: str, stdin: str = "", ok: bool = True) -> str:
        return talk.kubectl("exec", "talk", "-c", "main", *args, program=program, stdin=stdin, ok=ok)

    assert run("--", "echo", "a b") == "a b\n"
    assert run("-i", "--", "cat", stdin="x" * 300_000) == "x" * 300_000
    assert run("--", "sh", "-c", "echo out; echo err >&2; exit 7", ok=False).splitlines() == [
        "out",
        "err",
        "command terminated with exit code 7",
    ]
    missing = run("--", "nope", ok=False)
    assert 'exec: "nope": executable file not found' in missing
    assert "container nobody is not valid for pod talk" in talk.kubectl(
        "exec", "talk", "-c", "nobody", "--", "true", program=program, ok=False
    )


@both
def test_exec_on_a_terminal(talk: Lab, program: str) -> None:
    terminal = Terminal(talk, program, "exec", "-it", "talk", "-c", "main", "--", "sh")
    terminal.expect(r"[#$] ")
    terminal.type("stty size; tty\n")
    terminal.expect(r"33 101[\s\S]*/dev/pts/\d")
    terminal.type("echo $((6*7))\n")
    terminal.expect(r"\n42")
    terminal.type("sleep 1000\n")
    terminal.expect("sleep 1000")
    time.sleep(0.2)
    terminal.type("\x03")  # Ctrl-C reaches the program inside
    terminal.expect(r"[#$] ")
    terminal.type("exit 5\n")
    terminal.expect("exit code 5")
    assert terminal.end() == 5


@both
def test_attach(talk: Lab, program: str) -> None:
    process = talk.start_kubectl("attach", "-i", "talk", "-c", "echo", program=program, stdin=subprocess.PIPE)
    assert process.stdin is not None and process.stdout is not None
    seen = b""
    end = time.monotonic() + 20
    while b"got hello" not in seen and time.monotonic() < end:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(b"hello\n")
            process.stdin.flush()
        if select.select([process.stdout], [], [], 0.5)[0]:
            seen += os.read(process.stdout.fileno(), 4096)
    process.kill()
    process.communicate()
    assert b"got hello" in seen


@both
def test_run_interactively(talk: Lab, program: str) -> None:
    name = f"run-{Path(program).suffix[1:] or 'x'}"
    flags = ("-i", "--rm", "--restart=Never")
    script = "sleep 1; read x; echo got $x"
    out = talk.kubectl(
        "run", name, f"--image={BUSYBOX}", *flags, "--", "sh", "-c", script, program=program, stdin="word\n"
    )
    assert "got word" in out and f'pod "{name}" deleted' in out


@both
def test_cp(talk: Lab, program: str, tmp_path: Path) -> None:
    there, back = tmp_path / "there", tmp_path / "back"
    there.mkdir()
    (there / "big").write_bytes(os.urandom(3_000_000))
    (there / "small").write_text("hello")
    talk.kubectl("cp", str(there), "talk:/tmp/copied", "-c", "main", program=program)
    assert talk.sh("talk", "cat /tmp/copied/small", container="main") == "hello"
    talk.kubectl("cp", "talk:/tmp/copied", str(back), "-c", "main", program=program)
    assert (back / "big").read_bytes() == (there / "big").read_bytes()
    talk.sh("talk", "rm -r /tmp/copied", container="main")


@both
def test_port_forward(talk: Lab, program: str) -> None:
    port = free_port()
    process = talk.start_kubectl("port-forward", "pod/talk", f"{port}:80", program=program)
    try:
        until(lambda: fetch(f"http://127.0.0.1:{port}/") == (200, "talk\n"), "the forwarded port answers")
        for _ in range(30):
            assert fetch(f"http://127.0.0.1:{port}/") == (200, "talk\n")
        assert process.poll() is None
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)


@both
def test_debug_adds_a_container(talk: Lab, program: str) -> None:
    name = f"dbg-{Path(program).suffix[1:] or 'x'}"
    script = "sleep 1; ps | grep -c '[h]ttpd'; wget -qO- http://127.0.0.1/"
    target = (f"--image={BUSYBOX}", f"--container={name}", "--target=main")
    process = talk.start_kubectl(
        "debug", "talk", *target, "-i", "--", "sh", "-c", script, program=program, stdin=subprocess.PIPE
    )
    assert process.stdin is not None and process.stdout is not None
    out = process.stdout.read().decode()  # standard input stays open: its end would detach kubectl
    process.communicate(timeout=20)
    assert out.endswith("\n1\ntalk\n"), out
    names = [c["name"] for c in talk.get("pods", "talk")["spec"]["ephemeralContainers"]]
    assert name in names


@both
def test_proxy(talk: Lab, program: str) -> None:
    port = free_port()
    process = talk.start_kubectl("proxy", f"--port={port}", program=program)
    try:
        url = f"http://127.0.0.1:{port}"
        until(lambda: fetch(url + "/version")[0] == 200, "the proxy answers")
        assert '"kind":"Pod"' in fetch(url + "/api/v1/namespaces/default/pods/talk")[1].replace(" ", "")
        assert fetch(url + "/api/v1/namespaces/default/pods/talk:80/proxy/") == (200, "talk\n")
    finally:
        process.terminate()
        process.communicate(timeout=10)
