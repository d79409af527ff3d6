"""OwnerReferencesPermissionEnforcement: blockOwnerDeletion needs the right to update the owner's finalizers."""

from __future__ import annotations

from typing import Any

from pelamis.apiserver.admission.plugin import Plugin
from pelamis.apiserver.authz.attributes import Attributes
from pelamis.apiserver.user import MASTERS
from pelamis.apiserver.write import Objects, Write


def _blocking(refs: Any) -> dict[str, Any]:
    return {r.uid: r for r in refs if r.blockOwnerDeletion}


def _validate(write: Write, obj: Any, objects: Objects) -> None:
    if write.operation == "DELETE" or not obj.metadata.ownerReferences or MASTERS in write.user.groups:
        return
    before = _blocking(write.old.obj.metadata.ownerReferences) if write.old is not None else {}
    for uid, ref in _blocking(obj.metadata.ownerReferences).items():
        if uid in before:
            continue
        kind = objects.registry.by_api_version(ref.apiVersion, ref.kind)  # type: ignore[attr-defined]
        if kind is None:
            raise write.forbid(
                "cannot set blockOwnerDeletion in this case because cannot find RESTMapping for APIVersion "
                f'{ref.apiVersion} Kind {ref.kind}: no matches for kind "{ref.kind}" in version "{ref.apiVersion}"'
            )
        namespace = write.namespace if kind.namespaced else ""
        a = Attributes("update", kind.group, kind.version, kind.plural, "finalizers", namespace, ref.name)
        if not objects.authorize(write.user, a).allowed:
            raise write.forbid(
                "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on: "
            )


PLUGIN = Plugin("OwnerReferencesPermissionEnforcement", validate=_validate)
