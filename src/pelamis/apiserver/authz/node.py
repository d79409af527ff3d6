"""What a kubelet may do: the rules of the role system:node, and only for objects that its own pods lead to.

Reads of Secrets, ConfigMaps, claims, volumes and service account tokens are allowed when a pod bound to the node refers
to them. Pods and Nodes are readable where they are the node's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from pelamis.api.core.pod.volume import ephemeral_claim
from pelamis.apiserver.authz.attributes import NO_OPINION, Attributes, Decision
from pelamis.apiserver.authz.rbac import Rule
from pelamis.apiserver.user import User

Key = tuple[str, str]


class View(Protocol):
    def get(self, namespace: str, name: str) -> Any: ...
    def list(self, namespace: str = "") -> Sequence[Any]: ...
    def subscribe(self, fn: Callable[[Key, Any, Any], None], *, replay: bool = True) -> Callable[[], None]: ...


_READ = frozenset(("get", "list", "watch"))
_ALLOW = Decision(True)


def _refuse(node: str, why: str) -> Decision:
    return Decision(None, why.replace("this node", f'node "{node}"') if node else why)


def volume_refs(volume: Any) -> Iterator[tuple[str, str]]:
    """(resource, name) of every object of the pod's namespace that one volume refers to."""
    if volume.secret is not None:
        yield "secrets", volume.secret.secretName
    if volume.configMap is not None:
        yield "configmaps", volume.configMap.name
    if volume.persistentVolumeClaim is not None:
        yield "persistentvolumeclaims", volume.persistentVolumeClaim.claimName
    if volume.projected is not None:
        for source in volume.projected.sources:
            if source.secret is not None:
                yield "secrets", source.secret.name
            if source.configMap is not None:
                yield "configmaps", source.configMap.name
    for name in ("cephfs", "rbd", "flexVolume", "storageos", "scaleIO", "iscsi", "azureFile", "csi"):
        source = getattr(volume, name, None)
        if source is None:
            continue
        ref = getattr(source, "secretRef", None) or getattr(source, "nodePublishSecretRef", None)
        if ref is not None and ref.name:
            yield "secrets", ref.name
        if name == "azureFile":
            yield "secrets", source.secretName


def pod_refs(pod: Any) -> Iterator[tuple[str, str]]:
    """(resource, name) of every object of its namespace that a pod refers to."""
    spec = pod.spec
    if spec.serviceAccountName:
        yield "serviceaccounts", spec.serviceAccountName
    for ref in spec.imagePullSecrets:
        yield "secrets", ref.name
    for containers in (spec.initContainers, spec.containers, spec.ephemeralContainers):
        for container in containers:
            for source in container.envFrom:
                if source.secretRef is not None:
                    yield "secrets", source.secretRef.name
                if source.configMapRef is not None:
                    yield "configmaps", source.configMapRef.name
            for env in container.env:
                value = env.valueFrom
                if value is not None:
                    if value.secretKeyRef is not None:
                        yield "secrets", value.secretKeyRef.name
                    if value.configMapKeyRef is not None:
                        yield "configmaps", value.configMapKeyRef.name
    for volume in spec.volumes:
        yield from volume_refs(volume)
        if getattr(volume, "ephemeral", None) is not None:
            yield "persistentvolumeclaims", ephemeral_claim(volume, pod.metadata.name)
    for status in getattr(pod.status, "resourceClaimStatuses", ()):
        if status.resourceClaimName:
            yield "resourceclaims", status.resourceClaimName
    extended = getattr(pod.status, "extendedResourceClaimStatus", None)
    if extended is not None:
        yield "resourceclaims", extended.resourceClaimName
    for claim in getattr(spec, "resourceClaims", ()):
        if claim.resourceClaimName:
            yield "resourceclaims", claim.resourceClaimName


