"""The newer view of Events."""

from __future__ import annotations

import pytest

from pelamis.api.events.event import KIND, from_hub, to_hub
from tests.api.made import complaints, edited

GOOD = {
    "metadata": {"namespace": "n"},
    "eventTime": "2026-01-01T00:00:00.000000Z",
    "reportingController": "example.com/c",
    "reportingInstance": "i",
    "action": "Acted",
    "reason": "Because",
    "type": "Normal",
    "note": "done",
    "regarding": {"kind": "Pod", "namespace": "n", "name": "p"},
}


def test_conversion() -> None:
    tree = {**GOOD}
    to_hub(tree)
    assert tree["involvedObject"] == GOOD["regarding"]
    assert (tree["message"], tree["reportingComponent"]) == ("done", "example.com/c")
    from_hub(tree)
    assert tree == GOOD


@pytest.mark.parametrize(
    ("path", "value", "messages"),
    [
        ("eventTime", ..., ["eventTime: Required value"]),
        ("reason", ..., ["reason: Required value"]),
        ("action", "a" * 129, ['action: Invalid value: "": can have at most 128 characters']),
        ("type", "Odd", ['type: Invalid value: "": has invalid value: Odd']),
        ("regarding.namespace", "", ['involvedObject.namespace: Invalid value: "": does not match event.namespace']),
        ("deprecatedCount", 2, ['count: Invalid value: "": needs to be unset']),
    ],
)
def test_wrong(path: str, value: object, messages: list[str]) -> None:
    assert complaints(KIND, GOOD) == []
    assert complaints(KIND, edited(GOOD, path, value)) == messages
