"""NodeRestriction: a kubelet writes its own Node and the pods bound to it, and nothing else."""

from __future__ import annotations

from typing import Any

from pelamis.apiserver.admission.plugin import Plugin
from pelamis.apiserver.write import Objects, Write

_RESTRICTED = "node-restriction.kubernetes.io"
_MIRROR = "kubernetes.io/config.mirror"
_ALLOWED_KUBERNETES = frozenset(
    (
        "kubernetes.io/hostname",
        "kubernetes.io/arch",
        "kubernetes.io/os",
        "beta.kubernetes.io/instance-type",
        "node.kubernetes.io/instance-type",
        "failure-domain.beta.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "topology.kubernetes.io/region",
        "topology.kubernetes.io/zone",
        "beta.kubernetes.io/os",
        "beta.kubernetes.io/arch",
        "node.kubernetes.io/windows-build",
    )
)
_ALLOWED_PREFIXES = ("kubelet.kubernetes.io", "node.kubernetes.io")


def _validate(write: Write, obj: Any, objects: Objects) -> None:
    node = write.user.node
    if not node:
        return
    resource = write.hub.resource
    if resource == "pods":
        _pod(write, obj, node)
    elif resource == "nodes":
        _node(write, obj, node)
    elif resource == "leases.coordination.k8s.io":
        if write.namespace != "kube-node-lease":
            raise write.forbid(
                f'can only access leases in the "kube-node-lease" system namespace, not "{write.namespace}"'
            )
        if obj.metadata.name != node:
            raise write.forbid("can only access node lease with the same name as the requesting node")
    elif resource == "csinodes.storage.k8s.io":
        if obj.metadata.name != node:
            raise write.forbid("can only access CSINode with the same name as the requesting node")
    elif resource == "resourceslices.resource.k8s.io" and getattr(obj.spec, "nodeName", "") != node:
        raise write.forbid("can only create ResourceSlice with the same NodeName as the requesting node")


def _pod(write: Write, pod: Any, node: str) -> None:
    if write.subresource == "status":
        if pod.spec.nodeName != node:
            raise write.forbid(f'node "{node}" can only update pod status for pods with spec.nodeName set to itself')
        if write.old is not None and write.old.obj.metadata.labels != pod.metadata.labels:
            raise write.forbid(f'node "{node}" cannot update labels through pod status')
        return
    if write.subresource == "eviction":
        if pod.spec.nodeName != node:
            raise write.forbid(f'node "{node}" can only evict pods with spec.nodeName set to itself')
        return
    if write.operation == "CREATE":
        if _MIRROR not in pod.metadata.annotations:
            raise write.forbid(f'pod does not have "{_MIRROR}" annotation, node "{node}" can only create mirror pods')
        if pod.spec.nodeName != node:
            raise write.forbid(f'node "{node}" can only create pods with spec.nodeName set to itself')
        owners = pod.metadata.ownerReferences
        if len(owners) != 1 or owners[0].kind != "Node" or owners[0].name != node or not owners[0].controller:
            raise write.forbid(f'node "{node}" can only create pods with an owner reference set to itself')
        if pod.spec.serviceAccountName:
            raise write.forbid(f'node "{node}" can not create pods that reference a service account')
        return
    if write.operation == "DELETE":
        if pod.spec.nodeName != node:
            raise write.forbid(f'node "{node}" can only delete pods with spec.nodeName set to itself')
        return
    raise write.forbid(
        f'unexpected operation "{write.operation}", node "{node}" can only create and delete mirror pods'
    )


def _node(write: Write, obj: Any, node: str) -> None:
    if obj.metadata.name != node:
        raise write.forbid(f'node "{node}" is not allowed to modify node "{obj.metadata.name}"')
    if write.operation == "DELETE":
        raise write.forbid(f'node "{node}" is not allowed to delete itself')
    old = write.old.obj if write.old is not None else None
    if write.operation == "CREATE":
        if obj.spec.configSource is not None:
            raise write.forbid(f'node "{node}" is not allowed to create pods with a non-nil configSource')
        bad = sorted(k for k in obj.metadata.labels if _forbidden(k))
        if bad:
            raise write.forbid(f'node "{node}" is not allowed to set the following labels: {", ".join(bad)}')
        return
    if old is None:
        return
    if old.spec.taints != obj.spec.taints:
        raise write.forbid(f'node "{node}" is not allowed to modify taints')
    if old.metadata.ownerReferences != obj.metadata.ownerReferences:
        raise write.forbid(f'node "{node}" is not allowed to modify ownerReferences')
    changed = {
        k
        for k in {*old.metadata.labels, *obj.metadata.labels}
        if old.metadata.labels.get(k) != obj.metadata.labels.get(k)
    }
    bad = sorted(k for k in changed if _forbidden(k))
    if bad:
        raise write.forbid(f"is not allowed to modify labels: {', '.join(bad)}")


def _forbidden(label: str) -> bool:
    prefix, slash, _ = label.partition("/")
    if not slash:
        return False
    if prefix == _RESTRICTED or prefix.endswith("." + _RESTRICTED):
        return True
    if prefix in ("kubernetes.io", "k8s.io") or prefix.endswith((".kubernetes.io", ".k8s.io")):
        if label in _ALLOWED_KUBERNETES:
            return False
        return not any(prefix == p or prefix.endswith("." + p) for p in _ALLOWED_PREFIXES)
    return False


PLUGIN = Plugin(
    "NodeRestriction",
    frozenset(
        ("pods", "nodes", "leases.coordination.k8s.io", "csinodes.storage.k8s.io", "resourceslices.resource.k8s.io")
    ),
    validate=_validate,
    subresources=("*",),
)
