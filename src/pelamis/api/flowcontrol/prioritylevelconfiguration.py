"""PriorityLevelConfiguration: a share of the server's capacity, and what happens to requests beyond it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any

from pelamis.api.cell import NONE
from pelamis.api.check import Errors, check_required_choice
from pelamis.api.field import F, Int32, Struct, Time, Tree, always
from pelamis.api.flowcontrol.flowschema import validate_flow_conditions
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import ObjectMeta
from pelamis.api.table import age
from pelamis.base.errors import forbidden, invalid, required


class QueuingConfiguration(Struct, frozen=True):
    queues: Annotated[Int32, F(1, "Number of queues.")] = always(int)
    handSize: Annotated[Int32, F(2, "Queues that a flow is spread over.")] = always(int)
    queueLengthLimit: Annotated[Int32, F(3, "Requests that may wait in one queue.")] = always(int)


class LimitResponse(Struct, frozen=True):
    type: Annotated[str, F(1, "Queue or Reject.", required=True)] = always(str)
    queuing: Annotated[QueuingConfiguration | None, F(2, "The queues, for that type.")] = None


class LimitedPriorityLevelConfiguration(Struct, frozen=True):
    nominalConcurrencyShares: Annotated[
        Int32 | None, F(1, "Share of the server's seats, relative to the other levels.")
    ] = None
    limitResponse: Annotated[LimitResponse, F(2, "What becomes of a request without a free seat.", required=True)] = (
        always(LimitResponse)
    )
    lendablePercent: Annotated[Int32 | None, F(3, "Percent of its seats that others may borrow.", default=0)] = None
    borrowingLimitPercent: Annotated[
        Int32 | None, F(4, "Percent of its own seats that it may borrow on top; unset: no limit.")
    ] = None


class ExemptPriorityLevelConfiguration(Struct, frozen=True):
    nominalConcurrencyShares: Annotated[
        Int32 | None, F(1, "Share that counts as its own, relative to the other levels.", default=0)
    ] = None
    lendablePercent: Annotated[Int32 | None, F(2, "Percent of that share that others may borrow.", default=0)] = None


class PriorityLevelConfigurationSpec(Struct, frozen=True):
    type: Annotated[str, F(1, "Limited or Exempt.", required=True)] = always(str)
    limited: Annotated[LimitedPriorityLevelConfiguration | None, F(2, "Limits, for that type.")] = None
    exempt: Annotated[ExemptPriorityLevelConfiguration | None, F(3, "What an exempt level lends.")] = None


class PriorityLevelConfigurationCondition(Struct, frozen=True):
    type: Annotated[str, F(1, "Which condition this is.", required=True)] = ""
    status: Annotated[str, F(2, "True, False or Unknown.")] = ""
    lastTransitionTime: Annotated[Time, F(3, "When the status last changed.")] = ""
    reason: Annotated[str, F(4, "One word in CamelCase: why it is so.")] = ""
    message: Annotated[str, F(5, "The same for people.")] = ""


class PriorityLevelConfigurationStatus(Struct, frozen=True):
    conditions: Annotated[
        tuple[PriorityLevelConfigurationCondition, ...],
        F(1, "Observations of its state, one of each type.", merge="merge", key="type", list="map", keys=("type",)),
    ] = ()


class PriorityLevelConfiguration(Struct, frozen=True):
    """A share of the server's capacity, and what happens to requests beyond it."""

    kind: str = always(lambda: "PriorityLevelConfiguration")
    apiVersion: str = always(lambda: "flowcontrol.apiserver.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[PriorityLevelConfigurationSpec, F(2, required=True)] = always(PriorityLevelConfigurationSpec)
    status: Annotated[PriorityLevelConfigurationStatus, F(3)] = always(PriorityLevelConfigurationStatus)


_MOST_QUEUES, _HASH_BITS = 10_000_000, 60


def default(tree: Tree) -> None:
    spec = tree.setdefault("spec", {})
    if spec.get("type") == "Exempt":
        exempt = spec["exempt"] = spec.get("exempt") or {}
        for name in ("nominalConcurrencyShares", "lendablePercent"):
            if exempt.get(name) is None:
                exempt[name] = 0
    limited = spec.get("limited")
    if limited is None:
        return
    for name, value in (("nominalConcurrencyShares", 30), ("lendablePercent", 0)):
        if limited.get(name) is None:
            limited[name] = value
    queuing = (limited.get("limitResponse") or {}).get("queuing")
    if queuing is None:
        return
    for name, value in (("handSize", 8), ("queues", 64), ("queueLengthLimit", 50)):
        if not queuing.get(name):
            queuing[name] = value


def _entropy_bits(deck: int, hand: int) -> int:
    """Bits of a hash that dealing a hand of cards uses."""
    return math.ceil(math.log2(float(deck)) * hand) if deck > 1 else 1


def _validate_queuing(queuing: QueuingConfiguration, path: str) -> Errors:
    errors: Errors = []
    queues, hand = queuing.queues, queuing.handSize
    if queuing.queueLengthLimit <= 0:
        errors.append(invalid(f"{path}.queueLengthLimit", queuing.queueLengthLimit, "must be positive"))
    if queues <= 0:
        errors.append(invalid(f"{path}.queues", queues, "must be positive"))
    elif queues > _MOST_QUEUES:
        errors.append(invalid(f"{path}.queues", queues, f"must not be greater than {_MOST_QUEUES}"))
    if hand <= 0:
        errors.append(invalid(f"{path}.handSize", hand, "must be positive"))
    elif hand > queues:
        errors.append(invalid(f"{path}.handSize", hand, f"should not be greater than queues ({queues})"))
    elif _entropy_bits(queues, hand) > _HASH_BITS:
        detail = (
            f"required entropy bits of deckSize {queues} and handSize {hand} should not be greater than {_HASH_BITS}"
        )
        errors.append(invalid(f"{path}.handSize", hand, detail))
    return errors


def _validate_shares(level: LimitedPriorityLevelConfiguration | ExemptPriorityLevelConfiguration, path: str) -> Errors:
    errors: Errors = []
    shares, lendable = level.nominalConcurrencyShares, level.lendablePercent
    if shares is not None and shares < 0:
        errors.append(invalid(f"{path}.nominalConcurrencyShares", shares, "must be a non-negative integer"))
    if lendable is not None and not 0 <= lendable <= 100:
        errors.append(invalid(f"{path}.lendablePercent", lendable, "must be between 0 and 100, inclusive"))
    return errors


def _validate_limited(level: LimitedPriorityLevelConfiguration, path: str) -> Errors:
    errors = _validate_shares(level, path)
    borrowing = level.borrowingLimitPercent
    if borrowing is not None and borrowing < 0:
        detail = "if specified, must be a non-negative integer"
        errors.append(invalid(f"{path}.borrowingLimitPercent", borrowing, detail))
    response, where = level.limitResponse, f"{path}.limitResponse"
    if response.type == "Reject":
        if response.queuing is not None:
            detail = "must be nil if limited.limitResponse.type is not Limited"
            errors.append(forbidden(f"{where}.queuing", detail))
    elif response.type == "Queue":
        if response.queuing is None:
            detail = "must not be empty if limited.limitResponse.type is Limited"
            errors.append(required(f"{where}.queuing", detail))
        else:
            errors += _validate_queuing(response.queuing, f"{where}.queuing")
    else:
        errors += check_required_choice(response.type, f"{where}.type", ("Queue", "Reject"))
    return errors


def validate(obj: PriorityLevelConfiguration) -> Errors:
    spec = obj.spec
    errors: Errors = []
    if (obj.metadata.name == "exempt") != (spec.type == "Exempt"):
        errors.append(invalid("spec.type", spec.type, "type must be 'Exempt' if and only if name is 'exempt'"))
    if spec.type == "Exempt":
        if spec.limited is not None:
            errors.append(forbidden("spec.limited", "must be nil if the type is not Limited"))
        if spec.exempt is None:
            errors.append(required("spec.exempt", "must not be empty when type is Exempt"))
        else:
            errors += _validate_shares(spec.exempt, "spec.exempt")
    elif spec.type == "Limited":
        if spec.exempt is not None:
            errors.append(forbidden("spec.exempt", "must be nil if the type is Limited"))
        if spec.limited is None:
            errors.append(required("spec.limited", "must not be empty when type is Limited"))
        else:
            errors += _validate_limited(spec.limited, "spec.limited")
    else:
        errors += check_required_choice(spec.type, "spec.type", ("Exempt", "Limited"))
    return errors + validate_flow_conditions(obj.status.conditions)


def validate_update(obj: PriorityLevelConfiguration, old: PriorityLevelConfiguration) -> Errors:
    return validate(obj)


def validate_status_update(obj: PriorityLevelConfiguration, old: PriorityLevelConfiguration) -> Errors:
    return validate_flow_conditions(obj.status.conditions)


def cells(obj: PriorityLevelConfiguration, now: float) -> Sequence[Any]:
    limited = obj.spec.limited
    shares: Any = NONE if limited is None else limited.nominalConcurrencyShares
    queuing = None if limited is None else limited.limitResponse.queuing
    queues: Sequence[Any] = (NONE, NONE, NONE)
    if queuing is not None:
        queues = (queuing.queues, queuing.handSize, queuing.queueLengthLimit)
    return obj.metadata.name, obj.spec.type, shares, *queues, age(obj.metadata.creationTimestamp, now)


KIND = Kind(
    group="flowcontrol.apiserver.k8s.io",
    version="v1",
    type=PriorityLevelConfiguration,
    plural="prioritylevelconfigurations",
    singular="prioritylevelconfiguration",
    namespaced=False,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(
        Subresource(
            "status",
            "flowcontrol.apiserver.k8s.io",
            "v1",
            "PriorityLevelConfiguration",
            ("get", "patch", "update"),
            reset=("spec", "metadata"),
        ),
    ),
    reset=("status",),
    generation=True,
    columns=(
        Column("Name", "string", format="name"),
        Column("Type", "string"),
        Column("NominalConcurrencyShares", "string"),
        Column("Queues", "string"),
        Column("HandSize", "string"),
        Column("QueueLengthLimit", "string"),
        Column("Age", "string"),
    ),
    storage_hash="Kir5PVfvNeI=",
    cells=cells,
    default=default,
    validate=validate,
    validate_update=validate_update,
    validate_status_update=validate_status_update,
)
