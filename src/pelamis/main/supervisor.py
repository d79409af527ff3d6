"""The process that ``pelamis up`` leaves behind: it starts containerd, the server and the agent and keeps them up.

It holds the API's listening socket, so a restarted server misses no connection: they wait in the kernel's queue. A
child that ends is started again after a back-off (0.1 s doubling to 10 s, forgotten after a minute of health). When
the supervisor dies, the kernel ends its children; containers go on, and the next start adopts them.

Imports are kept small on purpose: this process lives as long as the cluster.
"""

from __future__ import annotations

import ctypes
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from pelamis.main.config import Cluster, ConfigError, load

_PR_SET_PDEATHSIG = 1
_IP_FREEBIND = 15
_LOG_LIMIT = 20 * 2**20
"""Bytes after which a component's log is moved to ``<name>.log.1`` at its next start."""
_FIRST_BACKOFF_S, _LAST_BACKOFF_S, _HEALTHY_S = 0.1, 10.0, 60.0
_STOP_S = 15.0
"""How long children may take to stop before they are killed."""


class Child:
    """One supervised process."""

    def __init__(self, name: str, command: Callable[[], Sequence[str]], passed: Sequence[int] = ()) -> None:
        self.name = name
        self.command = command
        self.passed = tuple(passed)
        self.process: subprocess.Popen[bytes] | None = None
        self.started = 0.0
        self.backoff = _FIRST_BACKOFF_S
        self.due: float | None = None
        self.notes: int | None = None
        """Read end of the pipe through which the child says what it has reached."""


def _pipe() -> tuple[int, int]:
    ends = os.pipe()
    for end in ends:
        os.set_blocking(end, False)
    return ends


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def listen(cluster: Cluster) -> list[socket.socket]:
    """The API's sockets: loopback always, and the advertised address where it is another one."""
    hosts = dict.fromkeys(("127.0.0.1", cluster.advertise))
    sockets: list[socket.socket] = []
    for host in hosts:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if sys.platform == "linux":
            sock.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)  # the bridge comes up with the first pod
        try:
            sock.bind((host, cluster.port))
        except PermissionError:
            raise ConfigError(f"port {cluster.port} needs root: choose one above 1023 with --port") from None
        except OSError as error:
            for opened in sockets:
                opened.close()
            sock.close()
            raise ConfigError(
                f"port {cluster.port} of {host} is taken by another process ({error.strerror}). "
                f"See which with `ss -ltnp 'sport = :{cluster.port}'`, stop it, or choose another port: --port N"
            ) from None
        sock.listen(4096)
        sockets.append(sock)
    return sockets


