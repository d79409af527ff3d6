"""Which devices claims get, case by case."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from pelamis.scheduler.devices.ask import AllocationFailure

from .make import DRIVER, allocate, claim, class_, device, exactly, first, given, granted, inventory, node, rule, slice_

ANY = class_("any")
AB = slice_("s", device("a"), device("b"))
HERE = {"nodeSelectorTerms": [{"matchExpressions": [{"key": "zone", "operator": "In", "values": ["x"]}]}]}
TAINT = {"key": "bad", "value": "yes", "effect": "NoSchedule"}
MODELS = slice_("s", device("a", attributes={"m": "x", "n": 1}), device("b", attributes={"m": "y", "n": 2}),
                device("c", attributes={"m": "y", "n": 3}))  # fmt: skip
M = f'device.attributes["{DRIVER}"].m'
SHARED = device("a", allowMultipleAllocations=True, capacity={"mem": "10Gi"})
STEPS = {
    "value": "10Gi",
    "requestPolicy": {"default": "1Gi", "validRange": {"min": "1Gi", "step": "2Gi", "max": "9Gi"}},
}
STEPPED = slice_("s", device("a", allowMultipleAllocations=True, capacity={"mem": STEPS}))
SIZES = slice_("s", device("a", capacity={"mem": "1Gi"}), device("b", capacity={"mem": "4Gi"}))
VALUES = {"value": "10", "requestPolicy": {"default": "2", "validValues": ["2", "4", "8"]}}
PARTS = slice_(
    "parts",
    device("whole", draws={"set": {"mem": "4"}}),
    device("half1", draws={"set": {"mem": "2"}}),
    device("half2", draws={"set": {"mem": "2"}}),
    pool="p",
    count=2,
)
SETS = slice_("sets", pool="p", count=2, sharedCounters=[{"name": "set", "counters": {"mem": {"value": "4"}}}])


def cap(**requests: str) -> dict[str, Any]:
    return {"capacity": {"requests": requests}}


def same(*requests: str, attribute: str = f"{DRIVER}/m", kind: str = "matchAttribute") -> dict[str, Any]:
    return {"requests": list(requests), kind: attribute}


CASES: list[tuple[str, list[Any], list[Any], Any]] = [
    ("the first", [AB], [claim("c", exactly())], [["r=s/a"]]),
    ("two of two", [AB], [claim("c", exactly(count=2))], [["r=s/a", "r=s/b"]]),
    ("three of two", [AB], [claim("c", exactly(count=3))], None),
    ("nothing is there", [], [claim("c", exactly())], None),
    ("no requests", [], [claim("c")], [[]]),
    ("one each", [AB], [claim("c", exactly()), claim("d", exactly())], [["r=s/a"], ["r=s/b"]]),
    ("too many claims", [AB], [claim("c", exactly(count=2)), claim("d", exactly())], None),
    ("two requests", [AB], [claim("c", exactly("x"), exactly("y"))], [["x=s/a", "y=s/b"]]),
    ("one is taken", [AB, claim("o", allocation=given("s/a"))], [claim("c", exactly())], [["r=s/b"]]),
    ("all are taken", [AB, claim("o", allocation=given("s/a", "s/b"))], [claim("c", exactly())], None),
    ("taken for administration only", [AB, claim("o", allocation=given("s/a", adminAccess=True))],
     [claim("c", exactly())], [["r=s/a"]]),
    ("administration of what is taken", [AB, claim("o", allocation=given("s/a", "s/b"))],
     [claim("c", exactly(count=2, adminAccess=True))], [["r=s/a", "r=s/b"]]),
    ("administration, not twice in a claim", [slice_("s", device("a"))],
     [claim("c", exactly("x", adminAccess=True), exactly("y", adminAccess=True))], None),
    ("administration, once in each claim", [slice_("s", device("a"))],
     [claim("c", exactly(adminAccess=True)), claim("d", exactly(adminAccess=True))], [["r=s/a"], ["r=s/a"]]),
    ("all", [AB], [claim("c", exactly(count=None))], [["r=s/a", "r=s/b"]]),
    ("all, none there", [], [claim("c", exactly(count=None))], None),
    ("all, one is taken", [AB, claim("o", allocation=given("s/a"))], [claim("c", exactly(count=None))], None),
    ("all that match", [MODELS], [claim("c", exactly(count=None, cel=f'{M} == "y"'))], [["r=s/b", "r=s/c"]]),
    ("a selector", [MODELS], [claim("c", exactly(cel=f'{M} == "y"'))], [["r=s/b"]]),
    ("class and selector", [MODELS, class_("ys", f'{M} == "y"')],
     [claim("c", exactly(cls="ys", cel=f'device.attributes["{DRIVER}"].n > 2'))], [["r=s/c"]]),
    ("an unknown domain is empty", [MODELS],
     [claim("c", exactly(cel='!has(device.attributes["other.example.com"].m)'))], [["r=s/a"]]),
    ("capacity in a selector", [SIZES],
     [claim("c", exactly(cel=f'device.capacity["{DRIVER}"].mem.isGreaterThan(quantity("2Gi"))'))], [["r=s/b"]]),
    ("a version in a selector", [slice_("s", device("a", attributes={"v": "v1.0.0"}),
     device("b", attributes={"v": "v2.1.0"}))],
     [claim("c", exactly(cel=f'device.attributes["{DRIVER}"].v.compareTo(semver("2.0.0")) > 0'))], [["r=s/b"]]),
    ("driver in a selector", [AB, slice_("t", device("x"), driver="other.example.com")],
     [claim("c", exactly(cel='device.driver == "other.example.com"'))], [["r=t/x"]]),
    ("the first alternative", [AB], [claim("c", first("r", exactly("one"), exactly("two", count=2)))], [["r/one=s/a"]]),
    ("the second alternative", [AB], [claim("c", first("r", exactly("many", count=3), exactly("one")))],
     [["r/one=s/a"]]),
    ("an alternative gives way", [AB], [claim("c", first("r", exactly("two", count=2), exactly("one")), exactly("s"))],
     [["r/one=s/a", "s=s/b"]]),
    ("same attribute", [MODELS], [claim("c", exactly(count=2), constraints=[same()])], [["r=s/b", "r=s/c"]]),
    ("same attribute that nobody has", [AB], [claim("c", exactly(), constraints=[same()])], None),
    ("same attribute, of one request", [MODELS],
     [claim("c", exactly("x", count=2), exactly("y"), constraints=[same("x")])], [["x=s/b", "x=s/c", "y=s/a"]]),
    ("different attributes", [MODELS], [claim("c", exactly(count=2), constraints=[same(kind="distinctAttribute")])],
     [["r=s/a", "r=s/b"]]),
    ("too few different ones", [MODELS], [claim("c", exactly(count=3), constraints=[same(kind="distinctAttribute")])],
     None),
    ("of an alternative", [MODELS],
     [claim("c", first("r", exactly("p", count=2), exactly("q", count=3)), constraints=[same("r/p")])],
     [["r/p=s/b", "r/p=s/c"]]),
    ("another node's", [slice_("s", device("a"), nodeName="n2")], [claim("c", exactly())], None),
    ("this node's", [slice_("s", device("a"), nodeName="n1")], [claim("c", exactly())], [["r=s/a"]]),
    ("by label, not this one", [slice_("s", device("a"), nodeSelector=HERE)], [claim("c", exactly())], None),
    ("each for its node", [slice_("s", device("a", nodeName="n2"), device("b", allNodes=True),
     perDeviceNodeSelection=True)], [claim("c", exactly())], [["r=s/b"]]),
    ("an incomplete pool", [slice_("s", device("a"), count=2)], [claim("c", exactly())], None),
    ("complete elsewhere too", [slice_("s1", device("a"), pool="p", count=2, nodeName="n1"),
     slice_("s2", device("b"), pool="p", count=2, nodeName="n2")], [claim("c", exactly())], [["r=p/a"]]),
    ("an old generation", [slice_("s1", device("a"), pool="p"), slice_("s2", device("b"), pool="p", generation=2)],
     [claim("c", exactly())], [["r=p/b"]]),
    ("obsolete here", [slice_("s1", device("a"), pool="p", count=2, nodeName="n1"),
     slice_("s2", device("b"), pool="p", nodeName="n2", generation=2)], [claim("c", exactly())], None),
    ("a name twice", [slice_("s", device("a"), device("a"))], [claim("c", exactly())],
     "invalid resource pools were encountered"),
    ("a name twice, another pool", [slice_("s", device("a"), device("a")), slice_("t", device("x"))],
     [claim("c", exactly())], [["r=t/x"]]),
    ("a taint", [slice_("s", device("a", taints=[TAINT]), device("b"))], [claim("c", exactly())], [["r=s/b"]]),
    ("a taint that is tolerated", [slice_("s", device("a", taints=[TAINT]))],
     [claim("c", exactly(tolerations=[{"key": "bad", "operator": "Exists"}]))], [["r=s/a"]]),
    ("a taint without effect", [slice_("s", device("a", taints=[{**TAINT, "effect": "None"}]))],
     [claim("c", exactly())], [["r=s/a"]]),
    ("a rule's taint", [AB, rule("t", TAINT, device="a")], [claim("c", exactly())], [["r=s/b"]]),
    ("a rule for another driver", [AB, rule("t", TAINT, driver="x.example.com")], [claim("c", exactly())],
     [["r=s/a"]]),
    ("the whole", [PARTS, SETS], [claim("c", exactly())], [["r=p/whole"]]),
    ("two halves", [PARTS, SETS], [claim("c", exactly(count=2))], [["r=p/half1", "r=p/half2"]]),
    ("half of it is taken", [PARTS, SETS, claim("o", allocation=given("p/half1"))], [claim("c", exactly())],
     [["r=p/half2"]]),
    ("no counters", [slice_("s", device("a", draws={"set": {"mem": "4"}}))], [claim("c", exactly())],
     "invalid resource pools were encountered"),
    ("shared by two", [slice_("s", SHARED)],
     [claim("c", exactly(**cap(mem="4Gi"))), claim("d", exactly(**cap(mem="6Gi")))], [["r=s/a"], ["r=s/a"]]),
    ("too much for two", [slice_("s", SHARED)],
     [claim("c", exactly(**cap(mem="5Gi"))), claim("d", exactly(**cap(mem="6Gi")))], None),
    ("who does not ask takes all", [slice_("s", SHARED)], [claim("c", exactly()), claim("d", exactly())], None),
    ("some is taken", [slice_("s", SHARED), claim("o", allocation=given("s/a", consumedCapacity={"mem": "7Gi"}))],
     [claim("c", exactly(**cap(mem="4Gi")))], None),
    ("enough is left", [slice_("s", SHARED), claim("o", allocation=given("s/a", consumedCapacity={"mem": "7Gi"}))],
     [claim("c", exactly(**cap(mem="3Gi")))], [["r=s/a"]]),
    ("a capacity that it has not", [slice_("s", SHARED)], [claim("c", exactly(**cap(cores="1")))], None),
    ("more than one has alone", [SIZES],
     [claim("c", exactly(**cap(mem="4Gi")))], [["r=s/b"]]),
    ("rounded up to what does not fit", [STEPPED],
     [claim("c", exactly(**cap(mem="6Gi"))), claim("d", exactly(**cap(mem="4Gi")))], None),
    ("rounded up to what fits", [STEPPED],
     [claim("c", exactly(**cap(mem="6Gi"))), claim("d", exactly(**cap(mem="2Gi")))], [["r=s/a"], ["r=s/a"]]),
    ("more than the policy gives", [STEPPED],
     [claim("c", exactly(**cap(mem="10Gi")))], None),
    ("values", [slice_("s", device("a", allowMultipleAllocations=True, capacity={"n": VALUES}))],
     [claim("c", exactly(**cap(n="3"))), claim("d", exactly(**cap(n="4"))), claim("e", exactly())],
     [["r=s/a"], ["r=s/a"], ["r=s/a"]]),
    ("values, one too many", [slice_("s", device("a", allowMultipleAllocations=True, capacity={"n": VALUES}))],
     [claim("c", exactly(**cap(n="3"))), claim("d", exactly(**cap(n="5")))], None),
    ("backtracking over requests", [MODELS],
     [claim("c", exactly("x"), exactly("y", cel=f'{M} == "x"'))], [["x=s/b", "y=s/a"]]),
    ("those with binding conditions last", [slice_("p1", device("a", bindingConditions=["ready"],
     bindingFailureConditions=["broken"])), slice_("p2", device("b"))], [claim("c", exactly())], [["r=p2/b"]]),
    ("33 of 40, another alternative", [slice_("s", *(device(f"d{i:02}") for i in range(40)))],
     [claim("c", exactly("x", count=30), first("y", exactly("p", count=3), exactly("q", count=2)))],
     [[*(f"x=s/d{i:02}" for i in range(30)), "y/q=s/d30", "y/q=s/d31"]]),
]  # fmt: skip


@pytest.mark.parametrize(("objects", "claims", "wanted"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_who_gets_what(objects: list[Any], claims: list[Any], wanted: Any) -> None:
    assert allocate(inventory(ANY, *objects), *claims) == wanted


FAILURES: list[tuple[str, list[Any], Any, str]] = [
    ("no class", [AB], claim("c", exactly(cls="no")),
     "claim default/c, request r: could not retrieve device class no: "
     'deviceclass.resource.k8s.io "no" not found'),
    ("33 devices", [AB], claim("c", exactly(count=33)),
     "claim default/c: number of requested devices 33 exceeds the claim limit of 32"),
    ("all of an incomplete pool", [slice_("s", device("a"), count=2)], claim("c", exactly(count=None)),
     f"claim default/c, request r: asks for all devices, but resource pool {DRIVER}/s is currently being updated"),
    ("all of an invalid pool", [slice_("s", device("a"), device("a"))], claim("c", exactly(count=None)),
     f"claim default/c, request r: asks for all devices, but resource pool {DRIVER}/s is currently invalid"),
    ("a broken selector", [AB], claim("c", exactly(cel=f"{M} == 'x'")),
     f"claim default/c: selector #0 on device {DRIVER}/s/a: CEL runtime error: no such key: m. consider using CEL"),
    ("a broken class", [AB, class_("bad", 'device.driver == "d.example.com"', "device.driver")],
     claim("c", exactly(cls="bad")), f"class bad: selector #1 on device {DRIVER}/s/a: CEL runtime error: CEL result"),
    ("no expression", [AB], claim("c", exactly(cel="device.")),
     "claim default/c: selector #0: CEL compile error: compilation failed"),
    ("all cannot be the same, and what follows is not there", [MODELS],
     claim("c", exactly("x", count=None), exactly("y", cel="false"), constraints=[same("x")]),
     f"claim default/c, request x: cannot add device {DRIVER}/s/b because a claim constraint would not be satisfied"),
    ("all cannot be the same", [MODELS], claim("c", exactly(count=None), constraints=[same()]),
     f"claim default/c, request r: cannot add device {DRIVER}/s/b because a claim constraint would not be satisfied"),
]  # fmt: skip


@pytest.mark.parametrize(("objects", "asked", "text"), [c[1:] for c in FAILURES], ids=[c[0] for c in FAILURES])
def test_what_fails(objects: list[Any], asked: Any, text: str) -> None:
    with pytest.raises(AllocationFailure, match="^" + re.escape(text)):
        allocate(inventory(ANY, *objects), asked)


def test_an_allocation_as_it_is_written() -> None:
    opaque = {"opaque": {"driver": DRIVER, "parameters": {"a": 1}}}
    stock = inventory(
        class_("any", config=[opaque]),
        class_("other"),
        slice_("s", SHARED, device("b", bindingConditions=["ok"], bindingFailureConditions=["ko"]), nodeSelector=HERE),
    )
    asked = claim(
        "c",
        exactly("x", cel=f'device.capacity["{DRIVER}"].?mem.hasValue()', **cap(mem="3Gi")),
        first("y", exactly("p", count=7), exactly("q", cls="other", tolerations=[{"key": "k", "operator": "Exists"}])),
        config=[{"requests": ["x"], **opaque}, {"requests": ["y/p"], **opaque}, {"requests": ["y/q", "x"], **opaque}],
    )
    (found,) = granted(stock, asked, on=node(zone="x"))
    tree = msgspec.json.decode(msgspec.json.encode(found))
    base = {"driver": DRIVER, "pool": "s"}
    assert tree["devices"]["results"] == [
        {"request": "x", **base, "device": "a", "shareID": "share", "consumedCapacity": {"mem": "3Gi"}},
        {
            "request": "y/q",
            **base,
            "device": "b",
            "tolerations": [{"key": "k", "operator": "Exists"}],
            "bindingConditions": ["ok"],
            "bindingFailureConditions": ["ko"],
        },
    ]
    assert [(c["source"], c.get("requests")) for c in tree["devices"]["config"]] == [
        ("FromClass", ["x"]),
        ("FromClaim", ["x"]),
        ("FromClaim", None),  # both of them
    ]
    assert tree["nodeSelector"] == HERE


@pytest.mark.parametrize(
    ("made", "wanted"),
    [
        (slice_("s", device("a")), None),
        (slice_("s", device("a"), nodeName="n1"), ["n1"]),
        (slice_("s", device("a", bindsToNode=True)), ["n1"]),
    ],
)
def test_from_where_it_can_be_used(made: Any, wanted: Any) -> None:
    (found,) = granted(inventory(ANY, made), claim("c", exactly()))
    selector = found.nodeSelector
    assert (None if selector is None else [*selector.nodeSelectorTerms[0].matchFields[0].values]) == wanted


def test_devices_are_taken_from_the_decision_on() -> None:
    stock = inventory(ANY, slice_("s", device("a")))
    one, other = claim("one", exactly()), claim("other", exactly())
    (found,) = granted(stock, one)
    stock.grant(one.metadata.uid, found)
    assert allocate(stock, other) is None
    assert stock.withdraw(one.metadata.uid)
    assert allocate(stock, other) == [["r=s/a"]]
    stock.grant(one.metadata.uid, found)
    seen = claim("one", exactly(), allocation=given("s/a"))
    stock.set_claim(("default", "one"), seen)
    assert not stock.withdraw(one.metadata.uid), "it is seen"
    assert allocate(stock, other) is None
    stock.set_claim(("default", "one"), one)
    assert allocate(stock, other) == [["r=s/a"]]
    stock.set_claim(("default", "one"), seen)
    stock.set_claim(("default", "one"), None)
    assert allocate(stock, other) == [["r=s/a"]]


def test_a_search_without_end_is_given_up() -> None:
    many = slice_("s", *(device(f"d{i}", attributes={"n": i}) for i in range(40)))
    asked = claim("c", exactly(count=12), exactly("x", cel=f'device.attributes["{DRIVER}"].n >= 0'),
                  constraints=[same("r", "x", attribute=f"{DRIVER}/n"), same("r", attribute=f"{DRIVER}/n",
                  kind="distinctAttribute")])  # fmt: skip
    assert allocate(inventory(ANY, many), asked) is None  # the constraints end it early
    parts = slice_("p", *(device(f"d{i}", draws={"s": {"m": "2"}}) for i in range(40)), pool="p", count=2)
    sets = slice_("q", pool="p", count=2, sharedCounters=[{"name": "s", "counters": {"m": {"value": "39"}}}])
    with pytest.raises(AllocationFailure, match="node n1: timed out trying to allocate devices"):
        allocate(inventory(ANY, parts, sets), claim("c", exactly(count=20)))
