"""Runs the probes of the containers that live, each in a task of its own, and tells verdicts and failures."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from grpclib.client import Channel
from grpclib.const import Cardinality
from grpclib.exceptions import GRPCError, StreamTerminatedError

from pelamis.kubelet import httpget, probes
from pelamis.kubelet.actions import Probed, ProbeKind
from pelamis.kubelet.cri.client import WireCodec
from pelamis.kubelet.cri.runtime import CriError, Runtime
from pelamis.kubelet.health_types import HealthCheckRequest, HealthCheckResponse

USER_AGENT = "kube-probe/1.37"
REDIRECTED = "Probe terminated redirects, Response body: "
"""What the output of a probe begins with that led away from the pod; it counts as a success."""
KINDS: tuple[ProbeKind, ...] = ("startup", "liveness", "readiness")
ATTEMPTS = 3


class Sink(Protocol):
    """What the prober tells: verdicts go to the pod's machine, failures become events."""

    def verdict(self, uid: str, event: Probed) -> None: ...

    def note(self, uid: str, container: str, type_: str, reason: str, message: str) -> None: ...


@dataclass(slots=True)
class Target:
    """A container being probed. host: address for network probes. ready_to_probe: startup has succeeded."""

    uid: str
    container: Any
    id: str
    host: str
    started: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: dict[ProbeKind, asyncio.Task[None]] = field(default_factory=dict)


async def check(runtime: Runtime, target: Target, probe: Any) -> tuple[bool, str]:
    """(success, output). Raises OSError or ValueError when the probe itself could not be carried out."""
    timeout = max(probe.timeoutSeconds, 1)
    if probe.exec is not None:
        return await _exec(runtime, target.id, probe.exec.command, timeout)
    if probe.httpGet is not None:
        url = probes.http_url(probe.httpGet, target.container, target.host)
        try:
            answer = await httpget.get(url, probes.http_headers(probe.httpGet, USER_AGENT), timeout)
        except httpget.GetError as error:
            return False, str(error)
        if 300 <= answer.status < 400:
            return True, f"{REDIRECTED}{answer.body.decode('utf-8', 'replace')}"
        if 200 <= answer.status < 400:
            return True, answer.body.decode("utf-8", "replace")
        return False, f"HTTP probe failed with statuscode: {answer.status}"
    if probe.tcpSocket is not None:
        port = probes.port_of(target.container, probe.tcpSocket.port)
        return await _tcp(probe.tcpSocket.host or target.host, port, timeout)
    if probe.grpc is not None:
        return await _grpc(target.host, probe.grpc.port, probe.grpc.service or "", timeout)
    raise ValueError(f"missing probe handler for {target.container.name}")


async def _exec(runtime: Runtime, id_: str, command: Any, timeout: int) -> tuple[bool, str]:
    try:
        answer = await runtime.exec_sync(id_, command, timeout)
    except CriError as error:
        if error.code == "DeadlineExceeded":
            return False, f'command timed out: "{" ".join(command)}" timed out after {timeout}s'
        raise OSError(str(error)) from error
    output = (answer.stdout + answer.stderr)[: httpget.BODY_LIMIT].decode("utf-8", "replace")
    return answer.exit_code == 0, output


async def _tcp(host: str, port: int, timeout: float) -> tuple[bool, str]:
    try:
        async with asyncio.timeout(timeout):
            _, writer = await asyncio.open_connection(host, port)
    except OSError as error:
        return False, httpget.explain(error, httpget.join(host, port))
    writer.transport.abort()
    return True, ""


