"""Resource claims: access for administration, and who may write which part of a claim's status.

Administrative access to devices is for namespaces with a label. Whoever changes a claim's allocation or its users needs
the right to ``resourceclaims/binding`` besides the status; the status of a driver's devices needs the right to
``resourceclaims/driver`` of that name, with a verb that says from where: ``associated-node:update`` for a service
account on the node of the devices, ``arbitrary-node:update`` for all others. These subresources are only names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pelamis.apiserver.admission.plugin import Plugin
from pelamis.apiserver.authz.attributes import Attributes, refusal
from pelamis.apiserver.user import SERVICE_ACCOUNT_PREFIX
from pelamis.apiserver.write import Objects, Write
from pelamis.base.errors import FieldError, Invalid, forbidden

ADMIN_LABEL = "resource.kubernetes.io/admin-access"
_GROUP = "resource.k8s.io"
_NODE_NAME = "authentication.kubernetes.io/node-name"


def _unlabelled(write: Write, objects: Objects, path: str) -> list[FieldError]:
    namespace = objects.get("namespaces", "", write.namespace)
    if namespace is not None and namespace.metadata.labels.get(ADMIN_LABEL) == "true":
        return []
    detail = f"admin access to devices requires the `{ADMIN_LABEL}: true` label on the containing namespace"
    return [forbidden(path, detail)]


def _refused(write: Write, objects: Objects, verb: str, subresource: str, namespace: str, name: str) -> str:
    a = Attributes(verb, _GROUP, write.kind.version, "resourceclaims", subresource, namespace, name)
    decision = objects.authorize(write.user, a)
    return "" if decision.allowed else refusal(write.user, a, decision.reason).message


def _asked(write: Write, requests: Sequence[Any], objects: Objects) -> list[FieldError]:
    for i, request in enumerate(requests):
        if request.exactly is not None and request.exactly.adminAccess:
            return _unlabelled(write, objects, f"spec.devices.requests[{i}].adminAccess")
    return []


def _results(status: Any) -> Sequence[Any]:
    return status.allocation.devices.results if status.allocation is not None else ()


def _only_node(allocation: Any) -> str:
    """The node that the devices are on, "" = there may be several."""
    selector = allocation.nodeSelector if allocation is not None else None
    if selector is None or len(selector.nodeSelectorTerms) != 1:
        return ""
    (term,) = selector.nodeSelectorTerms
    if term.matchExpressions or len(term.matchFields) != 1:
        return ""
    (field,) = term.matchFields
    named = field.key == "metadata.name" and field.operator == "In" and len(field.values) == 1
    return field.values[0] if named else ""


def _drivers(new: Any, old: Any) -> list[str]:
    """Whose devices' status is another one now."""
    before, after = ({(d.driver, d.pool, d.device, d.shareID): d for d in s.devices} for s in (old, new))
    return sorted({key[0] for key in {*before, *after} if before.get(key) != after.get(key)})


def _check_status(write: Write, new: Any, old: Any, objects: Objects) -> list[FieldError]:
    errors: list[FieldError] = []
    if not any(r.adminAccess for r in _results(old)):
        for i, result in enumerate(_results(new)):
            if result.adminAccess:
                errors += _unlabelled(write, objects, f"status.allocation.devices.results[{i}].adminAccess")
                break
    if new.allocation != old.allocation or new.reservedFor != old.reservedFor:
        why = _refused(write, objects, write.verb, "binding", "", "")
        if why:
            needed = f'requires resource="resourceclaims/binding", verb="{write.verb}" permission: {why}'
            errors.append(forbidden("status.allocation", f"changing status.allocation or status.reservedFor {needed}"))
    if new.allocation is None:
        return errors
    verbs = [f"arbitrary-node:{write.verb}"]
    node = _only_node(new.allocation)
    at = tuple((write.user.extra or {}).get(_NODE_NAME, ()))
    if node and at == (node,) and write.user.name.startswith(SERVICE_ACCOUNT_PREFIX):
        verbs.insert(0, f"associated-node:{write.verb}")
    for driver in _drivers(new, old):
        whys = [_refused(write, objects, verb, "driver", write.namespace, driver) for verb in verbs]
        if all(whys):
            shown = " ".join(verbs)
            needed = f'requires resource="resourceclaims/driver", verb="[{shown}]" permission: {whys[0]}'
            errors.append(forbidden("status.devices", f"changing status.devices {needed}"))
    return errors


def _validate(write: Write, obj: Any, objects: Objects) -> None:
    errors: list[FieldError] = []
    if write.operation == "CREATE":
        spec = obj.spec.spec if write.hub.plural == "resourceclaimtemplates" else obj.spec
        errors = _asked(write, spec.devices.requests, objects)
    elif write.operation == "UPDATE" and write.subresource == "status" and write.old is not None:
        errors = _check_status(write, obj.status, write.old.obj.status, objects)
    if errors:
        raise Invalid(write.hub.kind, _GROUP, obj.metadata.name, errors)


PLUGIN = Plugin(
    "DeviceClaimRights",
    frozenset((f"resourceclaims.{_GROUP}", f"resourceclaimtemplates.{_GROUP}")),
    validate=_validate,
    subresources=("status",),
)
"""Upstream's strategies do this."""
