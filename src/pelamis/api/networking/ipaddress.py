"""IPAddress: the record that a cluster IP is taken, named by the address, and by whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pelamis.api.cell import NONE
from pelamis.api.check import Errors, check_immutable, check_required_text, check_text
from pelamis.api.field import F, Struct, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta
from pelamis.api.networking.address import is_canonical_ip
from pelamis.api.table import age
from pelamis.base import names
from pelamis.base.errors import required


class ParentReference(Struct, frozen=True):
    group: Annotated[str, F(1, "Group of the owner.")] = ""
    resource: Annotated[str, F(2, "Resource of the owner, such as services.", required=True)] = ""
    namespace: Annotated[str, F(3, "Namespace of the owner.")] = ""
    name: Annotated[str, F(4, "Name of the object referred to.", required=True)] = ""


class IPAddressSpec(Struct, frozen=True):
    parentRef: Annotated[ParentReference | None, F(1, "Who has the address.", required=True)] = None


class IPAddress(Struct, frozen=True):
    """The record that a cluster IP is taken, named by the address, and by whom."""

    kind: str = always(lambda: "IPAddress")
    apiVersion: str = always(lambda: "networking.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1, "Standard object metadata.")] = always(ObjectMeta)
    spec: Annotated[IPAddressSpec, F(2, "What is wanted.", required=True)] = always(IPAddressSpec)


def validate(obj: IPAddress) -> Errors:
    ref, path = obj.spec.parentRef, "spec.parentRef"
    if ref is None:
        return [required(path)]
    errors: Errors = []
    if ref.group:
        errors += check_text(names.is_dns1123_subdomain, ref.group, f"{path}.group")
    errors += check_required_text(names.is_path_segment, ref.resource, f"{path}.resource")
    errors += check_required_text(names.is_path_segment, ref.name, f"{path}.name")
    if ref.namespace:
        errors += check_text(names.is_path_segment, ref.namespace, f"{path}.namespace")
    return errors


def validate_update(obj: IPAddress, old: IPAddress) -> Errors:
    return check_immutable(obj.spec.parentRef, old.spec.parentRef, "spec.parentRef")


def cells(obj: IPAddress, now: float) -> Sequence[Any]:
    ref = obj.spec.parentRef
    parent = NONE
    if ref is not None:
        parent = (f"{ref.resource}.{ref.group}" if ref.group else ref.resource).lower()
        parent = "/".join(part for part in (parent, ref.namespace, ref.name) if part)
    return obj.metadata.name, parent, age(obj.metadata.creationTimestamp, now)


MANAGED_BY, ALLOCATOR = "ipaddress.kubernetes.io/managed-by", "ipallocator.k8s.io"
"""The label of the addresses that API servers give, and what it says."""

KIND = Kind(
    group="networking.k8s.io",
    version="v1",
    type=IPAddress,
    plural="ipaddresses",
    singular="ipaddress",
    short_names=("ip",),
    namespaced=False,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    columns=(
        Column("Name", "string", format="name"),
        Column("ParentRef", "string"),
        Column("Age", "string"),
    ),
    storage_hash="3f/plJFChNE=",
    cells=cells,
    validate=validate,
    validate_update=validate_update,
    validate_name=is_canonical_ip,
)
