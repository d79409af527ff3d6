"""ServiceCIDR: networks that cluster IPs are allocated from, one for each address family."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pelamis.api.check import Errors, check_immutable, check_text
from pelamis.api.field import F, Struct, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import Condition, ObjectMeta
from pelamis.api.networking.address import families, is_canonical_cidr
from pelamis.api.table import age
from pelamis.base import names
from pelamis.base.errors import invalid, required


class ServiceCIDRSpec(Struct, frozen=True):
    cidrs: Annotated[
        tuple[str, ...],
        F(1, "Networks, one for each address family; only a second family may be added later.", list="atomic"),
    ] = ()


class ServiceCIDRStatus(Struct, frozen=True):
    conditions: Annotated[
        tuple[Condition, ...],
        F(1, "Latest observations, one for each type.", merge="merge", key="type", list="map", keys=("type",)),
    ] = ()


class ServiceCIDR(Struct, frozen=True):
    """Networks that cluster IPs are allocated from, one for each address family."""

    kind: str = always(lambda: "ServiceCIDR")
    apiVersion: str = always(lambda: "networking.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1, "Standard object metadata.")] = always(ObjectMeta)
    spec: Annotated[ServiceCIDRSpec, F(2, "What is wanted.")] = always(ServiceCIDRSpec)
    status: Annotated[ServiceCIDRStatus, F(3, "What was observed; written by the system.")] = always(ServiceCIDRStatus)


def validate(obj: ServiceCIDR) -> Errors:
    cidrs, path = obj.spec.cidrs, "spec.cidrs"
    if not cidrs:
        return [required(path, "at least one CIDR required")]
    if len(cidrs) > 2:
        return [invalid(path, cidrs, "may only hold up to 2 values")]
    if len(cidrs) == 2 and (any(map(names.is_cidr, cidrs)) or len(families(cidrs)) != 2):
        detail = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
        return [invalid(path, cidrs, detail)]
    return [e for i, cidr in enumerate(cidrs) for e in check_text(is_canonical_cidr, cidr, f"{path}[{i}]")]


def validate_update(obj: ServiceCIDR, old: ServiceCIDR) -> Errors:
    """Only a second family may be added."""
    new, was, path = obj.spec.cidrs, old.spec.cidrs, "spec.cidrs"
    if len(new) == len(was):
        return [e for i, cidr in enumerate(new) for e in check_immutable(cidr, was[i], f"{path}[{i}]")]
    if len(was) == 1 and len(new) == 2:
        return check_immutable(new[0], was[0], f"{path}[0]") + validate(obj)
    return check_immutable(new, was, path)


def validate_status_update(obj: ServiceCIDR, old: ServiceCIDR) -> Errors:
    """Nothing: the condition that upstream's components set has no reason."""
    return []


def cells(obj: ServiceCIDR, now: float) -> Sequence[Any]:
    return obj.metadata.name, ",".join(obj.spec.cidrs), age(obj.metadata.creationTimestamp, now)


KIND = Kind(
    group="networking.k8s.io",
    version="v1",
    type=ServiceCIDR,
    plural="servicecidrs",
    singular="servicecidr",
    namespaced=False,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(
        Subresource("status", "networking.k8s.io", "v1", "ServiceCIDR", ("get", "patch", "update"), reset=("spec",)),
    ),
    columns=(
        Column("Name", "string", format="name"),
        Column("CIDRs", "string"),
        Column("Age", "string"),
    ),
    storage_hash="gNLvruQhW2g=",
    reset=("status",),
    cells=cells,
    validate=validate,
    validate_update=validate_update,
    validate_status_update=validate_status_update,
)
