"""What an upstream kube-apiserver said to the same objects: messages where one might guess another, and warnings."""

# ruff: noqa: E501
from __future__ import annotations

from typing import Any

import pytest

from pelamis.api.enablement import Enablement
from pelamis.api.kind import Kind
from tests.api.made import complaints, edited, made
from tests.conformance import corpus

BUILTIN = Enablement("").registry()


def kind(api_version: str, name: str) -> Kind:
    found = BUILTIN.by_api_version(api_version, name)
    assert found is not None
    return found


ADMISSION = "admissionregistration.k8s.io/v1"
POLICY = kind(ADMISSION, "ValidatingAdmissionPolicy")
MUTATING = kind(ADMISSION, "MutatingAdmissionPolicy")
DEPLOYMENT, STATEFUL_SET = kind("apps/v1", "Deployment"), kind("apps/v1", "StatefulSet")
LABELS = "spec.template.metadata.labels: Invalid value: null: `selector` does not match template `labels`"
CLAIM = "spec.volumeClaimTemplates[0].spec"
RULE = (
    '{"Rule":"self.size \\\\u003c 100","Message":"too big","MessageExpression":"","Reason":null,"FieldPath":"",'
    '"OptionalOldSelf":null}'
)


@pytest.mark.parametrize(
    "kind, path, value, messages",
    [
        (DEPLOYMENT, "spec.template.metadata.labels", ..., [LABELS]),
        (STATEFUL_SET, "spec.volumeClaimTemplates.0.spec.accessModes", ..., [f"{CLAIM}.accessModes: Required value: at least 1 access mode is required"]),
        (STATEFUL_SET, "spec.volumeClaimTemplates.0.spec.resources", ..., [f"{CLAIM}.resources[storage]: Required value"]),
        (kind("autoscaling/v2", "HorizontalPodAutoscaler"), "spec.scaleTargetRef.apiVersion", "v1", ['spec.scaleTargetRef.apiVersion: Invalid value: "v1": apiVersion must specify API group']),
        (kind("autoscaling/v2", "HorizontalPodAutoscaler"), "spec.scaleTargetRef.apiVersion", "a/b/c", ['spec.scaleTargetRef.apiVersion: Invalid value: "a/b/c": unexpected GroupVersion string: a/b/c']),
        (kind("apps/v1", "ControllerRevision"), "data", [], ["data: Required value: data must be a valid JSON object"]),
        (kind("scheduling.k8s.io/v1", "PriorityClass"), "preemptionPolicy", "x", ['preemptionPolicy: Unsupported value: "x": supported values: "PreemptLowerPriority", "Never"']),
        (kind("node.k8s.io/v1", "RuntimeClass"), "handler", "", ["handler: Required value"]),
        (kind("flowcontrol.apiserver.k8s.io/v1", "FlowSchema"), "spec.distinguisherMethod.type", "", ['spec.distinguisherMethod.type: Unsupported value: {"Type":""}: supported values: "ByNamespace", "ByUser"']),
        (kind("flowcontrol.apiserver.k8s.io/v1", "PriorityLevelConfiguration"), "spec.type", "", ["spec.type: Required value"]),
        (kind("discovery.k8s.io/v1", "EndpointSlice"), "endpoints.0.addresses.0", "", ['endpoints[0].addresses[0]: Invalid value: "": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)']),
        (POLICY, "spec.validations.0.reason", "Unauthorized", ['spec.validations[0].reason: Unsupported value: "Unauthorized": supported values: "Forbidden", "Invalid", "RequestEntityTooLarge"']),
        (POLICY, "spec.variables", [{"name": "r", "expression": "1"}, {"name": "r", "expression": "2"}, {"name": "a-b", "expression": "3"}], ['spec.variables[2].name: Invalid value: "a-b": must be a valid CEL identifier']),
        (MUTATING, "spec.mutations.0.applyConfiguration", ..., ["spec.mutations[0].applyConfiguration: Required value: must be specified when patchType is ApplyConfiguration"]),
        (MUTATING, "spec.mutations.0.patchType", "Odd", ['spec.mutations[0].patchType: Unsupported value: "Odd": supported values: "ApplyConfiguration", "JSONPatch"']),
        (MUTATING, "spec.mutations.0.jsonPatch", {"expression": "[]"}, ['spec.mutations[0].jsonPatch: Invalid value: "{jsonPatch}": must not be specified when patchType is ApplyConfiguration']),
        (MUTATING, "spec.matchConstraints.resourceRules.0.operations", ["*", "CONNECT"][:1], []),
        (MUTATING, "spec.matchConstraints.resourceRules.0.operations", ["DELETE"], ['spec.matchConstraints.resourceRules.operations: Unsupported value: "DELETE": supported values: "*", "CONNECT", "CREATE", "UPDATE"']),
        (kind("apiextensions.k8s.io/v1", "CustomResourceDefinition"), "spec.versions.0.schema.openAPIV3Schema.properties.spec.properties.size", ..., [
            f"spec.validation.openAPIV3Schema.properties[spec].x-kubernetes-validations[0].rule: Invalid value: {RULE}: compilation failed: ERROR: <input>:1:5: undefined field 'size'\n | self.size < 100\n | ....^",
        ]),
        (kind("apiextensions.k8s.io/v1", "CustomResourceDefinition"), "spec.versions.0.schema.openAPIV3Schema.properties.spec.properties.size.default", None, []),
    ],
)  # fmt: skip
def test_messages(kind: Kind, path: str, value: Any, messages: list[str]) -> None:
    tree = edited(corpus.populated(kind), path, value)
    assert complaints(kind, tree) == [m.replace("\\\\u003c", "\\u003c") for m in messages]


