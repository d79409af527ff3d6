"""The Pod kind: ties the modules of this package together.

A pod's spec is nearly immutable: images, the active deadline, added tolerations and removed scheduling gates aside, it
changes only through the ``ephemeralcontainers``, ``resize`` and ``binding`` subresources (see ``strategy``).
"""

from __future__ import annotations

from pelamis.api.core.pod.columns import pod_cells
from pelamis.api.core.pod.default import default_pod
from pelamis.api.core.pod.pod import Pod
from pelamis.api.core.pod.strategy import grace_period, prepare_create, prepare_status, prepare_update, status_settles
from pelamis.api.core.pod.validate import validate_pod
from pelamis.api.core.pod.validate_update import validate_pod_status_update, validate_pod_update
from pelamis.api.core.pod.warnings import pod_warnings
from pelamis.api.kind import Column, Kind, Subresource

__all__ = ["KIND", "Pod"]


def _pod_ip(pod: Pod) -> str:
    return pod.status.podIPs[0].ip if pod.status.podIPs else ""


def _resource_claims(pod: Pod) -> tuple[str, ...]:
    """``namespace/name`` of each that is known."""
    names = {entry.resourceClaimName for entry in pod.spec.resourceClaims}
    names |= {status.resourceClaimName for status in pod.status.resourceClaimStatuses}
    return tuple(f"{pod.metadata.namespace}/{name}" for name in sorted(n for n in names if n))


KIND = Kind(
    group="",
    version="v1",
    type=Pod,
    plural="pods",
    singular="pod",
    short_names=("po",),
    categories=("all",),
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(
        Subresource("attach", "", "v1", "PodAttachOptions", ("create", "get")),
        Subresource("binding", "", "v1", "Binding", ("create",)),
        Subresource("ephemeralcontainers", "", "v1", "Pod", ("get", "patch", "update")),
        Subresource("eviction", "policy", "v1", "Eviction", ("create",)),
        Subresource("exec", "", "v1", "PodExecOptions", ("create", "get")),
        Subresource("log", "", "v1", "Pod", ("get",)),
        Subresource("portforward", "", "v1", "PodPortForwardOptions", ("create", "get")),
        Subresource("proxy", "", "v1", "PodProxyOptions", ("create", "delete", "get", "patch", "update")),
        Subresource("resize", "", "v1", "Pod", ("get", "patch", "update")),
        Subresource(
            "status",
            "",
            "v1",
            "Pod",
            ("get", "patch", "update"),
            reset=("spec", "metadata.deletionTimestamp", "metadata.ownerReferences"),
        ),
    ),
    reset=("status",),
    columns=(
        Column("Name", "string", format="name"),
        Column("Ready", "string"),
        Column("Status", "string"),
        Column("Restarts", "string"),
        Column("Age", "string"),
        Column("IP", "string", priority=1),
        Column("Node", "string", priority=1),
        Column("Nominated Node", "string", priority=1),
        Column("Readiness Gates", "string", priority=1),
    ),
    cells=pod_cells,
    default=default_pod,
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    prepare_status=prepare_status,
    overlays={"status": ("status", status_settles)},
    validate=validate_pod,
    validate_update=validate_pod_update,
    validate_status_update=validate_pod_status_update,
    warnings=pod_warnings,
    warns_on_update=False,
    selectable={
        "spec.nodeName": lambda pod: pod.spec.nodeName,
        "spec.restartPolicy": lambda pod: pod.spec.restartPolicy,
        "spec.schedulerName": lambda pod: pod.spec.schedulerName,
        "spec.serviceAccountName": lambda pod: pod.spec.serviceAccountName,
        "spec.hostNetwork": lambda pod: "true" if pod.spec.hostNetwork else "false",
        "status.phase": lambda pod: pod.status.phase,
        "status.podIP": _pod_ip,
        "status.podIPs": _pod_ip,
        "status.nominatedNodeName": lambda pod: pod.status.nominatedNodeName,
    },
    indexes={
        "node": lambda pod: (pod.spec.nodeName,) if pod.spec.nodeName else (),
        "resourceclaim": lambda pod: _resource_claims(pod) if pod.spec.resourceClaims else (),
    },
    grace_period=grace_period,
    storage_hash="xPOwRZ+Yhw8=",
)
