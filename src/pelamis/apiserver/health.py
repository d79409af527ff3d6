"""``/healthz``, ``/livez``, ``/readyz``: named checks, all together or one by one."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Awaitable, Callable

from pelamis.net.http1 import Request, Response

Check = Callable[[], "str | Awaitable[str]"]
"""Empty text = fine, else why not; or something to wait for that gives it."""
START_STAGES = (
    "poststarthook/start-apiserver-admission-initializer",
    "poststarthook/generic-apiserver-start-informers",
    "poststarthook/priority-and-fairness-config-consumer",
    "poststarthook/priority-and-fairness-filter",
    "poststarthook/storage-object-count-tracker-hook",
    "poststarthook/storage-readiness",
    "poststarthook/start-apiextensions-informers",
    "poststarthook/start-apiextensions-controllers",
    "poststarthook/crd-informer-synced",
    "poststarthook/bootstrap-controller",
    "poststarthook/start-system-namespaces-controller",
    "poststarthook/start-service-ip-repair-controllers",
    "poststarthook/rbac/bootstrap-roles",
    "poststarthook/scheduling/bootstrap-system-priority-classes",
    "poststarthook/priority-and-fairness-config-producer",
    "poststarthook/start-cluster-authentication-info-controller",
    "poststarthook/start-kube-aggregator-informers",
    "poststarthook/apiservice-registration-controller",
    "poststarthook/apiservice-status-local-available-controller",
    "poststarthook/apiservice-status-remote-available-controller",
    "poststarthook/apiservice-discovery-controller",
    "poststarthook/kube-apiserver-autoregistration",
    "autoregister-completion",
    "poststarthook/apiservice-openapi-controller",
    "poststarthook/apiservice-openapiv3-controller",
)
"""What upstream's server tells of its start, by name. Ours starts as a whole: all of them are done when it is ready."""
_TEXT = "text/plain; charset=utf-8"
_HEADERS = (("X-Content-Type-Options", "nosniff"), ("Cache-Control", "no-cache, private"))


class Health:
    """Checks in order, for each endpoint. started_at: seconds since the epoch."""

    def __init__(self, started_at: float) -> None:
        self._started_at = started_at
        self._checks: dict[str, dict[str, Check]] = {"healthz": {}, "livez": {}, "readyz": {}}
        self._last: dict[tuple[str, str], int] = {}
        self._made_so_often: Counter[tuple[str, str, str]] = Counter()

    def add(self, name: str, check: Check, *endpoints: str) -> None:
        for endpoint in endpoints or tuple(self._checks):
            self._checks[endpoint][name] = check

    def answer(self, request: Request) -> Response | Awaitable[Response] | None:
        endpoint, _, name = request.path.strip("/").partition("/")
        checks = self._checks.get(endpoint)
        if checks is None or (name and name not in checks):
            return None
        excluded = {v for k, v in request.query_items() if k == "exclude"}
        found = {n: c() for n, c in checks.items() if (n == name if name else n not in excluded)}
        if any(inspect.isawaitable(why) for why in found.values()):
            return self._later(request, endpoint, name, found)
        return self._made(request, endpoint, name, {n: str(why) for n, why in found.items()})

    def slis(self) -> str:
        """``/metrics/slis``: what the checks found, for service level indicators. Nothing before somebody has asked for
        them all, as upstream; when the process started is there from the first moment."""
        last, total, started = "kubernetes_healthcheck", "kubernetes_healthchecks_total", "process_start_time_seconds"
        lines: list[str] = []
        if self._last:
            lines.append(
                f"# HELP {last} [STABLE] What a health check found when it was last made: 1 is fine, 0 is not."
            )
            lines.append(f"# TYPE {last} gauge")
            lines += [f'{last}{{name="{n}",type="{t}"}} {value}' for (n, t), value in sorted(self._last.items())]
            lines.append(f"# HELP {total} [STABLE] How often a health check was made, by what it found.")
            lines.append(f"# TYPE {total} counter")
            lines += [
                f'{total}{{name="{n}",status="{s}",type="{t}"}} {count}'
                for (n, s, t), count in sorted(self._made_so_often.items())
            ]
        lines.append(f"# HELP {started} [ALPHA] When the process started, in seconds since the epoch.")
        lines.append(f"# TYPE {started} gauge")
        lines.append(f"{started} {self._started_at}")
        return "\n".join(lines) + "\n"

    async def _later(
        self, request: Request, endpoint: str, name: str, found: dict[str, str | Awaitable[str]]
    ) -> Response:
        known = {n: why if isinstance(why, str) else await why for n, why in found.items()}
        return self._made(request, endpoint, name, known)

    def _made(self, request: Request, endpoint: str, name: str, found: dict[str, str]) -> Response:
        """found: why each check that was made fails, empty where it does not."""
        checks = self._checks[endpoint]
        for made, fault in found.items() if not name else ():  # one that is asked for by name does not count
            self._last[made, endpoint] = 0 if fault else 1
            self._made_so_often[made, "error" if fault else "success", endpoint] += 1
        if name:
            why = found[name]
            if why:
                return Response(500, f"internal server error: {why}\n".encode(), _TEXT, _HEADERS)
            return Response(200, b"ok", _TEXT, _HEADERS)
        excluded = {v for k, v in request.query_items() if k == "exclude"}
        lines: list[str] = []
        failed: list[str] = []
        for check_name in checks:
            if check_name in excluded:
                lines.append(f"[+]{check_name} excluded: ok")
                continue
            if found[check_name]:
                failed.append(check_name)
                lines.append(f"[-]{check_name} failed: reason withheld")
            else:
                lines.append(f"[+]{check_name} ok")
        unknown = sorted(excluded - set(checks))
        if unknown:
            shown = ", ".join(f'"{u}"' for u in unknown)
            lines.append(f"warn: some health checks cannot be excluded: no matches for {shown}")
        if failed:
            text = "\n".join([*lines, f"{endpoint} check failed\n"])
            return Response(500, text.encode(), _TEXT, _HEADERS)
        if not any(k == "verbose" for k, _ in request.query_items()):
            return Response(200, b"ok", _TEXT, _HEADERS)
        text = "\n".join([*lines, f"{endpoint} check passed\n"])
        return Response(200, text.encode(), _TEXT, _HEADERS)
