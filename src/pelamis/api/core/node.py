"""Node: a machine that runs pods. The kubelet writes its status, others its taints and address range."""

from __future__ import annotations

import json
from typing import Annotated, Any

import msgspec

from pelamis.api.check import as_go
from pelamis.api.core.amount import check_amount
from pelamis.api.core.iptext import warn_cidr
from pelamis.api.field import F, Int32, Int64, Quantity, Struct, Time, Tree, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import ObjectMeta
from pelamis.api.table import age
from pelamis.base import names
from pelamis.base.errors import FieldError, duplicate, forbidden, invalid, not_supported, required
from pelamis.base.tree import copy, keep


class Taint(Struct, frozen=True):
    """Keeps pods away that do not tolerate it."""

    key: Annotated[str, F(1, "Taint key.", required=True)] = always(str)
    value: Annotated[str, F(2, "Taint value.")] = ""
    effect: Annotated[
        str,
        F(
            3,
            "NoSchedule, PreferNoSchedule or NoExecute (evicts as well).",
            enum=(
                "NoSchedule",
                "PreferNoSchedule",
                "NoExecute",
            ),
            required=True,
        ),
    ] = always(str)
    timeAdded: Annotated[Time | None, F(4, "When it was added; for NoExecute.")] = None


class ConfigMapNodeConfigSource(Struct, frozen=True):
    """Out of use."""

    namespace: Annotated[str, F(1, "Namespace of the ConfigMap.", required=True)] = always(str)
    name: Annotated[str, F(2, "Name of the ConfigMap.", required=True)] = always(str)
    uid: Annotated[str, F(3, "Id of the ConfigMap.")] = ""
    resourceVersion: Annotated[str, F(4, "Version of the ConfigMap.")] = ""
    kubeletConfigKey: Annotated[str, F(5, "Key in the ConfigMap.", required=True)] = always(str)


class NodeConfigSource(Struct, frozen=True):
    """Out of use."""

    configMap: Annotated[ConfigMapNodeConfigSource | None, F(2, "A ConfigMap.")] = None


class NodePodPreemptionPolicy(Struct, frozen=True):
    """How pods are pushed off the node."""

    disableResizePreemption: Annotated[
        tuple[str, ...], F(1, "Resources for whose resize nobody is pushed off.", list="set")
    ] = ()


class NodeSpec(Struct, frozen=True):
    """What others want of a node."""

    podCIDR: Annotated[str, F(1, "Address range of its pods; the first of podCIDRs.")] = ""
    podCIDRs: Annotated[
        tuple[str, ...],
        F(7, "Address ranges of its pods, at most one of each family; fixed once set.", merge="merge", list="set"),
    ] = ()
    providerID: Annotated[str, F(3, "Its id at the cloud provider; fixed once set.")] = ""
    unschedulable: Annotated[bool, F(4, "Whether no new pods are placed on it.")] = False
    taints: Annotated[tuple[Taint, ...], F(5, "Its taints, unique by key and effect.", list="atomic")] = ()
    configSource: Annotated[NodeConfigSource | None, F(6, "Out of use.")] = None
    externalID: Annotated[str, F(2, "Out of use.")] = ""
    podPreemptionPolicy: Annotated[NodePodPreemptionPolicy | None, F(8, "How pods are pushed off the node.")] = None


class NodeCondition(Struct, frozen=True):
    """One aspect of a node's state."""

    type: Annotated[
        str, F(1, "Ready, MemoryPressure, DiskPressure, PIDPressure, NetworkUnavailable, ...", required=True)
    ] = always(str)
    status: Annotated[str, F(2, "True, False or Unknown.", required=True)] = always(str)
    lastHeartbeatTime: Annotated[Time, F(3, "When it was last confirmed.")] = ""
    lastTransitionTime: Annotated[Time, F(4, "When status last changed.")] = ""
    reason: Annotated[str, F(5, "One word in CamelCase.")] = ""
    message: Annotated[str, F(6, "Text for people.")] = ""


class NodeAddress(Struct, frozen=True):
    """An address of a node."""

    type: Annotated[str, F(1, "Hostname, InternalIP, ExternalIP, InternalDNS or ExternalDNS.", required=True)] = always(
        str
    )
    address: Annotated[str, F(2, "The address.", required=True)] = always(str)


class DaemonEndpoint(Struct, frozen=True):
    """Where a daemon listens."""

    Port: Annotated[Int32, F(1, "Port number.", required=True)] = always(int)


class NodeDaemonEndpoints(Struct, frozen=True):
    """Where the node's daemons listen."""

    kubeletEndpoint: Annotated[DaemonEndpoint, F(1, "The kubelet.")] = always(DaemonEndpoint)


class NodeSwapStatus(Struct, frozen=True):
    """Swap space."""

    capacity: Annotated[Int64 | None, F(1, "Bytes.")] = None