@pytest.mark.parametrize(
    "patch, text, said",
    [
        ("jsonPatch", "[]", "must evaluate to list(JSONPatch) but got list(dyn)"),
        ("jsonPatch", '[JSONPatch{op: "add", path: "/x", value: Object.spec{a: [1]}}]', ""),
        ("jsonPatch", 'true ? [JSONPatch{op: "a", value: variables.r}] : []', ""),
        ("jsonPatch", 'JSONPatch{op: "a"}', "must evaluate to list(JSONPatch) but got JSONPatch"),
        ("jsonPatch", '[{"op": "a"}]', "must evaluate to list(JSONPatch) but got list(map(string, string))"),
        ("jsonPatch", "[JSONPatch{op: 1}]", "compilation failed: ERROR: <input>:1:14: expected type of field 'op' is 'string' but provided type is 'int'\n | [JSONPatch{op: 1}]\n | .............^"),
        ("jsonPatch", "variables.none", "compilation failed: ERROR: <input>:1:10: undefined field 'none'\n | variables.none\n | .........^"),
        ("jsonPatch", '[JSONPatch{op: "a"}, 1]', "compilation failed: ERROR: <input>:1:22: expected type 'JSONPatch' but found 'int'\n | [JSONPatch{op: \"a\"}, 1]\n | .....................^"),
        ("applyConfiguration", "Object{spec: Object.spec{replicas: 1}}", ""),
        ("applyConfiguration", "has(object.spec) ? Object{} : Object{}", ""),
        ("applyConfiguration", "Object.spec{}", "must evaluate to Object but got Object.spec"),
        ("applyConfiguration", "object", "must evaluate to Object but got dyn"),
        ("applyConfiguration", '{"spec": {}}', "must evaluate to Object but got map(string, map(dyn, dyn))"),
    ],
)  # fmt: skip
def test_mutations_are_typed(patch: str, text: str, said: str) -> None:
    type = {"jsonPatch": "JSONPatch", "applyConfiguration": "ApplyConfiguration"}[patch]
    tree = edited(corpus.populated(MUTATING), "spec.mutations", [{"patchType": type, patch: {"expression": text}}])
    tree = edited(tree, "spec.variables", [{"name": "r", "expression": "1"}])
    found = made(MUTATING, tree)
    errors = [e for e in MUTATING.validate(found) if e.field.startswith("spec.mutations")]
    assert [e.detail for e in errors] == ([said] if said else [])


