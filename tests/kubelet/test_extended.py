"""Which of a node's resources the kubelet takes over from its capacity."""

from __future__ import annotations

import pytest

from pelamis.api.core.node import NodeStatus
from pelamis.kubelet.extended import change


@pytest.mark.parametrize(
    ("capacity", "allocatable", "made"),
    [
        ({"cpu": "1"}, {"cpu": "1"}, {}),
        ({"cpu": "1", "odd": "2"}, {"cpu": "1"}, {}),
        ({"x.io/a": "2"}, {}, {"x.io/a": "2"}),
        ({"x.io/a": "2"}, {"x.io/a": "1", "x.io/b": "1"}, {"x.io/a": "2", "x.io/b": None}),
        ({"x.io/own": "9"}, {"x.io/own": "8"}, {}),
    ],
)
def test_change(capacity: dict[str, str], allocatable: dict[str, str], made: dict[str, str | None]) -> None:
    assert change(NodeStatus(capacity=capacity, allocatable=allocatable), {"cpu": "1", "x.io/own": "8"}) == made
