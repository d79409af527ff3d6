"""One write as webhooks and policies see it: the AdmissionRequest, and which rules and selectors it meets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from pelamis.api import codec
from pelamis.api.custom import Custom
from pelamis.api.field import Tree
from pelamis.api.kind import Kind
from pelamis.api.registry import Registry
from pelamis.apiserver.write import Objects, Write
from pelamis.base import ids
from pelamis.base.labels import Selector
from pelamis.base.tree import copy

EXEMPT = frozenset(
    f"{plural}.admissionregistration.k8s.io"
    for plural in (
        "validatingwebhookconfigurations",
        "mutatingwebhookconfigurations",
        "validatingadmissionpolicies",
        "validatingadmissionpolicybindings",
        "mutatingadmissionpolicies",
        "mutatingadmissionpolicybindings",
    )
)
"""Never shown to webhooks and policies, so that a broken one can always be repaired."""


def in_version(tree: Tree, kind: Kind) -> Tree:
    """A tree of the stored version as one of ``kind``, the caller's own."""
    if kind.hub is None:
        return copy(tree)
    return codec.parse(codec.to_version(kind, codec.encode(codec.from_tree(kind.hub, tree))))


def _options(write: Write) -> Tree:
    out: Tree = {"kind": "", "apiVersion": "meta.k8s.io/v1"}
    if write.operation == "DELETE":
        out["kind"] = "DeleteOptions"
        deletion = write.deletion
        if deletion.grace_s is not None:
            out["gracePeriodSeconds"] = deletion.grace_s
        if deletion.propagation:
            out["propagationPolicy"] = deletion.propagation
    else:
        patch = write.patch is not None
        out["kind"] = "PatchOptions" if patch else "CreateOptions" if write.operation == "CREATE" else "UpdateOptions"
        if write.options.manager:
            out["fieldManager"] = write.options.manager
        if write.options.force is not None:
            out["force"] = write.options.force
        if write.options.validation:
            out["fieldValidation"] = write.options.validation
    if write.dry_run:
        out["dryRun"] = ["All"]
    return out


class Review:
    """``kind``: the version in which the object is shown. obj: the finished object, None while it is being changed.

    ``object`` and ``old`` are made when first asked for; nobody may change them.
    """

    def __init__(self, write: Write, kind: Kind, obj: Any = None) -> None:
        self.write = write
        self.kind = kind
        self._obj = obj
        self._object: Tree | None = None
        self._old: Tree | None = None

    @property
    def object(self) -> Tree | None:
        write = self.write
        if write.operation == "DELETE":
            return None
        if self._object is None:
            if write.shown is not None:
                self._object = copy(write.shown[1])
            else:
                tree = write.tree if self._obj is None else codec.to_tree(self._obj)
                self._object = in_version(tree, self.kind)
                if write.old is not None:
                    meta = self._object.setdefault("metadata", {})
                    meta["resourceVersion"] = str(write.old.rev)
        return self._object

    @property
    def old(self) -> Tree | None:
        write = self.write
        if write.operation == "CREATE" or write.old is None or write.shown is not None:
            return None
        if self._old is None:
            self._old = codec.parse(codec.to_version(self.kind, write.old.data))
        return self._old

    def changed(self) -> None:
        """The write's tree is another now."""
        self._object = None

    def request(self, uid: str = "") -> Tree:
        """The AdmissionRequest without the objects."""
        write, kind = self.write, self.kind
        asked = write.kind
        out: Tree = {
            "uid": uid,
            "kind": _gvk(*self._shown(kind)),
            "resource": {"group": kind.group, "version": kind.version, "resource": kind.plural},
        }
        if write.subresource:
            out["subResource"] = write.subresource
        out["requestKind"] = _gvk(*self._shown(asked))
        out["requestResource"] = {"group": asked.group, "version": asked.version, "resource": asked.plural}
        if write.subresource:
            out["requestSubResource"] = write.subresource
        if write.name:
            out["name"] = write.name
        namespace = write.namespace or (write.name if is_namespace(write.hub) else "")
        if namespace:
            out["namespace"] = namespace
        out["operation"] = write.operation
        out["userInfo"] = write.user.tree()
        return out

    def _shown(self, kind: Kind) -> tuple[str, str, str]:
        if self.write.shown is not None:
            body = self.write.shown[0]
            return body.group, body.version, body.kind
        return kind.group, kind.version, kind.kind

    def complete(self, uid: str) -> Tree:
        """The AdmissionRequest as a webhook gets it."""
        out = self.request(uid)
        out["object"] = self.object
        out["oldObject"] = self.old
        out["dryRun"] = self.write.dry_run
        out["options"] = _options(self.write)
        return out

    def for_expressions(self) -> Tree:
        out = self.request(ids.uid(b"\0" * 16))
        out["dryRun"] = self.write.dry_run
        out["options"] = _options(self.write)
        return out