class NodeAuthorizer:
    """rules: those of the role system:node."""

    def __init__(self, rules: Sequence[Rule], pods: View, claims: View, volumes: View, attachments: View) -> None:
        self._rules = rules
        self._ruled: dict[tuple[str, ...], Decision] = {}
        self._pods = pods
        self._claims = claims
        self._volumes = volumes
        self._attachments = attachments
        self._on_node: dict[str, set[Key]] = {}
        pods.subscribe(self._on_pod)

    def _on_pod(self, key: Key, old: Any, new: Any) -> None:
        before = old.spec.nodeName if old is not None else ""
        after = new.spec.nodeName if new is not None else ""
        if before == after:
            return
        if before:
            self._on_node.get(before, set()).discard(key)
        if after:
            self._on_node.setdefault(after, set()).add(key)

    def pods_of(self, node: str) -> Iterator[Any]:
        for namespace, name in list(self._on_node.get(node, ())):
            pod = self._pods.get(namespace, name)
            if pod is not None:
                yield pod

    def refers(self, node: str, resource: str, namespace: str, name: str) -> bool:
        """Does a pod of the node lead to the object?"""
        for pod_namespace, pod_name in list(self._on_node.get(node, ())):
            if pod_namespace != namespace:
                continue
            pod = self._pods.get(pod_namespace, pod_name)
            if pod is not None and (resource, name) in pod_refs(pod):
                return True
        return resource == "secrets" and self._volume_secret(node, namespace, name)

    def _bound_volumes(self, node: str) -> Iterator[Any]:
        for pod in self.pods_of(node):
            for resource, claim_name in pod_refs(pod):
                if resource != "persistentvolumeclaims":
                    continue
                claim = self._claims.get(pod.metadata.namespace, claim_name)
                if claim is not None and claim.spec.volumeName:
                    volume = self._volumes.get("", claim.spec.volumeName)
                    if volume is not None:
                        yield volume

    def _volume_secret(self, node: str, namespace: str, name: str) -> bool:
        for volume in self._bound_volumes(node):
            csi = volume.spec.csi
            if csi is None:
                continue
            for field in (
                "nodePublishSecretRef",
                "nodeStageSecretRef",
                "nodeExpandSecretRef",
                "controllerPublishSecretRef",
            ):
                ref = getattr(csi, field, None)
                if ref is not None and (ref.namespace, ref.name) == (namespace, name):
                    return True
        return False

    def state(self, user: User) -> object:
        """Of a node it depends on its pods and what these refer to; of others nothing is said here, ever."""
        return None if user.node else ""

    def authorize(self, user: User, a: Attributes) -> Decision:
        node = user.node
        if not node:
            return NO_OPINION
        special = _SPECIAL.get((a.group, a.resource))
        if special is not None:
            decision = special(self, node, a)
            if decision is not None:
                return decision
        token = (a.verb, a.group, a.resource, a.subresource, a.path)  # no rule of the role is about a name
        known = self._ruled.get(token)
        if known is None:
            if len(self._ruled) >= 1_000:
                self._ruled.clear()
            known = self._ruled[token] = _ALLOW if any(rule.allows(a) for rule in self._rules) else NO_OPINION
        return known

    def _claim(self, node: str, a: Attributes) -> Decision:
        if a.subresource == "status" and a.verb in ("get", "update", "patch"):
            return self._allow_if(node, a, self.refers(node, a.resource, a.namespace, a.name))
        return self._get(node, a)

    def _volume(self, node: str, a: Attributes) -> Decision:
        if a.verb != "get" or a.subresource:
            return _refuse(node, "can only get individual resources of this type")
        names = {v.metadata.name for v in self._bound_volumes(node)}
        return self._allow_if(node, a, a.name in names)

    def _account(self, node: str, a: Attributes) -> Decision | None:
        if a.subresource == "token":
            if a.verb != "create":
                return _refuse(node, "only create is allowed for this type")
            return self._allow_if(node, a, self.refers(node, a.resource, a.namespace, a.name))
        return self._get(node, a) if a.verb == "get" else None

    def _lease(self, node: str, a: Attributes) -> Decision:
        return self._own(node, a, namespace="kube-node-lease")

    def _allow_if(self, node: str, a: Attributes, ok: bool) -> Decision:
        if ok:
            return _ALLOW
        return Decision(None, f"no relationship found between node '{node}' and this object")

    def _read(self, node: str, a: Attributes) -> Decision:
        if a.verb not in _READ:
            return Decision(None, "can only read resources of this type")
        if a.subresource:
            return Decision(None, "cannot read subresource")
        if not a.name:
            return Decision(None, "can only read namespaced object of this type")
        return self._allow_if(node, a, self.refers(node, a.resource, a.namespace, a.name))

    def _get(self, node: str, a: Attributes) -> Decision:
        if a.verb != "get" or a.subresource:
            return Decision(None, "can only get individual resources of this type")
        if not a.name:
            return Decision(None, "No Object name found")
        return self._allow_if(node, a, self.refers(node, a.resource, a.namespace, a.name))

    def _attachment(self, node: str, a: Attributes) -> Decision:
        if a.verb != "get" or a.subresource:
            return Decision(None, "can only get individual resources of this type")
        found = self._attachments.get("", a.name)
        return self._allow_if(node, a, found is not None and found.spec.nodeName == node)

    def _own(self, node: str, a: Attributes, namespace: str = "") -> Decision:
        if a.verb not in ("get", "create", "update", "patch", "delete"):
            return Decision(None, "can only get, create, update, patch, or delete a node lease" if namespace else "")
        if namespace and a.namespace != namespace:
            return Decision(None, 'can only access leases in the "kube-node-lease" system namespace')
        if a.subresource:
            return Decision(None, "cannot authorize subresources")
        if a.verb != "create" and a.name != node:
            what = "can only access node lease with the same name as the requesting node"
            return Decision(
                None, what if namespace else "can only access CSINode with the same name as the requesting node"
            )
        return _ALLOW

    def _slices(self, node: str, a: Attributes) -> Decision:
        if a.verb == "create":
            return _ALLOW
        if a.verb in ("list", "watch", "deletecollection"):
            ok = f"spec.nodeName={node}" in a.field_selector.replace("==", "=").split(",")
            return (
                _ALLOW
                if ok
                else Decision(None, "can only list/watch/deletecollection resourceslices with nodeName field selector")
            )
        return _ALLOW if a.name else NO_OPINION

    def _node(self, node: str, a: Attributes) -> Decision | None:
        if a.verb in _READ and not a.subresource:
            if a.name == node:
                return _ALLOW
            if a.verb == "get" and a.name:
                return Decision(None, f"node '{node}' cannot read '{a.name}', only its own Node object")
            return Decision(None, f"node '{node}' cannot read all nodes, only its own Node object")
        return None

    def _pod(self, node: str, a: Attributes) -> Decision | None:
        if a.subresource:
            return None
        if a.verb == "get":
            pod = self._pods.get(a.namespace, a.name)
            if pod is None or pod.spec.nodeName == node:
                return _ALLOW
            return Decision(None, f"node '{node}' cannot read pods of other nodes")
        if a.verb in ("list", "watch"):
            if f"spec.nodeName={node}" in a.field_selector.replace("==", "=").split(","):
                return _ALLOW
            return Decision(None, f"can only list/watch pods with spec.nodeName field selector for '{node}'")
        return None


_SPECIAL: dict[tuple[str, str], Callable[[NodeAuthorizer, str, Attributes], Decision | None]] = {
    ("", "secrets"): NodeAuthorizer._read,
    ("", "configmaps"): NodeAuthorizer._read,
    ("", "persistentvolumeclaims"): NodeAuthorizer._claim,
    ("", "persistentvolumes"): NodeAuthorizer._volume,
    ("resource.k8s.io", "resourceclaims"): NodeAuthorizer._get,
    ("", "serviceaccounts"): NodeAuthorizer._account,
    ("storage.k8s.io", "volumeattachments"): NodeAuthorizer._attachment,
    ("coordination.k8s.io", "leases"): NodeAuthorizer._lease,
    ("storage.k8s.io", "csinodes"): NodeAuthorizer._own,
    ("resource.k8s.io", "resourceslices"): NodeAuthorizer._slices,
    ("", "nodes"): NodeAuthorizer._node,
    ("", "pods"): NodeAuthorizer._pod,
}
"""What more than the rules of the role decides; None: they do."""
