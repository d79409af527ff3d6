"""LeaseCandidate: somebody who could hold a Lease, for elections in which the server chooses the holder."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any

from pelamis.api.check import Errors, check_immutable
from pelamis.api.coordination.lease import STRATEGY, check_strategy
from pelamis.api.field import F, MicroTime, Struct, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta
from pelamis.api.table import age
from pelamis.base import names
from pelamis.base.errors import invalid, required


class LeaseCandidateSpec(Struct, frozen=True):
    leaseName: Annotated[str, F(1, "Name of the Lease, in the same namespace; fixed.", required=True)] = always(str)
    pingTime: Annotated[MicroTime | None, F(2, "When the server last asked whether the candidate lives.")] = None
    renewTime: Annotated[MicroTime | None, F(3, "When the candidate last said so.")] = None
    binaryVersion: Annotated[str, F(4, "Version of the candidate's program, a semantic version.", required=True)] = (
        always(str)
    )
    emulationVersion: Annotated[str, F(5, "Version that it behaves like; not above binaryVersion.")] = ""
    strategy: Annotated[
        str, F(6, "How the holder is chosen: OldestEmulationVersion, or a name with a domain.", required=True)
    ] = ""


class LeaseCandidate(Struct, frozen=True):
    """Somebody who could hold a Lease, for elections in which the server chooses the holder."""

    kind: str = always(lambda: "LeaseCandidate")
    apiVersion: str = always(lambda: "coordination.k8s.io/v1beta1")
    metadata: Annotated[ObjectMeta, F(1, "Standard object metadata.")] = always(ObjectMeta)
    spec: Annotated[LeaseCandidateSpec, F(2, "What is wanted.", required=True)] = always(LeaseCandidateSpec)


_NUMBER = r"(?:0|[1-9]\d*)"
_SEMVER = re.compile(
    rf"({_NUMBER})\.({_NUMBER})\.({_NUMBER})"
    rf"(?:-((?:{_NUMBER}|\d*[A-Za-z-][0-9A-Za-z-]*)(?:\.(?:{_NUMBER}|\d*[A-Za-z-][0-9A-Za-z-]*))*))?(?:\+[0-9A-Za-z.-]+)?",
    re.ASCII,
)
_NOT_SEMANTIC = "must be a valid semantic version"
Version = tuple[int, int, int, tuple[int, tuple[tuple[int, int, str], ...]]]


def _version(text: str) -> Version | None:
    """In order of precedence; None: it is no semantic version."""
    found = _SEMVER.fullmatch(text)
    if found is None:
        return None
    pre = tuple((0, int(p), "") if p.isdigit() else (1, 0, p) for p in (found[4] or "").split(".") if p)
    return int(found[1]), int(found[2]), int(found[3]), (0 if pre else 1, pre)


def validate(obj: LeaseCandidate) -> Errors:
    spec = obj.spec
    errors: Errors = [] if spec.leaseName else [required("spec.leaseName")]
    emulated, binary = _version(spec.emulationVersion), _version(spec.binaryVersion)
    if spec.emulationVersion and emulated is None:
        errors.append(invalid("spec.emulationVersion", spec.emulationVersion, _NOT_SEMANTIC))
    if not spec.binaryVersion:
        errors.append(required("spec.binaryVersion"))
    elif binary is None:
        errors.append(invalid("spec.binaryVersion", spec.binaryVersion, _NOT_SEMANTIC))
    if spec.binaryVersion and emulated is not None and (binary is None or binary < emulated):
        detail = "must be greater than or equal to `emulationVersion`"
        errors.append(invalid("spec.binaryVersion", spec.binaryVersion, detail))
    if not spec.strategy:
        return [*errors, required("spec.strategy")]
    if spec.strategy == STRATEGY and (emulated is None or emulated[:3] == (0, 0, 0)):
        detail = "must be specified when `strategy` is 'OldestEmulationVersion'"
        errors.append(required("spec.emulationVersion", detail))
    return errors + check_strategy(spec.strategy, "spec.strategy")


def validate_update(obj: LeaseCandidate, old: LeaseCandidate) -> Errors:
    return validate(obj) + check_immutable(obj.spec.leaseName, old.spec.leaseName, "spec.leaseName")


def cells(obj: LeaseCandidate, now: float) -> Sequence[Any]:
    spec = obj.spec
    return (
        obj.metadata.name,
        spec.leaseName,
        spec.binaryVersion,
        spec.emulationVersion,
        age(obj.metadata.creationTimestamp, now),
    )


KIND = Kind(
    group="coordination.k8s.io",
    version="v1beta1",
    type=LeaseCandidate,
    plural="leasecandidates",
    singular="leasecandidate",
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    create_on_update=True,
    unconditional_update=False,
    columns=(
        Column("Name", "string", format="name"),
        Column("LeaseName", "string"),
        Column("BinaryVersion", "string"),
        Column("EmulationVersion", "string"),
        Column("Age", "string"),
    ),
    storage_hash="lvME0iHWE20=",
    cells=cells,
    validate=validate,
    validate_update=validate_update,
    validate_name=names.is_config_map_key,
    deprecated="coordination.k8s.io/v1beta1 LeaseCandidate is deprecated in v1.36+, unavailable in v1.39+",
)