class Supervisor:
    """``say`` gets one line for each thing reached: ``started``, ``api``, ``node``, ``failed <component> <why>``."""

    def __init__(self, cluster: Cluster, say: Callable[[str], None]) -> None:
        self.cluster = cluster
        self.say = say
        self.selector = selectors.DefaultSelector()
        self.stopping = False
        self.failures = 0
        self.wake_r, wake_w = _pipe()
        signal.set_wakeup_fd(wake_w)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP):
            signal.signal(number, lambda *_: None)
        self.selector.register(self.wake_r, selectors.EVENT_READ, None)
        self.sockets = listen(cluster)
        fds = [sock.fileno() for sock in self.sockets]
        python = [sys.executable, "-m"]
        server = [*python, "pelamis.main.server", cluster.data, ",".join(map(str, fds))]
        self.children = [Child("server", lambda: server, fds)]
        if cluster.node:
            from pelamis.main.containerd import prepare

            self.children.insert(0, Child("containerd", lambda: prepare(cluster)))
            agent = Child("agent", lambda: [*python, "pelamis.main.agent", cluster.data])
            self.children.append(agent)
        if cluster.hollow_nodes is not None:
            self.children.append(self.hollow())

    def hollow(self) -> Child:
        return Child("hollow", lambda: [sys.executable, "-m", "pelamis.main.hollow", self.cluster.data])

    def run(self) -> None:
        self.cluster.run.mkdir(parents=True, exist_ok=True)
        self.cluster.path("logs").mkdir(parents=True, exist_ok=True)
        self.cluster.pid_file.write_text(f"{os.getpid()}\n")
        if self.cluster.node:
            (self.cluster.run / "home").write_text(self.cluster.data + "\n")
        self.say("started")
        for child in self.children:
            if child.name not in ("agent", "hollow"):
                self.start(child)
        while not self.stopping:
            due = [child.due for child in self.children if child.due is not None]
            timeout = max(0.0, min(due) - time.monotonic()) if due else None
            for key, _ in self.selector.select(timeout):
                if key.fd == self.wake_r:
                    self.on_signals(os.read(self.wake_r, 256))
                else:
                    self.on_note(key.data)
            now = time.monotonic()
            for child in self.children:
                if child.due is not None and child.due <= now and not self.stopping:
                    self.start(child)
        self.stop()

    def start(self, child: Child) -> None:
        child.due = None
        log = self.cluster.path("logs", f"{child.name}.log")
        if log.exists() and log.stat().st_size > _LOG_LIMIT:
            log.replace(log.with_suffix(".log.1"))
        notes_r, notes_w = _pipe()
        environment = {**os.environ, "PELAMIS_NOTIFY_FD": str(notes_w), "PYTHONUNBUFFERED": "1"}
        with log.open("ab") as out:
            child.process = subprocess.Popen(
                child.command(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=environment,
                pass_fds=(*child.passed, notes_w),
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,
                start_new_session=True,
                cwd="/",
            )
        os.close(notes_w)
        child.notes = notes_r
        child.started = time.monotonic()
        self.selector.register(notes_r, selectors.EVENT_READ, child)
        (self.cluster.run / f"{child.name}.pid").write_text(f"{child.process.pid}\n")

    def on_note(self, child: Child) -> None:
        assert child.notes is not None
        data = os.read(child.notes, 65536)
        if not data:
            self.forget_notes(child)
            return
        for line in data.decode(errors="replace").splitlines():
            if line == "keys":
                for other in self.children:
                    if other.name in ("agent", "hollow") and other.process is None and other.due is None:
                        self.start(other)
            else:
                self.say(line)

    def forget_notes(self, child: Child) -> None:
        if child.notes is not None:
            self.selector.unregister(child.notes)
            os.close(child.notes)
            child.notes = None

    def on_signals(self, numbers: bytes) -> None:
        if signal.SIGTERM in numbers or signal.SIGINT in numbers:
            self.stopping = True
            return
        if signal.SIGHUP in numbers:
            self.reload()
        for child in self.children:
            if child.process is None or child.process.poll() is None:
                continue
            code = child.process.returncode
            self.forget_notes(child)
            child.process = None
            if child.name == "hollow" and code == 0 and not self.cluster.hollow_nodes:
                continue  # the last hollow node is gone
            now = time.monotonic()
            if now - child.started > _HEALTHY_S:
                child.backoff = _FIRST_BACKOFF_S
            child.due = now + child.backoff
            child.backoff = min(child.backoff * 2, _LAST_BACKOFF_S)
            print(f"{child.name} ended ({_how(code)}); starting it again", flush=True)
            if child.backoff > 4 * _FIRST_BACKOFF_S:
                self.say(f"failed {child.name} {_how(code)}")

    def reload(self) -> None:
        """The cluster's file has changed: another number of hollow nodes, or others."""
        try:
            found = load(Path(self.cluster.data))
        except ConfigError as error:
            print(f"cluster.json cannot be read: {error}", flush=True)
            return
        if found is None:
            return
        self.cluster = found
        child = next((c for c in self.children if c.name == "hollow"), None)
        if child is None:
            child = self.hollow()
            self.children.append(child)
        child.backoff = _FIRST_BACKOFF_S
        if child.process is None:
            self.start(child)
        else:
            child.process.terminate()  # it ends, and is started anew

    def stop(self) -> None:
        """Agent first, then server, then containerd: nobody loses who they talk to."""
        for child in reversed(self.children):
            if child.process is None:
                continue
            child.process.terminate()
            try:
                child.process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
            (self.cluster.run / f"{child.name}.pid").unlink(missing_ok=True)
        for sock in self.sockets:
            sock.close()
        self.cluster.pid_file.unlink(missing_ok=True)


def _how(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"


def running(cluster: Cluster) -> int | None:
    """The pid of the cluster's supervisor, None when it does not run."""
    try:
        pid = int(cluster.pid_file.read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes() if sys.platform == "linux" else b"pelamis"
        os.kill(pid, 0)
    except PermissionError:
        pass  # another user's
    except (OSError, ValueError):
        return None
    return pid if b"pelamis" in command else None


def notifier() -> Callable[[str], None]:
    """For a child: tells the supervisor what has been reached; does nothing when run by hand."""
    fd = int(os.environ.get("PELAMIS_NOTIFY_FD", "-1"))

    def say(line: str) -> None:
        if fd >= 0:
            try:
                os.write(fd, line.encode() + b"\n")
            except OSError:
                pass

    return say


def main() -> None:
    """argv: the data directory. Environment: PELAMIS_NOTIFY_FD, where to say what has been reached."""
    cluster = load(Path(sys.argv[1]))
    say = notifier()
    if cluster is None:
        raise SystemExit(f"{sys.argv[1]} holds no cluster")
    try:
        Supervisor(cluster, say).run()
    except ConfigError as error:
        say(f"error {error}")
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
