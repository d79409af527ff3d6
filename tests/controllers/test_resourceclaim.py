"""The resourceclaim controller, branch by branch."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pelamis.api.codec import from_tree
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.resource.resourceclaim import KIND as CLAIM
from pelamis.api.resource.resourceclaimtemplate import KIND as TEMPLATE
from pelamis.base.errors import Forbidden
from pelamis.client.types import Create, Delete, Outcome, Patch, Update
from pelamis.controllers.resourceclaim import CONTROLLER, ClaimWorld, PodWorld, reconcile
from pelamis.reconcile.plan import Found, Plan
from tests.cache.made import view_of

Tree = dict[str, Any]
NOW = 1_700_000_000.0
FINALIZER = "resource.kubernetes.io/delete-protection"
GIVEN = {"devices": {"results": [{"request": "r", "driver": "d", "pool": "p", "device": "x"}]}}
DELETED = {"deletionTimestamp": "2026-01-01T00:00:00Z"}


def pod(name: str = "p", node: str = "", phase: str = "Pending", told: Tree | None = None, **meta: Any) -> Any:
    """told: entry to claim, in its status."""
    entries = [{"name": "t", "resourceClaimTemplateName": "one"}, {"name": "n", "resourceClaimName": "named"}]
    statuses = [{"name": n, "resourceClaimName": c} for n, c in (told or {}).items()]
    spec = {"containers": [{"name": "c"}], "resourceClaims": entries, **({"nodeName": node} if node else {})}
    tree = {
        "metadata": {"name": name, "namespace": "default", "uid": f"uid-{name}", **meta},
        "spec": spec,
        "status": {"phase": phase, "resourceClaimStatuses": statuses},
    }
    return from_tree(POD, tree)


def claim(name: str = "c", owner: str = "", users: tuple[str, ...] = (), allocated: bool = False, **meta: Any) -> Any:
    if owner:
        ref = {"apiVersion": "v1", "kind": "Pod", "name": owner, "uid": f"uid-{owner}", "controller": True}
        meta["ownerReferences"] = [ref]
        meta.setdefault("annotations", {"resource.kubernetes.io/pod-claim-name": "t"})
    status: Tree = {"reservedFor": [{"resource": "pods", "name": u, "uid": f"uid-{u}"} for u in users]}
    if allocated:
        status["allocation"] = GIVEN
        meta.setdefault("finalizers", [FINALIZER])
    return from_tree(
        CLAIM, {"metadata": {"name": name, "namespace": "default", "uid": f"uid-{name}", **meta}, "status": status}
    )


ONE = from_tree(
    TEMPLATE,
    {
        "metadata": {"name": "one", "namespace": "default"},
        "spec": {
            "metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}},
            "spec": {"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "gpu"}}]}},
        },
    },
)


def of_pod(made: Any, *claims: Any, template: Any = ONE) -> Plan:
    known = {c.metadata.name: c for c in claims}
    owned = [c for c in claims if c.metadata.ownerReferences]
    return reconcile(PodWorld(made, known, owned, {"one": template} if template is not None else {}), NOW)


def outcome(**more: Any) -> Outcome:
    return Outcome(1, **more) if "obj" in more else Outcome(0, None, **more)


def test_a_claim_is_made_and_told() -> None:
    plan = of_pod(pod())
    (create,) = plan.actions
    assert isinstance(create, Create)
    tree = msgspec.json.decode(msgspec.json.encode(create.obj))
    assert tree["metadata"] == {
        "generateName": "p-t-",
        "namespace": "default",
        "labels": {"a": "b"},
        "annotations": {"c": "d", "resource.kubernetes.io/pod-claim-name": "t"},
        "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "uid-p", "controller": True}],
    }
    assert create.obj.spec == ONE.spec.spec
    assert plan.on_outcomes is not None
    (patch,) = plan.on_outcomes([outcome(obj=claim("p-t-xyz"))]).actions
    assert isinstance(patch, Patch)
    assert patch.body["status"] == {"resourceClaimStatuses": [{"name": "t", "resourceClaimName": "p-t-xyz"}]}


def test_long_names_are_cut_both() -> None:
    (create,) = of_pod(pod("p" * 100)).actions
    assert isinstance(create, Create)
    assert create.obj.metadata.generateName == "p" * 55 + "-"  # 100 and 1 of 103 characters, cut to 57 of these


def test_what_is_there_is_not_made_again() -> None:
    assert not of_pod(pod(told={"t": "mine"}), claim("mine", owner="p")).actions
    assert not of_pod(from_tree(POD, {"metadata": {"name": "x"}})).actions
    none = pod(told={"t": "x"})
    without = msgspec.structs.replace(none.status.resourceClaimStatuses[0], resourceClaimName=None)
    status = msgspec.structs.replace(none.status, resourceClaimStatuses=(without,))
    assert not of_pod(msgspec.structs.replace(none, status=status)).actions, "none is needed"


@pytest.mark.parametrize(
    ("made", "claims"),
    [
        (pod(told={"t": "gone"}), ()),
        (pod(told={"t": "foreign"}), (claim("foreign", owner="q"),)),
    ],
)
def test_a_claim_that_is_lost_is_made_anew(made: Any, claims: tuple[Any, ...]) -> None:
    world = PodWorld(made, {c.metadata.name: c for c in claims}, (), {"one": ONE})
    assert isinstance(reconcile(world, NOW).actions[0], Create)


def test_an_orphan_is_used() -> None:
    (patch,) = of_pod(pod(), claim("orphan", owner="p")).actions
    assert isinstance(patch, Patch)
    assert patch.body["status"]["resourceClaimStatuses"] == [{"name": "t", "resourceClaimName": "orphan"}]
    other = claim("other", owner="p", annotations={})
    assert isinstance(of_pod(pod(), other).actions[0], Create)


def test_what_goes_wrong_is_told() -> None:
    plan = of_pod(pod(), template=None)
    text = 'PodResourceClaim t: resource claim template "one": resourceclaimtemplate.resource.k8s.io "one" not found'
    assert [(e.type, e.reason, e.message) for e in plan.events] == [("Warning", "FailedResourceClaimCreation", text)]
    assert plan.error == f"pod default/p, {text}"
    made = of_pod(pod())
    assert made.on_outcomes is not None
    refused = made.on_outcomes([outcome(error=Forbidden("resourceclaims", "resource.k8s.io", "", "no"))])
    assert refused.events[0].message.startswith("PodResourceClaim t: create ResourceClaim : resourceclaims")
    assert refused.error


@pytest.mark.parametrize(
    ("found", "reserved"),
    [
        (claim("named", allocated=True), True),
        (claim("named"), False),
        (claim("named", allocated=True, users=("p",)), False),
    ],
)
def test_a_pod_that_nobody_scheduled_becomes_a_user(found: Any, reserved: bool) -> None:
    plan = of_pod(pod(node="n", told={"t": "mine"}), claim("mine", owner="p"), found)
    assert bool(plan.actions) is reserved
    for action in plan.actions:
        assert isinstance(action, Update)
        assert [c.uid for c in action.obj.status.reservedFor] == ["uid-p"]


RUNNING = pod("a", node="n", phase="Running")
ENDED = pod("a", node="n", phase="Succeeded")
NEVER = pod("a", **DELETED)
OTHER = pod("a", uid="another")
FREE, SHRINK, UNFINALIZE, DELETE = "free", "shrink", "unfinalize", "delete"


def did(plan: Plan) -> list[str]:
    """In one word each; what follows an update of the status too."""
    out: list[str] = []
    for action in plan.actions:
        if isinstance(action, Delete):
            out.append(DELETE)
        elif isinstance(action, Update) and action.subresource == "status":
            out.append(SHRINK if action.obj.status.allocation is not None else FREE)
            assert plan.on_outcomes is not None
            out += did(plan.on_outcomes([outcome(obj=action.obj)]))
        elif isinstance(action, Update):
            assert FINALIZER not in action.obj.metadata.finalizers
            out.append(UNFINALIZE)
    return out


@pytest.mark.parametrize(
    ("found", "pods", "wanted"),
    [
        (claim(users=("a",), allocated=True), [RUNNING], []),
        (claim(users=("a",), allocated=True), [ENDED], [FREE, UNFINALIZE]),
        (claim(users=("a",), allocated=True), [NEVER], [FREE, UNFINALIZE]),
        (claim(users=("a",), allocated=True), [OTHER], [FREE, UNFINALIZE]),
        (claim(users=("a", "b"), allocated=True), [ENDED, pod("b", node="n")], [SHRINK]),
        (claim(users=("a",), allocated=True, finalizers=[]), [ENDED], [SHRINK]),
        (claim(allocated=True), [], []),
        (claim(allocated=True, **DELETED), [], [FREE, UNFINALIZE]),
        (claim(finalizers=[FINALIZER], **DELETED), [], [UNFINALIZE]),
        (claim(owner="a"), [RUNNING], []),
        (claim(owner="a"), [ENDED], [DELETE]),
        (claim(owner="a"), [OTHER], [DELETE]),
        (claim(owner="a"), [], []),
        (claim(owner="a", users=("a",), allocated=True), [ENDED], [FREE, UNFINALIZE, DELETE]),
    ],
)
def test_upkeep_of_a_claim(found: Any, pods: list[Any], wanted: list[str]) -> None:
    assert did(reconcile(ClaimWorld(found, {p.metadata.name: p for p in pods}), NOW)) == wanted


@pytest.mark.parametrize(
    ("answer", "wanted", "error"),
    [
        (Found(None, 'pods "a" not found'), [FREE, UNFINALIZE], ""),
        (Found({"metadata": {"uid": "uid-a"}}), [], ""),
        (Found({"metadata": {"uid": "new"}}), [FREE, UNFINALIZE], ""),
        (Found(None, "the server is on fire"), [], "the server is on fire"),
    ],
)
def test_a_user_that_is_not_known_is_asked_for(answer: Found, wanted: list[str], error: str) -> None:
    plan = reconcile(ClaimWorld(claim(users=("a",), allocated=True), {}), NOW)
    assert [read.path for read in plan.reads] == ["/api/v1/namespaces/default/pods/a"]
    assert plan.on_reads is not None
    then = plan.on_reads([answer])
    assert (did(then), then.error) == (wanted, error)


def test_users_that_are_no_pods_stay() -> None:
    found = claim(users=("a",), allocated=True)
    group = msgspec.structs.replace(found.status.reservedFor[0], apiGroup="x.example.com", resource="groups")
    found = msgspec.structs.replace(found, status=msgspec.structs.replace(found.status, reservedFor=(group,)))
    assert not reconcile(ClaimWorld(found, {}), NOW).actions


def test_who_is_woken() -> None:
    of_pods, of_claims, of_templates = (watch.keys for watch in CONTROLLER.watches)
    told = pod(told={"t": "mine"})
    views: Any = lambda kind: view_of(kind, *([told] if kind is POD else []))  # noqa: E731
    plain = from_tree(POD, {"metadata": {"name": "x", "namespace": "default"}})
    assert not of_pods(views, None, plain)
    assert of_pods(views, None, told) == [("default", "pod:p")]
    assert not of_pods(views, told, pod(told={"t": "mine"}, phase="Running"))
    claims = [("default", "claim:mine"), ("default", "claim:named")]
    assert of_pods(views, told, None) == claims
    assert of_pods(views, told, pod(told={"t": "mine"}, phase="Failed")) == claims
    assert of_claims(views, None, claim("mine")) == [("default", "claim:mine"), ("default", "pod:p")]
    assert of_claims(views, claim("named"), None) == [("default", "pod:p")]
    assert of_claims(views, claim("named"), claim("named", labels={"x": "y"})) == [("default", "claim:named")]
    assert of_templates(views, None, ONE) == [("default", "pod:p")]


@pytest.mark.parametrize("phase, looked_at", [("Pending", True), ("Running", True), ("Succeeded", False)])
def test_a_pod_that_has_ended_gets_no_claims(phase: str, looked_at: bool) -> None:
    """Its claims are given back; to make them anew would go on for ever."""
    found = pod(phase=phase)
    views: Any = lambda kind: view_of(kind, *([found] if kind is POD else []))  # noqa: E731
    world = CONTROLLER.gather(views, (found.metadata.namespace, f"pod:{found.metadata.name}"))
    assert (world is not None) == looked_at