def _gvk(group: str, version: str, kind: str) -> Tree:
    return {"group": group, "version": version, "kind": kind}


def is_namespace(kind: Kind) -> bool:
    return kind.plural == "namespaces" and not kind.group


# -- what is matched --------------------------------------------------------------------------------------------------


def _rule_matches(rule: Any, operation: str, kind: Kind, subresource: str, namespaced: bool) -> bool:
    if "*" not in rule.operations and operation not in rule.operations:
        return False
    if "*" not in rule.apiGroups and kind.group not in rule.apiGroups:
        return False
    if "*" not in rule.apiVersions and kind.version not in rule.apiVersions:
        return False
    if rule.scope == "Namespaced" and not namespaced:
        return False
    if rule.scope == "Cluster" and namespaced:
        return False
    for pattern in rule.resources:
        resource, _, sub = pattern.partition("/")
        if resource in ("*", kind.plural) and sub in ("*", subresource):
            return True
    return False


def matching_version(
    rules: Iterable[Any], policy: str | None, write: Write, registry: Registry, name: str | None = None
) -> Kind | None:
    """The version in which the rules want the write; None when they do not. name: held against ``resourceNames``."""
    namespaced = bool(write.namespace) and not is_namespace(write.hub)

    def named(rule: Any) -> bool:
        wanted = getattr(rule, "resourceNames", ())
        return not wanted or name in wanted

    rules = [r for r in rules if named(r)]
    for rule in rules:
        if _rule_matches(rule, write.operation, write.kind, write.subresource, namespaced):
            return write.kind
    if policy == "Exact":
        return None
    for other in equivalents(write.kind, registry):
        for rule in rules:
            if _rule_matches(rule, write.operation, other, write.subresource, namespaced):
                return other
    return None


def equivalents(kind: Kind, registry: Registry) -> Sequence[Kind]:
    """The other served versions of what is stored as one."""
    hub = kind.hub or kind
    return [k for k in _versions(hub, registry) if k is not kind]


def _versions(hub: Kind, registry: Registry) -> Sequence[Kind]:
    return [k for k in registry.all() if (k.hub or k) is hub]


def namespace_matches(selector: Selector | None, write: Write, objects: Objects) -> bool:
    """Raises StatusError when the namespace does not exist."""
    if selector is None or selector.empty:
        return True
    if is_namespace(write.hub):
        if write.operation in ("CREATE", "UPDATE") and not write.subresource:
            return selector.matches((write.tree.get("metadata") or {}).get("labels") or {})
        return write.old is not None and selector.matches(write.old.obj.metadata.labels)
    if not write.namespace:
        return True
    namespace = objects.get("namespaces", "", write.namespace)
    return namespace is not None and selector.matches(namespace.metadata.labels)


def object_matches(selector: Selector | None, review: Review) -> bool:
    if selector is None or selector.empty:
        return True
    for tree in (review.object, review.old):
        if tree is not None and selector.matches(((tree.get("metadata") or {}).get("labels")) or {}):
            return True
    return False


def namespace_object(write: Write, objects: Objects) -> Tree | None:
    """The namespace of the write, for expressions."""
    if is_namespace(write.hub) or not write.namespace:
        return None
    namespace = objects.get("namespaces", "", write.namespace)
    return codec.to_tree(namespace) if namespace is not None else None


def replace_tree(write: Write, shown: Tree, kind: Kind) -> None:
    """The object that a mutation made, in the version ``kind``, becomes the write's."""
    hub = write.hub
    tree = codec.parse(codec.encode(shown))
    metadata = tree.get("metadata")
    if isinstance(metadata, dict):
        metadata.pop("resourceVersion", None)
    if kind.type is not Custom:
        codec.clean(kind, tree)
    kind.default(tree)
    if kind.hub is not None:
        codec.to_hub(kind, tree)
        codec.clean(hub, tree)
        hub.default(tree)
    elif kind.type is Custom:
        codec.clean(kind, tree)
        kind.default(tree)
    write.tree = tree


encode = msgspec.json.encode