class NodeSystemInfo(Struct, frozen=True):
    """What the machine is."""

    machineID: Annotated[str, F(1, "Id of the installation.", required=True)] = always(str)
    systemUUID: Annotated[str, F(2, "Id of the hardware.", required=True)] = always(str)
    bootID: Annotated[str, F(3, "Id of this boot.", required=True)] = always(str)
    kernelVersion: Annotated[str, F(4, "Kernel release.", required=True)] = always(str)
    osImage: Annotated[str, F(5, "Name of the system.", required=True)] = always(str)
    containerRuntimeVersion: Annotated[str, F(6, "Runtime and version.", required=True)] = always(str)
    kubeletVersion: Annotated[str, F(7, "Version of the kubelet.", required=True)] = always(str)
    kubeProxyVersion: Annotated[str, F(8, "Out of use.", required=True)] = always(str)
    operatingSystem: Annotated[str, F(9, "linux or windows.", required=True)] = always(str)
    architecture: Annotated[str, F(10, "amd64, arm64, ...", required=True)] = always(str)
    swap: Annotated[NodeSwapStatus | None, F(11, "Swap space.")] = None
    runningInUserNamespace: Annotated[bool | None, F(None, "Whether the kubelet runs in a user namespace.")] = None


class ContainerImage(Struct, frozen=True):
    """An image on the node."""

    names: Annotated[tuple[str, ...], F(1, "Its references.", list="atomic")] = always(tuple)
    sizeBytes: Annotated[Int64, F(2, "Its size.")] = 0


class AttachedVolume(Struct, frozen=True):
    """A volume attached to the node."""

    name: Annotated[str, F(1, "Unique name of the volume.", required=True)] = always(str)
    devicePath: Annotated[str, F(2, "Where it appears.", required=True)] = always(str)


class NodeConfigStatus(Struct, frozen=True):
    """Out of use."""

    assigned: Annotated[NodeConfigSource | None, F(1, "Configuration to use next.")] = None
    active: Annotated[NodeConfigSource | None, F(2, "Configuration in use.")] = None
    lastKnownGood: Annotated[NodeConfigSource | None, F(3, "Configuration to fall back to.")] = None
    error: Annotated[str, F(4, "What is wrong.")] = ""


class NodeRuntimeHandlerFeatures(Struct, frozen=True):
    """What a runtime handler can do."""

    recursiveReadOnlyMounts: Annotated[bool | None, F(1, "Read-only mounts all the way down.")] = None
    userNamespaces: Annotated[bool | None, F(2, "User namespaces.")] = None


class NodeRuntimeHandler(Struct, frozen=True):
    """A handler of the container runtime."""

    name: Annotated[str, F(1, "Name; empty: the default.")] = always(str)
    features: Annotated[NodeRuntimeHandlerFeatures | None, F(2, "What it can do.")] = None


class NodeFeatures(Struct, frozen=True):
    """What the node can do."""

    supplementalGroupsPolicy: Annotated[bool | None, F(1, "Strict supplemental groups.")] = None


class NodeStatus(Struct, frozen=True):
    """What a node reports."""

    capacity: Annotated[dict[str, Quantity], F(1, "All resources.")] = {}
    allocatable: Annotated[dict[str, Quantity], F(2, "Resources for pods.")] = {}
    phase: Annotated[
        str,
        F(
            3,
            "Out of use.",
            enum=(
                "Pending",
                "Running",
                "Terminated",
            ),
        ),
    ] = ""
    conditions: Annotated[
        tuple[NodeCondition, ...], F(4, "Aspects of its state.", merge="merge", key="type", list="map", keys=("type",))
    ] = ()
    addresses: Annotated[
        tuple[NodeAddress, ...], F(5, "Its addresses.", merge="merge", key="type", list="map", keys=("type",))
    ] = ()
    daemonEndpoints: Annotated[NodeDaemonEndpoints, F(6, "Where its daemons listen.")] = always(NodeDaemonEndpoints)
    nodeInfo: Annotated[NodeSystemInfo, F(7, "What the machine is.")] = always(NodeSystemInfo)
    images: Annotated[tuple[ContainerImage, ...], F(8, "Images on it, the largest first.", list="atomic")] = ()
    volumesInUse: Annotated[tuple[str, ...], F(9, "Attachable volumes that pods use.", list="atomic")] = ()
    volumesAttached: Annotated[tuple[AttachedVolume, ...], F(10, "Volumes attached to it.", list="atomic")] = ()
    config: Annotated[NodeConfigStatus | None, F(11, "Out of use.")] = None
    runtimeHandlers: Annotated[tuple[NodeRuntimeHandler, ...], F(12, "Handlers of its runtime.", list="atomic")] = ()
    features: Annotated[NodeFeatures | None, F(13, "What it can do.")] = None
    declaredFeatures: Annotated[
        tuple[str, ...], F(14, "Names of features it declares, for placing pods.", list="atomic")
    ] = ()


