"""Shares of zones by CPU: everybody gets enough, nobody bears too much."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pelamis.api.core.node import Node
from pelamis.reconcile.topology import FEW_ENDPOINTS, NO_NODE_INFO, NO_ZONE, ONE_ZONE, Disabled, assign, cpu_by_zone


@pytest.mark.parametrize(
    ("zones", "cpu", "expected"),
    [
        ("ab", {"a": 1, "b": 1}, "ab"),
        ("aabb", {"a": 1, "b": 1}, "aabb"),
        ("aaab", {"a": 1, "b": 1}, "aabb"),
        ("aaaa", {"a": 1, "b": 1}, "aabb"),
        ("aabbbb", {"a": 2, "b": 1}, "aabbaa"),
        ("abx", {"a": 1, "b": 2}, "abb"),
        ("aaaabbb", {"a": 1, "b": 1}, "aaaabbb"),
        ("aaabbbb", {"a": 1, "b": 1}, "aaabbbb"),
    ],
)
def test_endpoints_are_shared_out(zones: str, cpu: dict[str, int], expected: str) -> None:
    assert "".join(assign(list(zones), cpu)) == expected


@pytest.mark.parametrize(
    ("zones", "cpu", "why"),
    [
        (["a"], {"a": 1, "b": 1}, f"{FEW_ENDPOINTS} (1 endpoints, 2 zones)"),
        (["a", ""], {"a": 1, "b": 1}, NO_ZONE),
        (["a", "b"], {"a": 1, "b": 3}, "Unable to allocate minimum required endpoints to each zone without exceeding "
         "overload threshold (2 endpoints, 2 zones)"),
    ],
)  # fmt: skip
def test_when_no_hints_are_given(zones: list[str], cpu: dict[str, int], why: str) -> None:
    with pytest.raises(Disabled) as found:
        assign(zones, cpu)
    assert str(found.value) == why


def node(zone: str, cpu: str = "2", ready: str = "True", **labels: str) -> Any:
    labels = {**({"topology.kubernetes.io/zone": zone} if zone else {}), **labels}
    status = {"allocatable": {"cpu": cpu}, "conditions": [{"type": "Ready", "status": ready}]}
    return msgspec.convert({"metadata": {"name": "n", "labels": labels}, "status": status}, Node)


def test_cpu_of_zones() -> None:
    master = {"node-role.kubernetes.io/control-plane": ""}
    found = cpu_by_zone([node("a"), node("a", "500m"), node("b"), node("c", ready="False"), node("", **master)])
    assert found == {"a": 2500, "b": 2000}
    for nodes, why in (([node("a"), node("")], NO_NODE_INFO), ([node("a"), node("a")], ONE_ZONE)):
        with pytest.raises(Disabled, match=why):
            cpu_by_zone(nodes)


@given(
    st.lists(st.sampled_from("abcd"), max_size=60),
    st.dictionaries(st.sampled_from("abc"), st.integers(500, 64000), min_size=2),
)
def test_no_zone_is_overloaded_and_a_second_look_changes_nothing(zones: list[str], cpu: dict[str, int]) -> None:
    try:
        found = assign(zones, cpu)
    except Disabled:
        return
    counts = Counter(found)
    for zone, amount in cpu.items():
        assert counts[zone] * 1.2 >= len(zones) * amount / sum(cpu.values()) - 1e-9
    assert assign(zones, cpu) == found
