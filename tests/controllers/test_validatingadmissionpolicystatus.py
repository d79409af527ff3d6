"""What the status of a policy says about expressions that do not fit."""

from __future__ import annotations

from typing import Any

import pytest

from pelamis.api.admissionregistration.validatingadmissionpolicy import ValidatingAdmissionPolicy
from pelamis.api.apiextensions.customresourcedefinition import CustomResourceDefinition
from pelamis.client.types import Patch
from pelamis.controllers.validatingadmissionpolicystatus import World, reconcile
from tests.api.made import of

CRD = {
    "metadata": {"name": "wheels.acme.io"},
    "spec": {
        "group": "acme.io",
        "scope": "Namespaced",
        "names": {"plural": "wheels", "kind": "Wheel"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}},
                    }
                },
            }
        ],
    },
}


def rule(group: str, *resources: str, version: str = "v1") -> dict[str, Any]:
    return {"apiGroups": [group], "apiVersions": [version], "operations": ["*"], "resources": list(resources)}


def checked(expression: str, *rules: dict[str, Any], **spec: Any) -> list[tuple[str, str]]:
    policy = of(
        ValidatingAdmissionPolicy,
        metadata={"name": "p", "generation": 2},
        spec={"matchConstraints": {"resourceRules": rules}, "validations": [{"expression": expression}], **spec},
        status={"observedGeneration": 1},
    )
    (patch,) = reconcile(World(policy, [of(CustomResourceDefinition, **CRD)]), 0.0).actions
    assert isinstance(patch, Patch) and patch.subresource == "status"
    assert patch.body["status"]["observedGeneration"] == 2
    return [(w["fieldRef"], w["warning"]) for w in patch.body["status"]["typeChecking"].get("expressionWarnings", ())]


APPS, WHEELS = rule("apps", "deployments"), rule("acme.io", "wheels")
_NONE = "found no matching overload for"


DEPLOYMENT, WHEEL = "apps/v1, Kind=Deployment", "acme.io/v1, Kind=Wheel"
ELSEWHERE = (rule("*", "deployments"), rule("apps", "*"), rule("apps", "deployments/status"), rule("x", "y"))
TIMES = "object.spec.replicas > 1 && object.metadata.creationTimestamp == oldObject.metadata.creationTimestamp"
SURGE = "object.spec.strategy.rollingUpdate.maxSurge"
LIMITS = "object.spec.template.spec.containers.all(c, quantity(c.resources.limits.cpu).isLessThan(quantity('1')))"
NESTED = "object.spec.versions[0].schema.openAPIV3Schema.properties['a'].properties['b'].type == 'x'"


@pytest.mark.parametrize(
    "expression, rules, warnings",
    [
        (TIMES, (APPS,), ()),
        ("object.spec.replicas > '1'", (APPS,), ((DEPLOYMENT, 22, f"{_NONE} '_>_' applied to '(int, string)'"),)),
        ("object.spec.size > 1", (APPS, WHEELS), ((DEPLOYMENT, 12, "undefined field 'size'"),)),
        ("object.x == 1", (APPS, WHEELS), ((WHEEL, 7, "undefined field 'x'"), (DEPLOYMENT, 7, "undefined field 'x'"))),
        ("object.x == 1", ELSEWHERE, ()),
        (LIMITS, (APPS,), ()),
        (f"{SURGE} == 1 || {SURGE} == '1%'", (APPS,), ()),
        ("variables.n > '1'", (APPS,), ((DEPLOYMENT, 13, f"{_NONE} '_>_' applied to '(int, string)'"),)),
        (NESTED, (rule("apiextensions.k8s.io", "customresourcedefinitions"),), ()),
        ("object.spec.hostX", (rule("", "pods"),), (("/v1, Kind=Pod", 12, "undefined field 'hostX'"),)),
        ("params.data.a == 1", (APPS,), ((DEPLOYMENT, 15, f"{_NONE} '_==_' applied to '(string, int)'"),)),
    ],
)
def test_warnings(expression: str, rules: tuple[Any, ...], warnings: tuple[tuple[str, int, str], ...]) -> None:
    variables = [{"name": "n", "expression": "object.spec.replicas"}] if "variables" in expression else []
    params = {"apiVersion": "v1", "kind": "ConfigMap"} if "params" in expression else None
    found = checked(expression, *rules, variables=variables, paramKind=params)
    issues = [
        f"{kind}: ERROR: <input>:1:{at}: {what}\n | {expression}\n | {'.' * (at - 1)}^\n" for kind, at, what in warnings
    ]
    assert found == ([("spec.validations[0].expression", "\n".join(issues))] if issues else [])


def test_a_generation_is_checked_once() -> None:
    policy = of(ValidatingAdmissionPolicy, metadata={"name": "p", "generation": 2}, status={"observedGeneration": 2})
    assert not reconcile(World(policy, ()), 0.0).actions
