"""Admission policies' status: what a check of their expressions against the types of what they match finds.

Done once for each generation of a policy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from pelamis.api.admissionregistration.typecheck import Named, check, custom_shape, struct_shape
from pelamis.api.admissionregistration.validatingadmissionpolicy import KIND as POLICY
from pelamis.api.admissionregistration.validatingadmissionpolicy import ValidatingAdmissionPolicy
from pelamis.api.apiextensions.crdvalidation import is_established
from pelamis.api.apiextensions.custom import schema_of
from pelamis.api.apiextensions.customresourcedefinition import KIND as CRD
from pelamis.api.apiextensions.customresourcedefinition import CustomResourceDefinition
from pelamis.api.registry import Registry, builtin
from pelamis.client.types import Key, Patch
from pelamis.reconcile.plan import NOTHING, Plan
from pelamis.reconcile.spec import Controller, Views, Watch


@dataclass(frozen=True, slots=True)
class World:
    policy: ValidatingAdmissionPolicy
    definitions: Sequence[CustomResourceDefinition]


def gather(views: Views, key: Key) -> World | None:
    policy = views(POLICY).get(*key)
    if policy is None:
        return None
    return World(policy, [d for d in views(CRD).list() if is_established(d)])


@lru_cache(maxsize=1)
def _registry() -> Registry:
    return builtin()


def _built_in(group: str, version: str, name: str) -> Named | None:
    registry = _registry()
    kind = registry.by_resource(group, version, name) or registry.by_kind(group, version, name)
    return Named(group, version, kind.kind, struct_shape(kind.type)) if kind is not None else None


def reconcile(world: World, now: float) -> Plan:
    policy = world.policy
    meta = policy.metadata
    if meta.generation <= policy.status.observedGeneration:
        return NOTHING

    def find(group: str, version: str, name: str) -> Named | None:
        for definition in world.definitions:
            spec = definition.spec
            if spec.group != group or name not in (spec.names.plural, spec.names.kind):
                continue
            for served in spec.versions:
                schema = schema_of(definition, version) if served.name == version and served.served else None
                shape = custom_shape(schema) if schema is not None else None
                if shape is not None:
                    return Named(group, version, spec.names.kind, shape)
        return _built_in(group, version, name)

    warnings = [{"fieldRef": path, "warning": warning} for path, warning in check(policy, find, find)]
    checked = {"expressionWarnings": warnings} if warnings else {}
    status = {"observedGeneration": meta.generation, "typeChecking": checked}
    body = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "status": status}
    body["metadata"] = {"name": meta.name}
    patch = Patch(
        POLICY, "", meta.name, body, "apply", "status", force=True, manager="validatingadmissionpolicy-status"
    )
    return Plan(actions=(patch,))


CONTROLLER = Controller(
    name="validatingadmissionpolicystatus",
    identity="validatingadmissionpolicy-status-controller",
    component="validatingadmissionpolicy-status",
    watches=(Watch(POLICY),),
    kinds=(CRD,),
    gather=gather,
    reconcile=reconcile,
)
