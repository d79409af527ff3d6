"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.core.pod.spec import PodSpec
from pelamis.api.core.pod.status import PodStatus
from pelamis.api.field import F, Struct, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import ObjectMeta


class Pod(Struct, frozen=True):
    kind: str = always(lambda: "Pod")
    apiVersion: str = always(lambda: "v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[PodSpec, F(2)] = always(PodSpec)
    status: Annotated[PodStatus, F(3)] = always(PodStatus)


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
    # selectable: spec.nodeName, spec.restartPolicy, spec.schedulerName, spec.serviceAccountName, spec.hostNetwork, status.phase, status.podIP, status.podIPs, status.nominatedNodeName
    storage_hash="xPOwRZ+Yhw8=",
)