LONG = "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended: "
DUPLICATE = "spec.template.spec.containers[0].ports[1]: duplicate port definition with spec.template.spec.containers[0].ports[0]"
PORT = {"containerPort": 80}
TWICE = {"containers": [{"name": "c", "image": "i", "ports": [PORT, PORT]}], "restartPolicy": "Never"}


def _workload(spec: Any) -> Any:
    labels = {"a": "b"}
    template = {"metadata": {"labels": labels}, "spec": spec}
    return {"metadata": {"name": "a.b"}, "spec": {"selector": {"matchLabels": labels}, "template": template}}


@pytest.mark.parametrize("name", ["Deployment", "ReplicaSet", "DaemonSet", "StatefulSet"])
def test_workloads_warn_of_their_pods(name: str) -> None:
    found = kind("apps/v1", name)
    assert found.warnings is not None and found.update_warnings is not None
    obj = made(found, _workload(TWICE))
    said = list(found.warnings(obj))
    assert said[-1] == DUPLICATE
    assert len(said) == (2 if name in ("Deployment", "ReplicaSet") else 1) and said[0].startswith((LONG, DUPLICATE))
    assert found.update_warnings(obj) == [DUPLICATE]


def test_jobs_warn_and_label_themselves() -> None:
    job = kind("batch/v1", "Job")
    obj = made(job, {"spec": {"template": _workload(TWICE)["spec"]["template"]}})
    assert job.warnings is not None and job.warnings(obj) == [DUPLICATE]
    assert obj.metadata.labels == obj.spec.template.metadata.labels
    assert obj.metadata.labels["batch.kubernetes.io/job-name"] == "x"
    own = made(job, {"metadata": {"labels": {"c": "d"}}, "spec": {"template": _workload(TWICE)["spec"]["template"]}})
    assert own.metadata.labels == {"c": "d"}


@pytest.mark.parametrize(
    "api_version, name, path, value, warning",
    [
        ("networking.k8s.io/v1", "NetworkPolicy", "spec.ingress", [{"from": [{"ipBlock": {"cidr": "10.0.0.1/8"}}]}], 'spec.ingress[0].from[0].ipBlock.cidr: CIDR value "10.0.0.1/8" is ambiguous in this context (should be "10.0.0.0/8" or "10.0.0.1/32"?)'),
        ("discovery.k8s.io/v1", "EndpointSlice", "addressType", "FQDN", "spec.addressType: FQDN endpoints are deprecated"),
        ("node.k8s.io/v1", "RuntimeClass", "scheduling", {"nodeSelector": {"beta.kubernetes.io/os": "x"}}, 'scheduling.nodeSelector: deprecated since v1.14; use "kubernetes.io/os" instead'),
        (ADMISSION, "ValidatingAdmissionPolicy", "metadata.name", "x.static.k8s.io", 'metadata.name: names ending with ".static.k8s.io" are reserved for static manifest-based configurations and cannot be managed via the API'),
    ],
)  # fmt: skip
def test_other_warnings(api_version: str, name: str, path: str, value: Any, warning: str) -> None:
    found = kind(api_version, name)
    assert found.warnings is not None
    assert warning in found.warnings(made(found, edited(corpus.populated(found), path, value)))


def test_names_are_checked_as_upstream_checks_them() -> None:
    for api_version, name in (("v1", "Event"), ("policy/v1", "PodDisruptionBudget")):
        check = kind(api_version, name).validate_name
        assert check is not None and not check("Any Thing") and check("a/b")
