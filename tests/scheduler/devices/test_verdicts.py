"""The plugin on whole snapshots: what is kept over rows is what each row gives; gates, hints, extended resources."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest

from pelamis.scheduler import extension as x
from pelamis.scheduler.core import decide
from pelamis.scheduler.devicebinding import claims_to_free, reserve, undo
from pelamis.scheduler.devices.podclaims import PodClaims
from pelamis.scheduler.devices.verdicts import verdicts
from pelamis.scheduler.extension import Event
from pelamis.scheduler.intake import Intake
from pelamis.scheduler.plugins import PLUGINS
from pelamis.scheduler.plugins.dynamicresources import plugin
from pelamis.scheduler.queue import Queue
from pelamis.scheduler.snapshot import Snapshot
from tests.scheduler.make import cluster, node, pod

from .make import DRIVER, claim, class_, device, exactly, first, given, rule, slice_

NAME = f'device.attributes["{DRIVER}"].n'


def known(snapshot: Snapshot, *objects: Any) -> None:
    stock = snapshot.devices
    takes = {"DeviceClass": stock.set_class, "ResourceSlice": stock.set_slice, "DeviceTaintRule": stock.set_rule}
    for obj in objects:
        meta = obj.metadata
        if obj.kind == "ResourceClaim":
            stock.set_claim((meta.namespace, meta.name), obj)
        else:
            takes[obj.kind](meta.name, obj)


def with_claims(name: str, *claims: str, **more: Any) -> Any:
    entries = [{"name": c, "resourceClaimName": c} for c in claims]
    return pod(name, resourceClaims=entries, **more)


def why(snapshot: Snapshot, info: Any) -> tuple[str, dict[str, int], str]:
    decision = decide(snapshot, PLUGINS, info, draw=lambda: 0.0)
    found = decision.diagnosis
    return decision.node, found.reasons if found is not None else {}, found.message if found is not None else ""


@pytest.mark.parametrize("seed", range(6))
def test_what_is_kept_is_what_each_row_gives(seed: int) -> None:
    random = Random(seed)
    snapshot = cluster(*(node(f"n{i}", labels={"zone": random.choice("ab")}) for i in range(5)))
    known(snapshot, class_("any"))
    asked = claim("mine", first("r", exactly("two", count=2, cel=f"{NAME} > 0"), exactly("one")))
    known(snapshot, asked)
    info = with_claims("p", "mine")
    zone = {"nodeSelectorTerms": [{"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}]}
    for step in range(120):
        match random.randrange(7):
            case 0 | 1:
                name = f"s{random.randrange(6)}"
                made = [device(f"d{i}", attributes={"n": random.randrange(3)}) for i in range(random.randint(1, 3))]
                places: tuple[dict[str, Any], ...] = ({"nodeName": f"n{random.randrange(5)}"},) * 3
                where = random.choice((*places, {"nodeSelector": zone}, {}))
                pool = random.choice((name, "p"))
                known(snapshot, slice_(name, *made, pool=pool, count=random.randint(1, 2), **where))
            case 2:
                snapshot.devices.set_slice(f"s{random.randrange(6)}", None)
            case 3 | 4:
                pool = random.choice(("p", *(f"s{i}" for i in range(6))))
                taken = f"{pool}/d{random.randrange(3)}"
                known(snapshot, claim(f"o{random.randrange(6)}", allocation=given(taken)))
            case 5:
                snapshot.devices.set_claim(("default", f"o{random.randrange(6)}"), None)
            case 6:
                snapshot.set_node(node(f"n{random.randrange(5)}", labels={"zone": random.choice("ab")}))
        claims = PodClaims(snapshot.devices, info, 600.0)
        kept = verdicts(snapshot, claims)
        assert kept is not None
        rows = [n.node for n in snapshot.nodes]
        assert [kept.reasons[code] for code in kept.codes.tolist()] == [claims.judge(n)[0] for n in rows], step
        fitting = kept.codes == 0
        wanted = np.array([claims.preference(n) for n in rows])
        assert (kept.points[fitting] == wanted[fitting]).all()


def test_a_node_with_a_device_is_chosen_and_its_device_kept() -> None:
    snapshot = cluster(node("a"), node("b"))
    known(snapshot, class_("any"), slice_("s", device("x"), nodeName="b"), claim("c", exactly()), claim("d", exactly()))
    info = with_claims("p", "c")
    assert decide(snapshot, PLUGINS, info, draw=lambda: 0.0).node == "b"
    kept = reserve(snapshot, info, "b", 600.0, lambda: "id")
    assert kept is not None
    assert why(snapshot, with_claims("q", "d")) == ("", {"cannot allocate all claims": 2}, "")
    text = "resource claim default/c is in the process of being allocated"
    assert why(snapshot, with_claims("r", "c")) == ("", {}, text)
    assert not undo(snapshot.devices, kept)
    assert why(snapshot, with_claims("q", "d"))[0] == "b"


def test_alternatives_that_come_first_are_better() -> None:
    snapshot = cluster(node("a"), node("b"), node("c"))
    parts = [slice_(f"s{n}", *(device(f"d{i}") for i in range(1 + (n == "b"))), nodeName=n) for n in "abc"]
    known(snapshot, class_("any"), *parts, claim("c", first("r", exactly("two", count=2), exactly("one"))))
    (own,) = [p for p in PLUGINS if p.name == "DynamicResources"]
    assert own.score is not None
    found = own.score(snapshot, with_claims("p", "c"), slice(0, 3))
    assert found is not None
    assert found.tolist() == [87, 100, 87]
    assert why(snapshot, with_claims("p", "c"))[0] == "b"


ALLOCATED = given("s/x", nodeSelector={
    "nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["b"]}]}]
})  # fmt: skip
NOT_READY = given("s/x", bindingConditions=["ok"], at="2026-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("objects", "wanted"),
    [
        ([], ("", {}, 'could not find ResourceClaim "default/c"')),
        ([claim("c", deletionTimestamp="2026-01-01T00:00:00Z")], ("", {}, 'resourceclaim "c" is being deleted')),
        ([claim("c", exactly(cls="no"))], ("", {}, "request r: device class no does not exist")),
        ([claim("c", first("r", exactly("s", cls="no")))], ("", {}, "request r/s: device class no does not exist")),
        ([claim("c", exactly())], ("", {"cannot allocate all claims": 2}, "")),
        ([claim("c", exactly(), allocation=ALLOCATED)], ("b", {}, "")),
        ([claim("c", exactly(), allocation=NOT_READY)], ("", {"resourceclaim not available on the node": 2}, "")),
    ],
)  # fmt: skip
def test_what_users_read(objects: list[Any], wanted: Any) -> None:
    snapshot = cluster(node("a"), node("b"))
    snapshot.devices.now = 2e9
    known(snapshot, class_("any"), *objects)
    assert why(snapshot, with_claims("p", "c")) == wanted


@pytest.mark.parametrize(
    ("users", "freed"), [((), True), (("uid-p",), True), (("uid-q",), False), (("uid-p", "uid-q"), False)]
)
def test_devices_that_are_in_the_way_are_given_back(users: tuple[str, ...], freed: bool) -> None:
    snapshot = cluster(node("a"))
    known(snapshot, class_("any"), claim("c", exactly(), allocation=ALLOCATED, reserved=users))
    info = with_claims("p", "c")
    _, reasons, _ = why(snapshot, info)
    actions, text = claims_to_free(snapshot, info, 600.0, list(reasons))
    assert bool(actions) is freed
    assert text == ("deallocation of ResourceClaim completed" if freed else "")


GPU = "example.com/gpu"


def test_extended_resources() -> None:
    snapshot = cluster(node("plain"), node("plugin", **{GPU: "1"}), node("devices"))
    known(snapshot, slice_("s", device("x"), device("y"), nodeName="devices"))
    two, one = (pod(f"p{n}", requests={GPU: str(n)}) for n in (2, 1))
    assert why(snapshot, two) == ("", {f"Insufficient {GPU}": 3}, "")
    intake = Intake(snapshot, Queue({}), ())
    intake.deviceclass(("", "any"), None, class_("any", extendedResourceName=GPU), 0.0)
    assert why(snapshot, two)[0] == "devices"
    kept = reserve(snapshot, two, "devices", 600.0, lambda: "id")
    assert kept is not None
    (part,) = kept.parts
    assert part.mapped == (("c", GPU, "container-0-request-0"),)
    assert part.claim.metadata.generateName == "p2-extended-resources-"
    snapshot.add_pod(two, "devices")
    assert why(snapshot, one)[0] == "plugin"
    snapshot.add_pod(one, "plugin")
    last = pod("last", requests={GPU: "1"})
    assert why(snapshot, last) == ("", {"cannot allocate all claims": 2, f"Insufficient {GPU}": 1}, "")


OWN = plugin().helps


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        (None, claim("c", exactly()), True),
        (None, claim("other", exactly()), False),
        (claim("other", allocation=given("s/x")), claim("other"), True),
        (claim("other", allocation=given("s/x")), None, True),
        (claim("other"), None, False),
        (claim("c"), claim("c", labels={"a": "b"}), False),
        (claim("c"), claim("c", allocation=given("s/x")), True),
    ],
)
def test_what_may_help(old: Any, new: Any, wanted: bool) -> None:
    snapshot = cluster(node("a"))
    known(snapshot, claim("c", exactly()))
    if new is not None:
        known(snapshot, new)
    kind = x.DEVICE_CLAIM_ADD if old is None else x.DEVICE_CLAIM_UPDATE if new is not None else x.DEVICE_CLAIM_DELETE
    assert OWN is not None
    hint = OWN[kind]
    assert hint is not None
    assert hint(with_claims("p", "c"), Event(kind, old, new, snapshot)) is wanted


def test_a_pod_waits_outside_until_its_claims_are_there() -> None:
    snapshot = cluster(node("a"))
    own = plugin()

    def gate(info: Any) -> str:
        assert own.gate is not None
        return own.name if own.gate(snapshot, info) else ""

    queue = Queue({"default-scheduler": [own]}, gate=gate)
    intake = Intake(snapshot, queue, ["default-scheduler"])
    queue.add(with_claims("p", "c"), 0.0)
    queue.add(pod("plain"), 0.0)
    waiting = queue.pop(0.0)
    assert waiting is not None
    assert waiting.info.key[1] == "plain"
    assert queue.pop(400.0) is None, "time alone does not help"
    assert queue.counts()["gated"] == 1
    assert queue.unschedulable_by() == {("DynamicResources", "default-scheduler"): 1}
    other = claim("other", exactly())
    intake.deviceclaim(("default", "other"), None, other, 1.0)
    assert queue.pop(1.0) is None
    intake.deviceclaim(("default", "c"), None, claim("c", exactly()), 2.0)
    waiting = queue.pop(2.0)
    assert waiting is not None
    assert (waiting.info.key[1], waiting.attempts) == ("p", 1)


def test_taints_of_rules_come_and_go() -> None:
    snapshot = cluster(node("a"))
    known(snapshot, class_("any"), slice_("s", device("x"), nodeName="a"), claim("c", exactly()))
    info = with_claims("p", "c")
    assert why(snapshot, info)[0] == "a"
    known(snapshot, rule("r", {"key": "k", "effect": "NoSchedule"}, pool="s"))
    assert why(snapshot, info)[0] == ""
    snapshot.devices.set_rule("r", None)
    assert why(snapshot, info)[0] == "a"
