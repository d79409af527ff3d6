"""The time by which the latency of endpoints is measured."""

from __future__ import annotations

from typing import Any

import msgspec

from pelamis.api.core.pod.pod import Pod
from pelamis.api.core.service import Service
from pelamis.reconcile.endpointset import TRIGGER_TIME, stamped, trigger

T = "2026-01-01T00:00:{:02}Z"


def pod(name: str, at: int) -> Any:
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": T.format(at)}
    tree = {"metadata": {"name": name}, "spec": {"containers": []}, "status": {"conditions": [ready]}}
    return msgspec.json.decode(msgspec.json.encode(tree), type=Pod)


def service(uid: str) -> Any:
    meta = {"name": "s", "uid": uid, "creationTimestamp": T.format(0)}
    return msgspec.json.decode(msgspec.json.encode({"metadata": meta}), type=Service)


def test_the_earliest_change_since_the_last_look() -> None:
    s = service("u")
    at, seen = trigger(None, s, [pod("a", 5)])
    assert at == T.format(0)
    at, seen = trigger(seen, s, [pod("a", 9), pod("b", 7), pod("c", 8)])
    assert at == T.format(7)
    at, seen = trigger(seen, s, [pod("a", 9), pod("b", 7)])
    assert at == ""  # who goes away has no time
    assert trigger(seen, service("other"), [])[0] == T.format(0)
    assert stamped({"k": "v", TRIGGER_TIME: "old"}, at) == {"k": "v"}
    assert stamped({"k": "v"}, T.format(7)) == {"k": "v", TRIGGER_TIME: T.format(7)}