class Node(Struct, frozen=True):
    """A machine that runs pods."""

    kind: str = always(lambda: "Node")
    apiVersion: str = always(lambda: "v1")
    metadata: Annotated[ObjectMeta, F(1, "Name, labels and other metadata.")] = always(ObjectMeta)
    spec: Annotated[NodeSpec, F(2, "What others want of it.")] = always(NodeSpec)
    status: Annotated[NodeStatus, F(3, "What it reports.")] = always(NodeStatus)


_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_ROLE_PREFIX = "node-role.kubernetes.io/"
_ROLE = "kubernetes.io/role"
_TAINTS = "scheduler.alpha.kubernetes.io/taints"


def default(tree: Tree) -> None:
    """What can be given to pods is all there is, unless stated; podCIDR is the first of podCIDRs."""
    status = tree.get("status") or {}
    if status.get("allocatable") is None and status.get("capacity"):
        status["allocatable"] = copy(status["capacity"])
    spec = tree.get("spec") or {}
    one, several = spec.get("podCIDR"), spec.get("podCIDRs")
    if one and (not several or several[0] != one):
        spec["podCIDRs"] = [one]
    elif several and not one:
        spec["podCIDR"] = several[0]


def _settles(new: Node, old: Node) -> bool:
    return bool(new.status.allocatable) or not new.status.capacity


def prepare_update(tree: Tree, old: Tree) -> None:
    """Status changes through its subresource only. (Not the kind's ``reset``: a new node comes with its status.)"""
    keep(tree, old, "status")


def _check_taints(taints: tuple[Taint, ...], path: str, errors: list[FieldError]) -> None:
    seen: set[tuple[str, str]] = set()
    for i, taint in enumerate(taints):
        at = f"{path}[{i}]"
        errors.extend(invalid(f"{at}.key", taint.key, m) for m in names.is_qualified_name(taint.key))
        messages = names.is_valid_label_value(taint.value)
        if messages:
            errors.append(invalid(f"{at}.value", taint.value, ";".join(messages)))
        if not taint.effect:
            errors.append(required(f"{at}.effect"))
        elif taint.effect not in _EFFECTS:
            errors.append(not_supported(f"{at}.effect", taint.effect, _EFFECTS))
        if (taint.key, taint.effect) in seen:
            detail = "taints must be unique by key and effect pair"
            shown = {**as_go(taint), "TimeAdded": taint.timeAdded or None}
            errors.append(FieldError("FieldValueDuplicate", at, detail, shown))
        seen.add((taint.key, taint.effect))


def _check_annotations(obj: Node, errors: list[FieldError]) -> None:
    text = obj.metadata.annotations.get(_TAINTS)
    if not text:
        return
    path = "metadata.annotations"
    try:
        taints = msgspec.convert(json.loads(text), tuple[Taint, ...])
    except (ValueError, msgspec.ValidationError) as e:
        errors.append(invalid(path, _TAINTS, str(e)))
        return
    _check_taints(taints, f"{path}.{_TAINTS}", errors)


def _check_resources(obj: Node, errors: list[FieldError]) -> None:
    for field in ("capacity", "allocatable"):
        for name, text in getattr(obj.status, field).items():
            check_amount(name, text, f"status.{field}.{name}", errors)


def validate(obj: Node) -> list[FieldError]:
    errors: list[FieldError] = []
    _check_annotations(obj, errors)
    _check_taints(obj.spec.taints, "metadata.taints", errors)
    _check_resources(obj, errors)
    ranges = obj.spec.podCIDRs
    for i, text in enumerate(ranges):
        errors.extend(invalid(f"spec.podCIDRs[{i}]", text, m) for m in names.is_cidr(text))
    if len(ranges) > 1 and (len(ranges) > 2 or {names.cidr_family(r) for r in ranges} != {4, 6}):
        errors.append(invalid("spec.podCIDRs", ranges, "may specify no more than one CIDR for each IP family"))
    return errors


