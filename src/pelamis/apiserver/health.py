"""``/healthz``, ``/livez``, ``/readyz``: named checks, all together or one by one."""

from __future__ import annotations

from collections.abc import Callable

from pelamis.net.http1 import Request, Response

Check = Callable[[], str]
"""Empty text = fine, else why not."""
_TEXT = "text/plain; charset=utf-8"
_HEADERS = (("X-Content-Type-Options", "nosniff"), ("Cache-Control", "no-cache, private"))


class Health:
    """Checks in order, for each endpoint."""

    def __init__(self) -> None:
        self._checks: dict[str, dict[str, Check]] = {"healthz": {}, "livez": {}, "readyz": {}}

    def add(self, name: str, check: Check, *endpoints: str) -> None:
        for endpoint in endpoints or tuple(self._checks):
            self._checks[endpoint][name] = check

    def failing(self, endpoint: str) -> list[str]:
        return [name for name, check in self._checks[endpoint].items() if check()]

    def answer(self, request: Request) -> Response | None:
        endpoint, _, name = request.path.strip("/").partition("/")
        checks = self._checks.get(endpoint)
        if checks is None:
            return None
        if name:
            if name not in checks:
                return None
            why = checks[name]()
            if why:
                return Response(500, f"internal server error: {why}\n".encode(), _TEXT, _HEADERS)
            return Response(200, b"ok", _TEXT, _HEADERS)
        excluded = {v for k, v in request.query_items() if k == "exclude"}
        lines: list[str] = []
        failed: list[str] = []
        for check_name, check in checks.items():
            if check_name in excluded:
                lines.append(f"[+]{check_name} excluded: ok")
                continue
            why = check()
            if why:
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
