"""The kubelet's own HTTPS endpoints, as the API server and metrics collectors use them.

A caller is a client certificate of the cluster's CA or a bearer token that the API server reviews; what it may do is
asked of the API server too (the ``nodes`` resource with the subresource that belongs to the path), and remembered for a
while. exec, attach and portForward are handed to the runtime's streaming server byte for byte.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qsl, unquote

import msgspec

from pelamis.base.clock import parse_rfc3339
from pelamis.base.errors import StatusError
from pelamis.kubelet import config, logs, metrics, stats
from pelamis.kubelet.cri import types as cri
from pelamis.kubelet.cri.runtime import CriError
from pelamis.kubelet.splice import splice
from pelamis.net import tls
from pelamis.net.http1 import PeerGone, Request, Response
from pelamis.net.httpserver import Server

if TYPE_CHECKING:
    from pelamis.client.types import Client
    from pelamis.kubelet.run import Kubelet
    from pelamis.kubelet.settings import KubeletConfig
    from pelamis.kubelet.worker import Worker

log = logging.getLogger("pelamis.kubelet.server")
ALLOWED_S, DENIED_S, TOKEN_S = 300.0, 30.0, 120.0
MASTERS = "system:masters"
TEXT = "text/plain; charset=utf-8"
_encode = msgspec.json.Encoder().encode

User = tuple[str, tuple[str, ...], str]
"""(name, groups, uid)."""


def subresources(path: str) -> tuple[str, ...]:
    """Subresources of ``nodes`` that allow a path: any of them is enough, the narrowest first."""
    first = path.strip("/").split("/")[0]
    if first == "stats":
        return ("stats",)
    if first == "metrics":
        return ("metrics",)
    if first == "logs":
        return ("log",)
    if first == "checkpoint":
        return ("checkpoint",)
    if first in ("pods", "runningpods"):
        return ("pods", "proxy")
    if first == "healthz":
        return ("healthz", "proxy")
    if first == "configz":
        return ("configz", "proxy")
    return ("proxy",)


class Asked(Protocol):
    """The kubelet that is asked."""

    @property
    def client(self) -> Client: ...
    @property
    def now(self) -> Callable[[], float]: ...
    @property
    def settings(self) -> KubeletConfig: ...


class Gate:
    """Who is asking, and may they."""

    def __init__(self, kubelet: Asked) -> None:
        self._kubelet = kubelet
        self._users: dict[str, tuple[float, User | None]] = {}
        self._answers: dict[tuple[User, str, str], tuple[float, bool]] = {}

    async def user(self, request: Request) -> User | None:
        certificate = request.peer_cert
        if certificate is not None:
            name, groups = tls.subject(certificate)
            return name, groups, ""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return None
        now = self._kubelet.now()
        known = self._users.get(token)
        if known is not None and now < known[0]:
            return known[1]
        answer = await self._kubelet.client.post(
            "/apis/authentication.k8s.io/v1/tokenreviews",
            {"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "spec": {"token": token.strip()}},
        )
        status = answer.get("status", {})
        found: User | None = None
        if status.get("authenticated"):
            info = status.get("user", {})
            found = (info.get("username", ""), tuple(info.get("groups", ())), info.get("uid", ""))
        self._trim(self._users)
        self._users[token] = (now + TOKEN_S, found)
        return found

    async def allowed(self, user: User, verb: str, path: str) -> bool:
        if MASTERS in user[1]:
            return True
        return any([await self._may(user, verb, name) for name in subresources(path)])

    async def _may(self, user: User, verb: str, subresource: str) -> bool:
        now, key = self._kubelet.now(), (user, verb, subresource)
        known = self._answers.get(key)
        if known is not None and now < known[0]:
            return known[1]
        name, groups, uid = user
        answer = await self._kubelet.client.post(
            "/apis/authorization.k8s.io/v1/subjectaccessreviews",
            {
                "kind": "SubjectAccessReview",
                "apiVersion": "authorization.k8s.io/v1",
                "spec": {
                    "user": name,
                    "groups": list(groups),
                    "uid": uid,
                    "resourceAttributes": {
                        "verb": verb,
                        "version": "v1",
                        "resource": "nodes",
                        "subresource": subresource,
                        "name": self._kubelet.settings.node_name,
                    },
                },
            },
        )
        yes = bool(answer.get("status", {}).get("allowed"))
        self._trim(self._answers)
        self._answers[key] = (now + (ALLOWED_S if yes else DENIED_S), yes)
        return yes

    @staticmethod
    def _trim(table: dict[Any, Any]) -> None:
        while len(table) >= 1024:
            del table[next(iter(table))]


def text(status: int, message: str) -> Response:
    return Response(status, message.encode(), TEXT)


def json(value: Any) -> Response:
    return Response(200, _encode(value))


_VERBS = {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


class KubeletServer:
    """tls: the serving context; its client CA is what certificates are checked against. insecure: no authentication,
    for tests only.
    """

    def __init__(
        self, context: ssl.SSLContext | None, *, host: str = "0.0.0.0", port: int = 10250, insecure: bool = False
    ) -> None:
        self._context = context
        self._host, self.port = host, port
        self._insecure = insecure
        self._kubelet: Kubelet
        self._gate: Gate
        self._server: Server

    async def start(self, kubelet: Kubelet, tasks: asyncio.TaskGroup) -> None:
        self._kubelet = kubelet
        self._gate = Gate(kubelet)
        self._server = Server(self._handle)
        self.port = await self._server.listen(self._host, self.port, self._context)
        tasks.create_task(self._close_at_end(), name="kubelet server")

    async def _close_at_end(self) -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            await self._server.close(0.0)

    def _handle(self, request: Request) -> Awaitable[Response | None]:
        return self._answer(request)

    async def _answer(self, request: Request) -> Response | None:
        try:
            if not self._insecure:
                user = await self._gate.user(request)
                if user is None:
                    return text(401, "Unauthorized")
                verb = _VERBS.get(request.method, "get")
                if not await self._gate.allowed(user, verb, request.path):
                    node = self._kubelet.settings.node_name
                    sub = subresources(request.path)[0]
                    return text(
                        403,
                        f"Forbidden (user={user[0]}, verb={verb}, resource=nodes, subresource(s)=[{sub}], name={node})",
                    )
            return await self._route(request)
        except (StatusError, OSError) as error:
            if isinstance(error, PeerGone):
                return None
            log.warning("%s %s: %s", request.method, request.path, error)
            return text(500, str(error))

    async def _route(self, request: Request) -> Response | None:
        first, *rest = request.path.strip("/").split("/")
        kubelet = self._kubelet
        rest = [unquote(part) for part in rest]
        match first, len(rest):
            case "healthz", _:
                return text(200, "ok")
            case "pods", 0:
                return json({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": self._pods()})
            case "runningpods", _:
                return json({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": self._pods()})
            case "stats", 1 if rest[0] == "summary":
                brief = request.query_first("only_cpu_and_memory") in ("true", "1")
                return json(await stats.summary(kubelet, only_cpu_and_memory=brief))
            case "metrics", 0:
                from prometheus_client import REGISTRY, generate_latest  # not for a node that nobody scrapes

                return Response(
                    200, generate_latest(REGISTRY) + metrics.text().encode(), "text/plain; version=0.0.4; charset=utf-8"
                )
            case "metrics", 1 if rest[0] in ("resource", "cadvisor"):
                make = stats.resource_metrics if rest[0] == "resource" else stats.cadvisor_metrics
                return Response(200, (await make(kubelet)).encode(), "text/plain; version=0.0.4; charset=utf-8")
            case "metrics", 1 if rest[0] == "probes":
                return Response(200, b"", "text/plain; version=0.0.4; charset=utf-8")
            case "configz", _:
                return json({"kubeletconfig": self._configz()})
            case "logs", _:
                return self._node_log("/".join(rest))
            case "containerLogs", 3:
                return await self._container_logs(request, rest[0], rest[1], rest[2])
            case "exec" | "attach" | "run", 3 | 4:
                container = rest[-1]
                return await self._stream(request, first, rest[0], rest[1], container)
            case "portForward", 2 | 3:
                return await self._port_forward(request, rest[0], rest[1])
        return text(404, "404 page not found")

    # --- plain answers ------------------------------------------------------------------------------------------------

    def _pods(self) -> list[Any]:
        return [
            {**msgspec.json.decode(_encode(worker.pod)), "status": worker.wanted}
            for worker in self._kubelet.workers.values()
        ]

    def _configz(self) -> dict[str, Any]:
        settings = self._kubelet.settings
        return {
            "kind": "KubeletConfiguration",
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "address": settings.address,
            "port": settings.port,
            "clusterDNS": list(settings.cluster_dns),
            "clusterDomain": settings.cluster_domain,
            "maxPods": settings.max_pods,
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": settings.cgroup_root,
            "evictionHard": dict(settings.eviction_hard),
            "containerLogMaxSize": f"{settings.log_max_bytes // 1048576}Mi",
            "containerLogMaxFiles": settings.log_max_files,
            "nodeStatusUpdateFrequency": f"{settings.status_period_s:g}s",
            "nodeLeaseDurationSeconds": settings.lease_s,
            "staticPodPath": settings.static_pods_dir,
            "podCIDR": settings.pod_cidr,
            "resolvConf": settings.resolv_conf,
        }

    def _node_log(self, path: str) -> Response:
        base = Path(self._kubelet.settings.node_logs_dir).resolve()
        target = (base / path).resolve()
        if target != base and base not in target.parents:
            return text(404, "404 page not found")
        if target.is_dir():
            names = sorted(entry.name + ("/" if entry.is_dir() else "") for entry in target.iterdir())
            rows = "".join(f'<a href="{name}">{name}</a>\n' for name in names)
            return Response(200, f"<pre>\n{rows}</pre>\n".encode(), "text/html; charset=utf-8")
        try:
            return Response(200, target.read_bytes(), TEXT)
        except OSError:
            return text(404, "404 page not found")

    # --- logs ---------------------------------------------------------------------------------------------------------

    async def _container_logs(self, request: Request, namespace: str, name: str, container: str) -> Response | None:
        worker = self._kubelet.find(namespace, name)
        if worker is None:
            return text(404, f'pod "{name}" does not exist')
        try:
            options = log_options(dict(request.query_items()), self._kubelet.now())
            previous = request.query_first("previous") in ("true", "1")
            path, finished, poked = locate_log(self._kubelet, worker, container, previous)
        except LookupError as error:
            return text(404 if "not found in pod" in str(error.args[0]) else 400, str(error.args[0]))
        except ValueError as error:
            return text(422, str(error))
        source = logs.read(path, options, finished=finished, poked=poked)
        try:
            first = await anext(source, b"")
        except OSError as error:
            return text(500, f"failed to try resolving symlinks in path {path!r}: {error.strerror}")
        stream = request.stream(200, TEXT)
        task = asyncio.current_task()
        if task is not None:
            stream.on_lost = task.cancel  # type: ignore[assignment]
        try:
            if first:
                stream.write(first)
            async for piece in source:
                if not stream.write(piece):
                    await stream.drain()
        finally:
            await source.aclose()  # type: ignore[attr-defined]
            stream.close()
        return None

    # --- streams ------------------------------------------------------------------------------------------------------

    async def _stream(self, request: Request, what: str, namespace: str, name: str, container: str) -> Response | None:
        worker = self._kubelet.find(namespace, name)
        slot = worker.machine.state.slots.get(container) if worker is not None else None
        if worker is None:
            return text(404, "pod does not exist")
        if slot is None or slot.current is None or not slot.alive:
            return text(404, f'container not found ("{container}")')
        query = parse_qsl(request.query, keep_blank_values=True)

        def flag(*names: str) -> bool:
            return any(k in names and v in ("1", "true") for k, v in query)

        command = tuple(v for k, v in query if k in ("command", "cmd"))
        id_, runtime = slot.current.id, self._kubelet.runtime
        try:
            if what == "run":
                answer = await runtime.exec_sync(id_, command[0].split() if len(command) == 1 else command, 0)
                return Response(200 if answer.exit_code == 0 else 500, answer.stdout + answer.stderr, TEXT)
            tty = flag("tty")
            stdin, stdout = flag("input", "stdin"), flag("output", "stdout")
            stderr = flag("error", "stderr") and not tty
            if what == "exec":
                url = await runtime.exec_url(
                    cri.ExecRequest(container_id=id_, cmd=command, tty=tty, stdin=stdin, stdout=stdout, stderr=stderr)
                )
            else:
                url = await runtime.attach_url(
                    cri.AttachRequest(
                        container_id=id_,
                        tty=slot.spec.tty,
                        stdin=stdin,
                        stdout=stdout,
                        stderr=stderr and not slot.spec.tty,
                    )
                )
        except CriError as error:
            return text(500, str(error))
        return await self._upgrade(request, url)

    async def _port_forward(self, request: Request, namespace: str, name: str) -> Response | None:
        worker = self._kubelet.find(namespace, name)
        sandbox = worker.machine.state.sandbox if worker is not None else None
        if sandbox is None or not sandbox.ready:
            return text(404, "pod does not exist")
        ports = [
            int(p) for k, v in request.query_items() if k in ("port", "ports") for p in v.split(",") if p.isdigit()
        ]
        try:
            url = await self._kubelet.runtime.port_forward_url(sandbox.id, ports)
        except CriError as error:
            return text(500, str(error))
        return await self._upgrade(request, url)

    async def _upgrade(self, request: Request, url: str) -> Response | None:
        if not request.upgrade:
            return text(400, "Upgrade request required")
        return await splice(request, url)


def log_options(query: dict[str, str], now: float) -> logs.LogOptions:
    """Raises ValueError."""

    def number(name: str) -> int | None:
        value = query.get(name)
        if value is None or value == "":
            return None
        if not value.lstrip("-").isdigit() or int(value) < 0:
            raise ValueError(f"{name}: Invalid value: {value}: must be greater than or equal to 0")
        return int(value)

    since = 0.0
    ago = number("sinceSeconds")
    if ago is not None:
        since = now - ago
    elif query.get("sinceTime"):
        since = parse_rfc3339(query["sinceTime"])
    stream = query.get("stream", "")
    return logs.LogOptions(
        follow=query.get("follow") in ("true", "1"),
        tail=number("tailLines"),
        since=since,
        timestamps=query.get("timestamps") in ("true", "1"),
        limit=number("limitBytes"),
        stream="" if stream in ("", "All") else stream.lower(),
    )


def locate_log(
    kubelet: Kubelet, worker: Worker, container: str, previous: bool
) -> tuple[str, Callable[[], bool], Callable[[logs.Watch], None]]:
    """(path, finished(), poked(watch)) for the container's present or previous run. Raises LookupError."""
    slot = worker.machine.state.slots.get(container)
    pod = worker.pod.metadata.name
    if slot is None:
        raise LookupError(f'container "{container}" not found in pod "{pod}"')
    run = slot.current
    if previous:
        waiting = run is not None and run.state == "exited" and (slot.waiting[0] or slot.busy)
        run = run if waiting and slot.restartable(worker.pod) else slot.last
        if run is None:
            raise LookupError(f'previous terminated container "{container}" in pod "{pod}" not found')
    elif run is None:
        reason = slot.waiting[0] or ("PodInitializing" if worker.pod.spec.initContainers else "ContainerCreating")
        if reason in ("ErrImagePull", "ImagePullBackOff"):
            words = "trying and failing to pull image" if reason == "ErrImagePull" else f"waiting to start: {reason}"
            raise LookupError(f'container "{container}" in pod "{pod}" is {words}')
        raise LookupError(f'container "{container}" in pod "{pod}" is waiting to start: {reason}')
    folder = f"{kubelet.settings.pod_logs_dir}/{config.log_folder(worker.pod)}/{container}"
    chosen = run.id

    def finished() -> bool:
        now = slot.current
        return now is None or now.id != chosen or now.state == "exited"

    return f"{folder}/{run.attempt}.log", finished, lambda watch: worker.watch_exit(chosen, watch)