def validate_update(obj: Node, old: Node) -> list[FieldError]:
    errors: list[FieldError] = []
    _check_annotations(obj, errors)
    _check_resources(obj, errors)
    seen: set[NodeAddress] = set()
    for i, address in enumerate(obj.status.addresses):
        if address in seen:
            errors.append(duplicate(f"status.addresses[{i}]", address))
        seen.add(address)
    spec, was = obj.spec, old.spec
    if was.podCIDRs:
        detail = 'node updates may not change podCIDR except from "" to valid'
        changes = sum(a != b for a, b in zip(spec.podCIDRs, was.podCIDRs, strict=False))
        count = 1 if len(spec.podCIDRs) != len(was.podCIDRs) else changes
        errors.extend(forbidden("spec.podCIDRs", detail) for _ in range(count))
    if was.providerID and was.providerID != spec.providerID:
        detail = 'node updates may not change providerID except from "" to valid'
        errors.append(forbidden("spec.providerID", detail))
    if spec.configSource is not None:
        _check_config(spec.configSource, "spec.configSource", False, errors)
    config = obj.status.config
    if config is not None:
        for name in ("assigned", "active", "lastKnownGood"):
            source = getattr(config, name)
            if source is not None:
                _check_config(source, f"status.config.{name}", True, errors)
    _check_taints(spec.taints, "metadata.taints", errors)
    if spec.externalID != was.externalID:
        errors.append(forbidden("spec.externalID", "may not be updated"))
    return errors


def _check_config(source: NodeConfigSource, path: str, in_status: bool, errors: list[FieldError]) -> None:
    """A kubelet configuration in a ConfigMap: long out of use, still checked for objects that have it."""
    config = source.configMap
    if config is None:
        errors.append(invalid(path, source, "exactly one reference subfield must be non-nil"))
        return
    at = f"{path}.configMap"
    for name in ("uid", "resourceVersion"):
        value = getattr(config, name)
        if in_status and not value:
            errors.append(required(f"{at}.{name}", f"{name} must be set in status"))
        elif not in_status and value:
            errors.append(forbidden(f"{at}.{name}", f"{name} must not be set in spec"))
    for name, check in (
        ("namespace", names.is_dns1123_label),
        ("name", names.is_dns1123_subdomain),
        ("kubeletConfigKey", names.is_config_map_key),
    ):
        value = getattr(config, name)
        if not value:
            errors.append(required(f"{at}.{name}", f"{name} must be set"))
        else:
            errors.extend(invalid(f"{at}.{name}", value, m) for m in check(value))


def warnings(obj: Node) -> list[str]:
    out: list[str] = []
    if obj.spec.configSource is not None:
        out.append("spec.configSource: the feature is no longer supported")
    if obj.spec.externalID:
        out.append("spec.externalID: this field is deprecated, and is unused by Kubernetes")
    for i, text in enumerate(obj.spec.podCIDRs):
        out += warn_cidr(f"spec.podCIDRs[{i}]", text)
    return out


def roles(obj: Node) -> list[str]:
    """From the labels, in order."""
    out = {key[len(_ROLE_PREFIX) :] for key in obj.metadata.labels if key.startswith(_ROLE_PREFIX)}
    out.add(obj.metadata.labels.get(_ROLE, ""))
    return sorted(out - {""})


def address_of(obj: Node, kind: str) -> str:
    """The first address of a type (InternalIP, ExternalIP, Hostname, ...); "" if there is none."""
    return next((a.address for a in obj.status.addresses if a.type == kind), "")


def cells(obj: Node, now: float) -> tuple[Any, ...]:
    ready = next((c for c in obj.status.conditions if c.type == "Ready"), None)
    status = "Unknown" if ready is None else "Ready" if ready.status == "True" else "NotReady"
    if obj.spec.unschedulable:
        status += ",SchedulingDisabled"
    info = obj.status.nodeInfo
    return (
        obj.metadata.name,
        status,
        ",".join(roles(obj)) or "<none>",
        age(obj.metadata.creationTimestamp, now),
        info.kubeletVersion,
        address_of(obj, "InternalIP") or "<none>",
        address_of(obj, "ExternalIP") or "<none>",
        info.osImage or "<unknown>",
        info.kernelVersion or "<unknown>",
        info.containerRuntimeVersion or "<unknown>",
    )


KIND = Kind(
    group="",
    version="v1",
    type=Node,
    plural="nodes",
    singular="node",
    short_names=("no",),
    namespaced=False,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(
        Subresource("proxy", "", "v1", "NodeProxyOptions", ("create", "delete", "get", "patch", "update")),
        Subresource("status", "", "v1", "Node", ("get", "patch", "update"), reset=("spec",)),
    ),
    columns=(
        Column("Name", "string", format="name"),
        Column("Status", "string"),
        Column("Roles", "string"),
        Column("Age", "string"),
        Column("Version", "string"),
        Column("Internal-IP", "string", priority=1),
        Column("External-IP", "string", priority=1),
        Column("OS-Image", "string", priority=1),
        Column("Kernel-Version", "string", priority=1),
        Column("Container-Runtime", "string", priority=1),
    ),
    storage_hash="XwShjMxG9Fs=",
    storage="minions",
    cells=cells,
    default=default,
    overlays={"status": ("status", _settles)},
    prepare_update=prepare_update,
    validate=validate,
    validate_update=validate_update,
    validate_status_update=validate_update,
    warnings=warnings,
    selectable={"spec.unschedulable": lambda node: "true" if node.spec.unschedulable else "false"},
)