async def _grpc(host: str, port: int, service: str, timeout: float) -> tuple[bool, str]:
    channel = Channel(host, port, codec=WireCodec())
    address = httpget.join(host, port)
    request = HealthCheckRequest(service=service)
    try:
        async with (
            asyncio.timeout(timeout),
            channel.request(
                "/grpc.health.v1.Health/Check", Cardinality.UNARY_UNARY, HealthCheckRequest, HealthCheckResponse
            ) as stream,
        ):
            await stream.send_message(request, end=True)
            answer = await stream.recv_message()
    except TimeoutError:
        return False, f'timeout: health rpc did not complete within {timeout}s: "{address}"'
    except GRPCError as error:
        if error.status.name == "UNIMPLEMENTED":
            return False, f"error: this server does not implement the grpc health protocol: {error.message}"
        return False, f"error: health rpc probe failed: {error.message}"
    except (OSError, StreamTerminatedError) as error:
        return False, f'error: failed to connect service "{address}": {error}'
    finally:
        channel.close()
    status = answer.status if answer is not None else 0
    if status == 1:
        return True, "service healthy"
    name = {0: "UNKNOWN", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}.get(status, str(status))
    return False, f'service unhealthy (responded with "{name}")'


class Prober:
    def __init__(self, runtime: Runtime, sink: Sink, tasks: asyncio.TaskGroup, now: Callable[[], float]) -> None:
        self._runtime = runtime
        self._sink = sink
        self._group = tasks
        self._now = now
        self._targets: dict[str, Target] = {}

    def start(self, target: Target, started_at: float, *, startup_done: bool, ready: bool) -> None:
        """Begin the container's probes; the two flags say what held before the agent was started again."""
        self.stop(target.id)
        self._targets[target.id] = target
        if startup_done:
            target.started.set()
        known: dict[ProbeKind, bool | None] = {"startup": None, "liveness": True, "readiness": ready or None}
        for kind in KINDS:
            probe = getattr(target.container, f"{kind}Probe")
            if probe is None or (kind == "startup" and startup_done):
                continue
            clock = probes.clock(kind, probe, started_at, self._now(), known[kind])
            name = f"probe {kind} {target.container.name} {target.uid}"
            target.tasks[kind] = self._group.create_task(self._run(target, probe, clock), name=name)

    def stop(self, id_: str, kinds: tuple[ProbeKind, ...] = ()) -> None:
        """kinds () = all."""
        target = self._targets.get(id_)
        if target is None:
            return
        for kind in kinds or KINDS:
            task = target.tasks.pop(kind, None)
            if task is not None and task is not asyncio.current_task():
                task.cancel()
        if not target.tasks:
            del self._targets[id_]

    async def _run(self, target: Target, probe: Any, clock: probes.ProbeClock) -> None:
        if clock.kind != "startup":
            await target.started.wait()
            clock.next_at = max(clock.next_at, self._now()) if clock.next_at < self._now() else clock.next_at
        while not clock.resting:
            await asyncio.sleep(max(clock.next_at - self._now(), 0.0))
            ok, output, errored = await self._attempt(target, probe)
            word = clock.kind.capitalize()
            if errored:
                self._sink.note(
                    target.uid,
                    target.container.name,
                    "Warning",
                    "Unhealthy",
                    f"{word} probe errored and resulted in unknown state: {output}",
                )
                clock.next_at = max(clock.next_at + clock.period_s, self._now())
                continue
            if not ok:
                text = f"{word} probe failed: {output}"
                self._sink.note(target.uid, target.container.name, "Warning", "Unhealthy", text)
            elif output.startswith(REDIRECTED):
                text = f"{word} probe warning: {output}"
                self._sink.note(target.uid, target.container.name, "Warning", "ProbeWarning", text)
            verdict = clock.result(ok, self._now())
            if verdict is None:
                continue
            if clock.kind == "startup" and verdict:
                target.started.set()
            name = target.container.name
            self._sink.verdict(target.uid, Probed(name, target.id, clock.kind, verdict))

    async def _attempt(self, target: Target, probe: Any) -> tuple[bool, str, bool]:
        """(success, output, could not be carried out)."""
        message = ""
        for _ in range(ATTEMPTS):
            try:
                ok, output = await check(self._runtime, target, probe)
                return ok, output, False
            except (OSError, ValueError) as error:
                message = str(error)
        return False, message, True
