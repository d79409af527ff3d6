"""Who may change which part of a resource claim."""

from __future__ import annotations

from typing import Any

import pytest

from pelamis.api import codec
from pelamis.api.resource.resourceclaim import KIND, prepare_status
from pelamis.apiserver.admission.deviceclaims import PLUGIN
from pelamis.apiserver.authz.attributes import Attributes, Decision
from pelamis.apiserver.user import User
from pelamis.apiserver.write import Write
from pelamis.base.errors import StatusError

from .test_plugins import REGISTRY, World, struct

Tree = dict[str, Any]
API = {"apiVersion": "resource.k8s.io/v1"}
ACCOUNT = "system:serviceaccount:d:driver"
NODE = {"authentication.kubernetes.io/node-name": ("n1",)}
ON_NODE = {"nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}]}
UPDATED = 'User "u" cannot update resource "resourceclaims/binding" in API group "resource.k8s.io" at the cluster scope'


class Rights(World):
    """given: ``verb subresource name`` that are allowed."""

    def __init__(self, *given: str, admin: bool = False) -> None:
        labels = {"resource.kubernetes.io/admin-access": "true"} if admin else {}
        super().__init__({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default", "labels": labels}})
        self._given = given

    def authorize(self, user: User, a: Attributes) -> Decision:
        return Decision(f"{a.verb} {a.subresource} {a.name}".strip() in self._given)


class _Entry:
    def __init__(self, obj: Any) -> None:
        self.obj = obj


def result(**more: Any) -> Tree:
    return {"request": "r", "driver": "d.example.com", "pool": "p", "device": "x", **more}


def status(*, users: tuple[str, ...] = (), allocated: bool = True, told: str = "", **more: Any) -> Tree:
    """told: by a condition of the device. more: of the result."""
    out: Tree = {}
    selector = {"nodeSelector": more.pop("selector")} if "selector" in more else {}
    if allocated:
        out["allocation"] = {"devices": {"results": [result(**more)]}, **selector}
    if users:
        out["reservedFor"] = [{"resource": "pods", "name": u, "uid": u} for u in users]
    if told:
        condition = {"type": told, "status": "True", "reason": "R", "message": "", "lastTransitionTime": None}
        out["devices"] = [{"driver": "d.example.com", "pool": "p", "device": "x", "conditions": [condition]}]
    return out


def admit(
    world: World, kind: str, spec: Tree, was: Tree | None = None, now: Tree | None = None, user: Any = None
) -> str:
    """The refusal, "" = none. was, now: the status."""
    meta = {"name": "c", "namespace": "default", "uid": "u"}
    tree = {**API, "kind": kind, "metadata": meta, "spec": spec}
    found = REGISTRY.by_api_version(API["apiVersion"], kind)
    assert found is not None
    write = Write("create", found, user or User("u"), "default", "c", tree=tree)
    write.operation = "CREATE"
    new = struct(tree)
    if was is not None:
        write.verb, write.operation, write.subresource = "update", "UPDATE", "status"
        write.old = _Entry(struct({**tree, "status": was}))  # type: ignore[assignment]
        new = struct({**tree, "status": now})
    assert PLUGIN.validate is not None
    try:
        PLUGIN.validate(write, new, world)  # type: ignore[arg-type]
    except StatusError as error:
        assert (error.code, error.reason) == (422, "Invalid")
        return str(error.message)
    return ""


ADMIN: Tree = {"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "c", "adminAccess": True}}]}}
PLAIN: Tree = {"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "c"}}]}}
LABEL = (
    "admin access to devices requires the `resource.kubernetes.io/admin-access: true` label on the containing namespace"
)


@pytest.mark.parametrize("kind", ["ResourceClaim", "ResourceClaimTemplate"])
def test_access_for_administration_needs_a_label(kind: str) -> None:
    admin, plain = ({"spec": s} if kind == "ResourceClaimTemplate" else s for s in (ADMIN, PLAIN))
    where = "spec.devices.requests[0].adminAccess"
    assert admit(Rights(), kind, admin) == f'{kind}.resource.k8s.io "c" is invalid: {where}: Forbidden: {LABEL}'
    assert not admit(Rights(admin=True), kind, admin)
    assert not admit(Rights(), kind, plain)


BINDING = f'changing status.allocation or status.reservedFor requires resource="resourceclaims/binding", verb="update" permission: resourceclaims.resource.k8s.io is forbidden: {UPDATED}'  # noqa: E501
DRIVER = 'changing status.devices requires resource="resourceclaims/driver", verb="'


@pytest.mark.parametrize(
    ("rights", "was", "now", "user", "wanted"),
    [
        ((), {}, status(), None, f"status.allocation: Forbidden: {BINDING}"),
        ((), status(), status(users=("a",)), None, BINDING),
        ((), status(users=("a",)), status(users=("a",)), None, ""),
        (("update binding",), {}, status(), None, ""),
        (("update binding",), {}, status(adminAccess=True), None, LABEL),
        ((), status(adminAccess=True), status(adminAccess=True), None, ""),
        ((), status(), status(told="Ready"), None, DRIVER + '[arbitrary-node:update]"'),
        (("arbitrary-node:update driver d.example.com",), status(), status(told="Ready"), None, ""),
        (("arbitrary-node:update driver other",), status(), status(told="Ready"), None, DRIVER),
        (("associated-node:update driver d.example.com",), status(), status(told="Ready"), None, DRIVER),
        (
            ("associated-node:update driver d.example.com",),
            status(selector=ON_NODE),
            status(selector=ON_NODE, told="Ready"),
            User(ACCOUNT, extra=NODE),
            "",
        ),
        (
            (),
            status(selector=ON_NODE),
            status(selector=ON_NODE, told="Ready"),
            User(ACCOUNT, extra=NODE),
            DRIVER + '[associated-node:update arbitrary-node:update]"',
        ),
        (("update binding",), status(told="Ready"), {}, None, ""),
        ((), status(told="Ready"), status(), None, DRIVER),
    ],
)
def test_rights_to_parts_of_the_status(rights: Any, was: Tree, now: Tree, user: Any, wanted: str) -> None:
    found = admit(Rights(*rights), "ResourceClaim", PLAIN, was, now, user)
    assert wanted in found if wanted else not found


def test_what_drivers_said_goes_with_the_devices() -> None:
    before = {"status": status(told="Ready")}
    after: Tree = codec.to_tree({"status": {**status(allocated=False), "devices": before["status"]["devices"]}})
    prepare_status(after, before)
    assert "devices" not in after["status"]
    same: Tree = codec.to_tree(before)
    prepare_status(same, before)
    assert same == before
    assert KIND.prepare_status is prepare_status
