"""schemathesis over the server's own OpenAPI: what the schema allows is served or refused, never a failure."""

from __future__ import annotations

import random
import time
from typing import Any
from urllib.parse import urlencode, urlsplit

import hypothesis
import msgspec
import pytest

from tests.conformance.conftest import Api
from tests.conformance.test_fuzz import STALL_S, allowed

pytestmark = pytest.mark.slow
BUDGET_S = 30.0
RUNTIME_CONFIG = "api/all=true"
EXAMPLES = 2
SKIPPED = ("/watch/", "/proxy", "/exec", "/attach", "/portforward", "/log")
"""Streams, which this client would wait for; they have tests of their own."""


def cases(operation: Any) -> list[Any]:
    out: list[Any] = []

    @hypothesis.settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        derandomize=True,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=operation.as_strategy())
    def collect(case: Any) -> None:
        out.append(case)

    collect()
    return out


def test_what_the_schema_allows(api: Api) -> None:
    schemathesis = pytest.importorskip("schemathesis")
    ends = time.monotonic() + BUDGET_S
    paths = [p for p in api.ok("GET", "/openapi/v3")["paths"] if p.startswith(("api", "apis")) and "/v" in p]
    operations = []
    for path in paths:
        schema = schemathesis.openapi.from_dict(api.ok("GET", f"/openapi/v3/{path}"))
        operations += [(o.ok(), path) for o in schema.get_all_operations()]
    found = [o for o, _ in operations if not any(s in o.path for s in SKIPPED)]
    random.Random(7).shuffle(found)
    bad: list[str] = []
    done = 0
    for operation in found:
        if time.monotonic() > ends:
            break
        for case in cases(operation):
            if case.method == "DELETE" and "{name}" not in operation.path:
                continue  # collections, among them the service accounts that the next ones need
            sent = case.as_transport_kwargs(base_url=api.harness.url)
            params = {k: v for k, v in (sent.get("params") or {}).items() if k != "watch"}
            target = urlsplit(sent["url"]).path + (f"?{urlencode(params, doseq=True)}" if params else "")
            body = sent.get("json", sent.get("data"))
            data = body if isinstance(body, bytes) or body is None else msgspec.json.encode(body)
            type_ = (sent.get("headers") or {}).get("Content-Type", "application/json")
            began = time.monotonic()
            status, _, answer = api.raw(case.method, target, data, type=type_)
            try:
                said = msgspec.json.decode(answer) if answer else None
            except msgspec.DecodeError:
                said = None
            done += 1
            if not allowed(status, said if isinstance(said, dict) else None):
                bad.append(f"{status} {answer[:300]!r} <- {case.method} {target} {data!r:.500}")
            assert time.monotonic() - began < STALL_S, (case.method, target)
    assert not bad, "\n".join(bad[:20])
    assert done > 50, f"{done} of {len(operations)} operations"
    print(f"{done} requests, {len(operations)} operations")
