"""Facts beside what they are made of, and counts of them beside counts of pods."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from pelamis.api.core.pod.pod import Pod
from pelamis.base.clock import parse_rfc3339
from pelamis.reconcile import podstate
from pelamis.reconcile.podfacts import facts_of, next_available, of_all, tally

T = "2026-01-01T00:00:0{}Z"
NOW = parse_rfc3339(T.format(4))


def pod(draw: Random) -> Any:
    ready = {
        "type": "Ready",
        "status": draw.choice(["True", "False"]),
        "lastTransitionTime": T.format(draw.randrange(3)),
    }
    if draw.random() < 0.1:
        del ready["lastTransitionTime"]
    conditions = draw.choice([[], [ready], [{"type": "PodScheduled", "status": "True"}, ready]])
    meta = {"deletionTimestamp": T.format(9)} if draw.random() < 0.3 else {}
    phase = draw.choice(["Pending", "Running", "Failed", "Succeeded"])
    tree = {"metadata": meta, "spec": {"containers": []}, "status": {"phase": phase, "conditions": conditions}}
    return msgspec.json.decode(msgspec.json.encode(tree), type=Pod)


@given(st.integers(0, 1 << 30))
def test_facts_are_what_the_pods_are(seed: int) -> None:
    draw = Random(seed)
    labels = [{"a": "b"}, {"a": "b"}, {"c": "d"}]
    pods = [(pod(draw), draw.choice(labels)) for _ in range(draw.randrange(30))]
    facts = [facts_of(*one) for one in pods]
    for (one, its), fact in zip(pods, facts, strict=True):
        assert fact.labels is its
        assert fact.active == podstate.is_active(one) and fact.terminating == podstate.is_terminating(one)
        assert fact.ready == podstate.is_ready(one) and fact.ready_since == podstate.ready_since(one)
        for seconds in (0, 3):
            assert fact.available_at(seconds) == podstate.available_at(one, seconds)
    counted = tally(facts)
    for test in ("active", "terminating", "ready"):
        assert sum(n for f, n in counted if getattr(f, test)) == sum(getattr(f, test) for f in facts)
    assert sum(n for _, n in counted) == len(facts)
    for seconds in (0, 3):
        assert next_available((f for f, _ in counted), seconds, NOW) == podstate.next_available(
            [one for one, _ in pods], seconds, NOW
        )
    wanted = [("a" in its) for _, its in pods]
    found = of_all(counted, lambda its: "a" in its)
    assert all(found) == all(wanted) and any(found) == any(wanted)
