"""StatefulSet: pods with a stable name, ordinal and volume claims each, made and removed in order.

``updateStrategy.type`` has no constant default: only where the whole type was unset does ``rollingUpdate`` appear.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from pelamis.api.apps.template import (
    compile_selector,
    validate_long_running,
    validate_match,
    validate_selector,
)
from pelamis.api.cell import format_containers
from pelamis.api.check import (
    Errors,
    amount,
    as_go,
    check_at_most_100_percent,
    check_choice,
    check_int_or_percent,
    check_nonnegative,
    check_text,
)
from pelamis.api.core.persistentvolumeclaim import PersistentVolumeClaim, claim_spec_warnings, validate_claim_spec
from pelamis.api.core.pod.default import default_pod_template
from pelamis.api.core.pod.template import PodTemplateSpec
from pelamis.api.core.pod.validate import validate_pod_template
from pelamis.api.core.pod.volume import PersistentVolumeClaimVolumeSource, Volume
from pelamis.api.core.pod.warnings import pod_template_warnings
from pelamis.api.field import F, Int32, Int64, IntOrString, Struct, Time, Tree, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import LabelSelector, ObjectMeta
from pelamis.api.metavalidate import validate_labels
from pelamis.api.table import age
from pelamis.base import names
from pelamis.base.errors import forbidden, invalid, required


class RollingUpdateStatefulSetStrategy(Struct, frozen=True):
    partition: Annotated[Int32 | None, F(1, "Pods with an ordinal below it keep the old template; 0 updates all.")] = (
        None
    )
    maxUnavailable: Annotated[
        IntOrString | None,
        F(2, "Most pods, as a number or a percentage (rounded up), that may be down during an update; 1 if unset."),
    ] = None


class StatefulSetUpdateStrategy(Struct, frozen=True):
    type: Annotated[
        str,
        F(
            1,
            "RollingUpdate, or OnDelete: a pod is replaced when somebody deletes it.",
            enum=(
                "RollingUpdate",
                "OnDelete",
                "Recreate",
            ),
        ),
    ] = ""
    rollingUpdate: Annotated[
        RollingUpdateStatefulSetStrategy | None, F(2, "Settings of type RollingUpdate; not for other types.")
    ] = None


class StatefulSetPersistentVolumeClaimRetentionPolicy(Struct, frozen=True):
    whenDeleted: Annotated[str, F(1, "Retain or Delete the claims when the StatefulSet is deleted.")] = ""
    whenScaled: Annotated[str, F(2, "Retain or Delete the claims of pods that scaling down removes.")] = ""


class StatefulSetOrdinals(Struct, frozen=True):
    start: Annotated[Int32, F(1, "Ordinal of the first pod; 0 if unset.")] = always(int)


class StatefulSetSpec(Struct, frozen=True):
    replicas: Annotated[Int32 | None, F(1, "Number of pods wanted; 1 if unset.", default=1)] = None
    selector: Annotated[
        LabelSelector | None,
        F(2, "Which pods belong to it, by their labels; it must match the template and cannot change.", required=True),
    ] = None
    template: Annotated[PodTemplateSpec, F(3, "The pod that is made.", required=True)] = always(PodTemplateSpec)
    volumeClaimTemplates: Annotated[
        tuple[PersistentVolumeClaim, ...],
        F(4, "Claims that each pod gets one of its own of, and keeps when it is replaced.", list="atomic"),
    ] = ()
    serviceName: Annotated[str, F(5, "The headless Service that gives the pods their names in DNS.")] = always(str)
    podManagementPolicy: Annotated[
        str,
        F(
            6,
            "OrderedReady makes and removes pods one by one, Parallel all at once.",
            enum=(
                "OrderedReady",
                "Parallel",
            ),
            default="OrderedReady",
        ),
    ] = ""
    updateStrategy: Annotated[StatefulSetUpdateStrategy, F(7, "How pods of an old template are replaced.")] = always(
        StatefulSetUpdateStrategy
    )
    revisionHistoryLimit: Annotated[
        Int32 | None, F(8, "How many old revisions are kept for rollback; 10 if unset.", default=10)
    ] = None
    minReadySeconds: Annotated[
        Int32, F(9, "Seconds that a new pod must be ready before it counts as available; 0 means at once.")
    ] = 0
    persistentVolumeClaimRetentionPolicy: Annotated[
        StatefulSetPersistentVolumeClaimRetentionPolicy | None,
        F(10, "What becomes of the claims; they are kept if unset."),
    ] = None
    ordinals: Annotated[StatefulSetOrdinals | None, F(11, "How pods are numbered.")] = None


class StatefulSetCondition(Struct, frozen=True):
    type: Annotated[str, F(1, "Type of the condition.")] = always(str)
    status: Annotated[str, F(2, "True, False or Unknown.")] = always(str)
    lastTransitionTime: Annotated[Time, F(3, "When the status last changed.")] = ""
    reason: Annotated[str, F(4, "One word in CamelCase for the last transition.")] = ""
    message: Annotated[str, F(5, "The last transition, for people.")] = ""


class StatefulSetStatus(Struct, frozen=True):
    observedGeneration: Annotated[Int64, F(1, "The generation of the object that the status was computed from.")] = 0
    replicas: Annotated[Int32, F(2, "Pods that exist.", required=True)] = always(int)
    readyReplicas: Annotated[Int32, F(3, "Pods that are ready.")] = 0
    currentReplicas: Annotated[Int32, F(4, "Pods of the revision that is being replaced.")] = 0
    updatedReplicas: Annotated[Int32, F(5, "Pods of the newest revision.")] = 0
    currentRevision: Annotated[str, F(6, "Name of the revision that pods still to be updated have.")] = ""
    updateRevision: Annotated[str, F(7, "Name of the newest revision.")] = ""
    collisionCount: Annotated[Int32 | None, F(9, "Counts hash collisions of generated names; feeds the next hash.")] = (
        None
    )
    conditions: Annotated[
        tuple[StatefulSetCondition, ...],
        F(10, "Latest observations, one for each type.", merge="merge", key="type", list="map", keys=("type",)),
    ] = ()
    availableReplicas: Annotated[Int32, F(11, "Pods that have been ready for minReadySeconds.")] = always(int)


class StatefulSet(Struct, frozen=True):
    """Pods with a stable name, ordinal and volume claims each, made and removed in order."""

    kind: str = always(lambda: "StatefulSet")
    apiVersion: str = always(lambda: "apps/v1")
    metadata: Annotated[ObjectMeta, F(1, "Standard object metadata.")] = always(ObjectMeta)
    spec: Annotated[StatefulSetSpec, F(2, "What is wanted.", required=True)] = always(StatefulSetSpec)
    status: Annotated[StatefulSetStatus, F(3, "What was observed; written by the system.")] = always(StatefulSetStatus)


def default(tree: Tree) -> None:
    spec = tree.setdefault("spec", {})
    strategy = spec.setdefault("updateStrategy", {})
    if not strategy.get("type"):
        strategy["type"] = "RollingUpdate"
        strategy.setdefault("rollingUpdate", {})
    if strategy["type"] == "RollingUpdate" and strategy.get("rollingUpdate") is not None:
        strategy["rollingUpdate"].setdefault("partition", 0)
        strategy["rollingUpdate"].setdefault("maxUnavailable", 1)
    retention = spec.setdefault("persistentVolumeClaimRetentionPolicy", {})
    for name in ("whenDeleted", "whenScaled"):
        if not retention.get(name):
            retention[name] = "Retain"
    for claim in spec.get("volumeClaimTemplates") or ():
        claim.update(apiVersion="v1", kind="PersistentVolumeClaim")
        claim.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")
        claim.setdefault("status", {}).setdefault("phase", "Pending")
    default_pod_template(spec.setdefault("template", {}))


def _validate_strategy(strategy: StatefulSetUpdateStrategy, path: str) -> Errors:
    rolling = strategy.rollingUpdate
    if not strategy.type:
        return [required(path)]
    if strategy.type == "OnDelete":
        if rolling is not None:
            detail = "only allowed for updateStrategy 'RollingUpdate'"
            return [invalid(f"{path}.rollingUpdate", rolling, detail)]
        return []
    if strategy.type != "RollingUpdate":
        return [invalid(path, as_go(strategy), "must be 'RollingUpdate' or 'OnDelete'")]
    if rolling is None:
        return []
    errors = check_nonnegative(rolling.partition, f"{path}.rollingUpdate.partition")
    if rolling.maxUnavailable is not None:
        path = f"{path}.rollingUpdate.maxUnavailable"
        errors += check_int_or_percent(rolling.maxUnavailable, path)
        if amount(rolling.maxUnavailable) == 0:
            errors.append(invalid(path, rolling.maxUnavailable, "cannot be 0"))
        errors += check_at_most_100_percent(rolling.maxUnavailable, path)
    return errors


def _with_claims(spec: StatefulSetSpec) -> PodTemplateSpec:
    """The template as its pods will have it: a volume for each claim, in place of one with the same name."""
    pod = spec.template.spec
    if not spec.volumeClaimTemplates and not pod.subdomain and not pod.hostname:
        return spec.template
    # once each, whatever is given twice; the host's names are made by the controller
    taken = dict.fromkeys(claim.metadata.name for claim in spec.volumeClaimTemplates)
    claims = tuple(
        Volume(name=name, persistentVolumeClaim=PersistentVolumeClaimVolumeSource(claimName=name)) for name in taken
    )
    kept = tuple(volume for volume in pod.volumes if volume.name not in taken)
    pod = msgspec.structs.replace(pod, volumes=claims + kept, subdomain="", hostname="")
    return msgspec.structs.replace(spec.template, spec=pod)


def validate(obj: StatefulSet) -> Errors:
    spec = obj.spec
    errors: Errors = []
    policy = spec.podManagementPolicy
    if not policy:
        errors.append(required("spec.podManagementPolicy"))
    elif policy not in ("OrderedReady", "Parallel"):
        errors.append(invalid("spec.podManagementPolicy", policy, "must be 'OrderedReady' or 'Parallel'"))
    errors += _validate_strategy(spec.updateStrategy, "spec.updateStrategy")
    retention = spec.persistentVolumeClaimRetentionPolicy
    if retention is not None:
        path = "spec.persistentVolumeClaimRetentionPolicy"
        errors += check_choice(retention.whenDeleted, f"{path}.whenDeleted", ("Retain", "Delete"))
        errors += check_choice(retention.whenScaled, f"{path}.whenScaled", ("Retain", "Delete"))
    for i, claim in enumerate(spec.volumeClaimTemplates):
        errors += validate_claim_spec(claim.spec, f"spec.volumeClaimTemplates[{i}].spec")
    errors += check_nonnegative(spec.replicas, "spec.replicas")
    errors += check_nonnegative(spec.minReadySeconds, "spec.minReadySeconds")
    if spec.ordinals is not None:
        errors += check_nonnegative(spec.ordinals.start, "spec.ordinals.start")
    errors += validate_selector(spec.selector, "spec.selector", "empty selector is invalid for statefulset")
    selector = compile_selector(spec.selector)
    if selector is None:
        errors.append(invalid("spec.selector", spec.selector, ""))
    else:
        errors += validate_match(selector, spec.template, "spec.template")
        errors += validate_pod_template(_with_claims(spec), "spec.template")
        errors += validate_labels(spec.template.metadata.labels, "spec.template.labels")
    errors += validate_long_running(spec.template, "spec.template", "StatefulSet")
    errors += check_nonnegative(spec.revisionHistoryLimit, "spec.revisionHistoryLimit")
    return errors


def validate_create(obj: StatefulSet) -> Errors:
    """Also what objects from before the rule may break."""
    errors = validate(obj)
    if obj.spec.serviceName:
        errors += check_text(names.is_dns1123_label, obj.spec.serviceName, "spec.serviceName")
    return errors


def validate_update(obj: StatefulSet, old: StatefulSet) -> Errors:
    new, was = obj.spec, old.spec
    errors: Errors = []
    same = msgspec.structs.replace(
        new,
        replicas=was.replicas,
        ordinals=was.ordinals,
        template=was.template,
        updateStrategy=was.updateStrategy,
        revisionHistoryLimit=was.revisionHistoryLimit,
        persistentVolumeClaimRetentionPolicy=was.persistentVolumeClaimRetentionPolicy,
        minReadySeconds=was.minReadySeconds,
    )
    if same != was:
        errors.append(
            forbidden(
                "spec",
                "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
                "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and "
                "'minReadySeconds' are forbidden",
            )
        )
    return errors + validate(obj)


def validate_status_update(obj: StatefulSet, old: StatefulSet) -> Errors:
    status = obj.status
    errors: Errors = []
    for name in (
        "replicas",
        "readyReplicas",
        "currentReplicas",
        "updatedReplicas",
        "availableReplicas",
        "observedGeneration",
        "collisionCount",
    ):
        errors += check_nonnegative(getattr(status, name), f"status.{name}")
    for name in ("readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"):
        if getattr(status, name) > status.replicas:
            errors.append(invalid(f"status.{name}", getattr(status, name), "cannot be greater than status.replicas"))
    if status.availableReplicas > status.readyReplicas:
        errors.append(
            invalid("status.availableReplicas", status.availableReplicas, "cannot be greater than status.readyReplicas")
        )
    if (status.collisionCount or 0) < (old.status.collisionCount or 0):
        errors.append(invalid("status.collisionCount", status.collisionCount or 0, "cannot be decremented"))
    return errors


def _more_warnings(obj: StatefulSet) -> list[str]:
    out: list[str] = []
    for i, claim in enumerate(obj.spec.volumeClaimTemplates):
        out += claim_spec_warnings(claim.spec, f"spec.volumeClaimTemplates[{i}]")
    if obj.spec.revisionHistoryLimit is not None and obj.spec.revisionHistoryLimit < 0:
        out.append(
            "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended"
        )
    return out


def warnings(obj: StatefulSet) -> list[str]:
    return pod_template_warnings(obj.spec.template, "spec.template") + _more_warnings(obj)


def cells(obj: StatefulSet, now: float) -> Sequence[Any]:
    containers, images = format_containers(obj.spec.template.spec)
    return (
        obj.metadata.name,
        f"{obj.status.readyReplicas}/{obj.spec.replicas or 0}",
        age(obj.metadata.creationTimestamp, now),
        containers,
        images,
    )


KIND = Kind(
    group="apps",
    version="v1",
    type=StatefulSet,
    plural="statefulsets",
    singular="statefulset",
    short_names=("sts",),
    categories=("all",),
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(
        Subresource("scale", "autoscaling", "v1", "Scale", ("get", "patch", "update")),
        Subresource("status", "apps", "v1", "StatefulSet", ("get", "patch", "update"), reset=("spec",)),
    ),
    reset=("status",),
    generation=True,
    columns=(
        Column("Name", "string", format="name"),
        Column("Ready", "string"),
        Column("Age", "string"),
        Column("Containers", "string", priority=1),
        Column("Images", "string", priority=1),
    ),
    storage_hash="H+vl74LkKdo=",
    cells=cells,
    default=default,
    validate=validate_create,
    warnings=warnings,
    update_warnings=warnings,
    validate_name=names.is_dns1123_label,
    validate_update=validate_update,
    validate_status_update=validate_status_update,
)
