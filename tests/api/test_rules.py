"""Exact complaints of the smaller kinds, group by group: (kind, a good object, [(path, value, complaints)])."""

# ruff: noqa: E501

from __future__ import annotations

from typing import Any

import pytest

from pelamis.api import registry
from pelamis.api.kind import Kind
from tests.api.made import complaints, edited, row, update_complaints

REGISTRY = registry.builtin()


def kind(name: str, group: str, version: str = "v1") -> Kind:
    found = REGISTRY.body(group, version, name)
    assert found is not None
    return found


NETWORK, RBAC, STORAGE = "networking.k8s.io", "rbac.authorization.k8s.io", "storage.k8s.io"
ROLE, CLUSTERROLE = kind("Role", RBAC), kind("ClusterRole", RBAC)
ROLEBINDING, CLUSTERROLEBINDING = kind("RoleBinding", RBAC), kind("ClusterRoleBinding", RBAC)
LEASE, SLICE = kind("Lease", "coordination.k8s.io"), kind("EndpointSlice", "discovery.k8s.io")
HPA, HPA1 = kind("HorizontalPodAutoscaler", "autoscaling", "v2"), kind("HorizontalPodAutoscaler", "autoscaling")
PDB, INGRESS = kind("PodDisruptionBudget", "policy"), kind("Ingress", NETWORK)
INGRESSCLASS, NETPOL = kind("IngressClass", NETWORK), kind("NetworkPolicy", NETWORK)
IPADDRESS, CIDR = kind("IPAddress", NETWORK), kind("ServiceCIDR", NETWORK)
PRIORITY, RUNTIME = kind("PriorityClass", "scheduling.k8s.io"), kind("RuntimeClass", "node.k8s.io")
SC, CSIDRIVER, CSINODE = kind("StorageClass", STORAGE), kind("CSIDriver", STORAGE), kind("CSINode", STORAGE)
HOOKS = kind("ValidatingWebhookConfiguration", "admissionregistration.k8s.io")
VAP = kind("ValidatingAdmissionPolicy", "admissionregistration.k8s.io")
APISERVICE = kind("APIService", "apiregistration.k8s.io")
FLOW, LEVEL = (
    kind("FlowSchema", "flowcontrol.apiserver.k8s.io"),
    kind("PriorityLevelConfiguration", "flowcontrol.apiserver.k8s.io"),
)
SAR, CLAIM = kind("SubjectAccessReview", "authorization.k8s.io"), kind("ResourceClaim", "resource.k8s.io")
CSR = kind("CertificateSigningRequest", "certificates.k8s.io")

RULE = {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}
BACKEND = {"service": {"name": "web", "port": {"number": 80}}}
PATH = {"path": "/", "pathType": "Prefix", "backend": BACKEND}
HOOK = {
    "name": "a.example.com",
    "clientConfig": {"url": "https://example.com/x"},
    "sideEffects": "None",
    "admissionReviewVersions": ["v1"],
    "rules": [{"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"]}],
}
DNS1123 = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"

CASES: list[tuple[Kind, dict[str, Any], list[tuple[str, Any, list[str]]]]] = [
    (ROLE, {"rules": [RULE]}, [
        ("rules.0.verbs", [], ["rules[0].verbs: Required value: verbs must contain at least one value"]),
        ("rules.0.apiGroups", [], ["rules[0].apiGroups: Required value: resource rules must supply at least one api group"]),
        ("rules.0", {"verbs": ["get"], "nonResourceURLs": ["/x"]}, ['rules[0].nonResourceURLs: Invalid value: ["/x"]: namespaced rules cannot apply to non-resource URLs']),
    ]),
    (CLUSTERROLE, {"rules": [{"verbs": ["get"], "nonResourceURLs": ["/x"]}]}, [
        ("aggregationRule", {}, ["aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if aggregationRule is non-nil"]),
    ]),
    (ROLEBINDING, {"roleRef": {"kind": "Role", "name": "r"}, "subjects": [{"kind": "User", "name": "u"}]}, [
        ("roleRef.kind", "Odd", ['roleRef.kind: Unsupported value: "Odd": supported values: "Role", "ClusterRole"']),
        ("roleRef.name", "", ["roleRef.name: Required value"]),
        ("subjects.0.kind", "Odd", ['subjects[0].kind: Unsupported value: "Odd": supported values: "ServiceAccount", "User", "Group"']),
        ("subjects.0.name", "", ["subjects[0].name: Required value"]),
    ]),
    (CLUSTERROLEBINDING, {"roleRef": {"kind": "ClusterRole", "name": "r"}}, [
        ("roleRef.kind", "Role", ['roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole"']),
        ("subjects", [{"kind": "ServiceAccount", "name": "a"}], ["subjects[0].namespace: Required value"]),
    ]),
    (LEASE, {"spec": {"holderIdentity": "a", "leaseDurationSeconds": 40}}, [
        ("spec.leaseDurationSeconds", 0, ["spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0"]),
    ]),
    (SLICE, {"addressType": "IPv4", "endpoints": [{"addresses": ["10.1.2.3"]}], "ports": [{"name": "http", "port": 80}]}, [
        ("addressType", "", ["addressType: Required value"]),
        ("endpoints.0.addresses", [], ["endpoints[0].addresses: Required value: must contain at least 1 address"]),
        ("endpoints.0.addresses", ["127.0.0.1"], ['endpoints[0].addresses[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)']),
        ("endpoints.0.addresses", ["::2"], ['endpoints[0].addresses[0]: Invalid value: "::2": must be a valid IPv4 address']),
        ("endpoints.0.hostname", "A", [f'endpoints[0].hostname: Invalid value: "A": {DNS1123}']),
        ("ports.0.protocol", "X", ['ports[0].protocol: Unsupported value: "X": supported values: "SCTP", "TCP", "UDP"']),
        ("ports", [{"name": "a"}, {"name": "a"}], ['ports[1].name: Duplicate value: "a"']),
    ]),
    (HPA, {"spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}, "maxReplicas": 3}}, [
        ("spec.maxReplicas", 0, ["spec.maxReplicas: Required value: must be set and greater than 0", "spec.maxReplicas: Invalid value: 0: must be greater than or equal to `minReplicas`"]),
        ("spec.minReplicas", 0, ["spec.metrics: Forbidden: must specify at least one Object or External metric to support scaling to zero replicas"]),
        ("spec.minReplicas", -1, ["spec.minReplicas: Invalid value: -1: must be greater than or equal to 0"]),
        ("spec.scaleTargetRef.kind", "", ["spec.scaleTargetRef.kind: Required value"]),
        ("spec.metrics", [{"type": "Pods"}], ["spec.metrics[0].pods: Required value: must populate information for the given metric source"]),
        ("spec.metrics", [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization"}}}], ["spec.metrics[0].resource.target.averageUtilization: Required value: must set either a target raw value or a target utilization"]),
        ("spec.behavior", {"scaleUp": {"stabilizationWindowSeconds": 3601}}, ["spec.behavior.scaleUp.stabilizationWindowSeconds: Invalid value: 3601: must be less than or equal to 3600"]),
    ]),
    (HPA1, {"spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}, "maxReplicas": 3, "targetCPUUtilizationPercentage": 50}}, [
        ("spec.targetCPUUtilizationPercentage", 0, ["spec.metrics[0].resource.target.averageUtilization: Invalid value: 0: must be greater than 0"]),
    ]),
    (PDB, {"spec": {"minAvailable": 1}}, [
        ("spec.minAvailable", "101%", ['spec.minAvailable: Invalid value: "101%": must not be greater than 100%']),
        ("spec.maxUnavailable", 1, ['spec: Invalid value: {"minAvailable":1,"maxUnavailable":1}: minAvailable and maxUnavailable cannot be both set']),
        ("spec.unhealthyPodEvictionPolicy", "Odd", ['spec.unhealthyPodEvictionPolicy: Unsupported value: "Odd": supported values: "AlwaysAllow", "IfHealthyBudget"']),
    ]),
    (INGRESS, {"spec": {"rules": [{"host": "a.example.com", "http": {"paths": [PATH]}}]}}, [
        ("spec", {}, ["spec: Invalid value: null: either `defaultBackend` or `rules` must be specified"]),
        ("spec.rules.0.host", "10.0.0.1", ['spec.rules[0].host: Invalid value: "10.0.0.1": must be a DNS name, not an IP address']),
        ("spec.rules.0.http.paths.0.path", "x//y", ['spec.rules[0].http.paths[0].path: Invalid value: "x//y": must be an absolute path', "spec.rules[0].http.paths[0].path: Invalid value: \"x//y\": must not contain '//'"]),
        ("spec.rules.0.http.paths.0.pathType", ..., ["spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified"]),
        ("spec.rules.0.http.paths.0.backend", {}, ['spec.rules[0].http.paths[0].backend: Invalid value: "": resource or service backend is required']),
        ("spec.rules.0.http.paths.0.backend.service.port", {}, ["spec.rules[0].http.paths[0].backend: Required value: port name or number is required"]),
    ]),
    (INGRESSCLASS, {"spec": {"controller": "example.com/c"}}, [
        ("spec.controller", "", ["spec.controller: Required value"]),
        ("spec.parameters", {"kind": "K", "name": "n", "scope": "Namespace"}, ["spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'"]),
    ]),
    (NETPOL, {"spec": {"podSelector": {}, "ingress": [{"from": [{"podSelector": {}}], "ports": [{"port": 80}]}]}}, [
        ("spec.ingress.0.from.0", {}, ["spec.ingress[0].from[0]: Required value: must specify a peer"]),
        ("spec.ingress.0.from.0", {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["11.0.0.0/16"]}}, ['spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: "11.0.0.0/16": must be a strict subset of `cidr`']),
        ("spec.ingress.0.ports.0.endPort", 79, ["spec.ingress[0].ports[0].endPort: Invalid value: 79: must be greater than or equal to `port`"]),
        ("spec.policyTypes", ["Odd"], ['spec.policyTypes[0]: Unsupported value: "Odd": supported values: "Ingress", "Egress"']),
    ]),
    (IPADDRESS, {"metadata": {"name": "10.0.0.1"}, "spec": {"parentRef": {"resource": "services", "name": "s", "namespace": "d"}}}, [
        ("spec.parentRef", ..., ["spec.parentRef: Required value"]),
    ]),
    (CIDR, {"spec": {"cidrs": ["10.0.0.0/24"]}}, [
        ("spec.cidrs", [], ["spec.cidrs: Required value: at least one CIDR required"]),
        ("spec.cidrs", ["10.0.0.0/24", "10.1.0.0/24"], ['spec.cidrs: Invalid value: ["10.0.0.0/24","10.1.0.0/24"]: may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64']),
    ]),
    (PRIORITY, {"value": 5}, [
        ("value", 1000000001, ["value: Forbidden: maximum allowed value of a user defined priority is 1000000000"]),
        ("metadata.name", "system-x", ["metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: system-x is not a known system priority class"]),
    ]),
    (RUNTIME, {"handler": "runc"}, [("handler", "A", [f'handler: Invalid value: "A": {DNS1123}'])]),
    (SC, {"provisioner": "example.com/p"}, [
        ("provisioner", "", ["provisioner: Required value"]),
        ("reclaimPolicy", "Recycle", ['reclaimPolicy: Unsupported value: "Recycle": supported values: "Delete", "Retain"']),
    ]),
    (CSIDRIVER, {"spec": {}}, [
        ("spec.tokenRequests", [{"audience": "a", "expirationSeconds": 5}], ["spec.tokenRequests[0].expirationSeconds: Invalid value: 5: may not specify a duration less than 10 minutes"]),
    ]),
    (CSINODE, {"spec": {"drivers": [{"name": "d", "nodeID": "n", "topologyKeys": []}]}}, [
        ("spec.drivers.0.nodeID", "", ["spec.drivers[0].nodeID: Required value"]),
    ]),
    (HOOKS, {"webhooks": [HOOK]}, [
        ("webhooks.0.name", "short", ['webhooks[0].name: Invalid value: "short": should be a domain with at least three segments separated by dots']),
        ("webhooks.0.sideEffects", ..., ["webhooks[0].sideEffects: Required value: must specify one of None, NoneOnDryRun"]),
        ("webhooks.0.timeoutSeconds", 31, ["webhooks[0].timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds"]),
        ("webhooks.0.clientConfig", {}, ["webhooks[0].clientConfig: Required value: exactly one of url or service is required"]),
        ("webhooks.0.clientConfig", {"service": {"name": "a", "namespace": "b", "path": ""}}, []),
        ("webhooks.0.clientConfig.url", "http://example.com", ["webhooks[0].clientConfig.url: Invalid value: \"http\": 'https' is the only allowed URL scheme; desired format: https://host[/path]"]),
        ("webhooks.0.rules.0.operations", ["*", "CREATE"], ["webhooks[0].rules[0].operations: Invalid value: [\"*\",\"CREATE\"]: if '*' is present, must not specify other operations"]),
    ]),
    (VAP, {"spec": {"matchConstraints": {"resourceRules": [HOOK["rules"][0]]}, "validations": [{"expression": "true"}]}}, [  # type: ignore[index]
        ("spec.matchConstraints", ..., ["spec.matchConstraints: Required value"]),
        ("spec.validations", [], ["spec.validations: Required value: validations or auditAnnotations must contain at least one item", "spec.auditAnnotations: Required value: validations or auditAnnotations must contain at least one item"]),
    ]),
    (APISERVICE, {"metadata": {"name": "v1.example.com"}, "spec": {"group": "example.com", "version": "v1", "groupPriorityMinimum": 1, "versionPriority": 1}}, [
        ("spec.versionPriority", 0, ["spec.versionPriority: Invalid value: 0: must be positive and less than 1000"]),
        ("metadata.name", "x", ['metadata.name: Invalid value: "x": must be `spec.version+"."+spec.group`: "v1.example.com"']),
    ]),
    (FLOW, {"spec": {"priorityLevelConfiguration": {"name": "p"}}}, [
        ("spec.matchingPrecedence", 1, ["spec.matchingPrecedence: Invalid value: 1: only the schema named 'exempt' may have matchingPrecedence 1"]),
        ("spec.rules", [{"subjects": [], "resourceRules": []}], ["spec.rules[0].subjects: Required value: subjects must contain at least one value", "spec.rules[0]: Required value: at least one of resourceRules and nonResourceRules has to be non-empty"]),
    ]),
    (LEVEL, {"spec": {"type": "Limited", "limited": {"limitResponse": {"type": "Queue", "queuing": {}}}}}, [
        ("spec.limited.limitResponse.queuing", {"handSize": 65}, ["spec.limited.limitResponse.queuing.handSize: Invalid value: 65: should not be greater than queues (64)"]),
        ("spec.limited", ..., ["spec.limited: Required value: must not be empty when type is Limited"]),
    ]),
    (SAR, {"metadata": {"name": ""}, "spec": {"user": "u", "nonResourceAttributes": {"path": "/x", "verb": "get"}}}, []),
    (CLAIM, {"spec": {"devices": {"requests": [{"name": "a", "exactly": {"deviceClassName": "gpu"}}]}}}, [
        ("spec.devices.requests.0", {"name": "a"}, ["spec.devices.requests[0]: Required value: exactly one of `exactly` or `firstAvailable` is required"]),
        ("spec.devices.requests.0.exactly.allocationMode", "Odd", ['spec.devices.requests[0].exactly.allocationMode: Unsupported value: "Odd": supported values: "All", "ExactCount"']),
    ]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("k", "good", "wrong"), CASES, ids=lambda value: repr(value) if isinstance(value, Kind) else ""
)
def test_complaints(k: Kind, good: dict[str, Any], wrong: list[tuple[str, Any, list[str]]]) -> None:
    if k is not SAR:
        assert complaints(k, good) == []
        assert update_complaints(k, good, good) == []
    for path, value, expected in wrong:
        assert complaints(k, edited(good, path, value)) == expected, path


@pytest.mark.parametrize(
    ("k", "tree", "expected"),
    [
        (ROLE, {}, ["x", "2026-01-01T00:00:00Z"]),
        (ROLEBINDING, {"roleRef": {"kind": "Role", "name": "r"}, "subjects": [{"kind": "User", "name": "u"}, {"kind": "ServiceAccount", "name": "a", "namespace": "n"}]}, ["x", "Role/r", "5m", "u", "", "n/a"]),
        (LEASE, {"spec": {"holderIdentity": "h"}}, ["x", "h", "5m"]),
        (SLICE, {"addressType": "IPv4", "endpoints": [{"addresses": [f"10.0.0.{i}"]} for i in range(5)], "ports": []}, ["x", "IPv4", "<unset>", "10.0.0.0,10.0.0.1,10.0.0.2 + 2 more...", "5m"]),
        (HPA, {"spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}, "maxReplicas": 3}}, ["x", "Deployment/d", "cpu: <unknown>/80%", "1", 3, 0, "5m"]),
        (HPA1, {"spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}, "maxReplicas": 3, "targetCPUUtilizationPercentage": 50}, "status": {"currentReplicas": 1, "desiredReplicas": 1, "currentCPUUtilizationPercentage": 7}}, ["x", "Deployment/d", "cpu: 7%/50%", "1", 3, 1, "5m"]),
        (PDB, {"spec": {"maxUnavailable": "10%"}}, ["x", "N/A", "10%", 0, "5m"]),
        (INGRESS, {"spec": {"rules": [{"host": "a"}, {"host": "b"}], "tls": [{}]}, "status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}}, ["x", "<none>", "a,b", "1.2.3.4", "80, 443", "5m"]),
        (NETPOL, {"spec": {"podSelector": {"matchLabels": {"a": "b"}}}}, ["x", "a=b", "5m"]),
        (IPADDRESS, {"spec": {"parentRef": {"resource": "services", "namespace": "n", "name": "s"}}}, ["x", "services/n/s", "5m"]),
        (PRIORITY, {"value": 5}, ["x", 5, False, "5m", "PreemptLowerPriority"]),
        (SC, {"provisioner": "p", "metadata": {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}}, ["x (default)", "p", "Delete", "Immediate", False, "5m"]),
        (CSIDRIVER, {"spec": {}}, ["x", True, False, False, "<unset>", False, "Persistent", "5m"]),
        (HOOKS, {"webhooks": [HOOK]}, ["x", 1, "5m"]),
        (APISERVICE, {"spec": {"service": {"namespace": "n", "name": "s"}, "groupPriorityMinimum": 1, "versionPriority": 1}, "status": {"conditions": [{"type": "Available", "status": "False", "reason": "Why"}]}}, ["x", "n/s", "False (Why)", "5m"]),
        (FLOW, {"spec": {"priorityLevelConfiguration": {"name": "p"}}}, ["x", "p", 1000, "<none>", "5m", "?"]),
        (LEVEL, {"spec": {"type": "Limited", "limited": {"limitResponse": {"type": "Queue", "queuing": {}}}}}, ["x", "Limited", 30, 64, 8, 50, "5m"]),
        (CLAIM, {"spec": {}}, ["x", "pending", "5m"]),
        (CSR, {"spec": {"request": "", "signerName": "example.com/s", "username": "u", "expirationSeconds": 3600}, "status": {"conditions": [{"type": "Approved", "status": "True"}], "certificate": "YQ=="}}, ["x", "5m", "example.com/s", "u", "60m", "Approved,Issued"]),
    ],
    ids=lambda value: repr(value) if isinstance(value, Kind) else "",
)  # fmt: skip
def test_columns(k: Kind, tree: dict[str, Any], expected: list[Any]) -> None:
    assert row(k, tree) == expected


@pytest.mark.parametrize(
    ("k", "old", "new", "expected"),
    [
        (SC, {"provisioner": "p"}, {"provisioner": "q"}, ["provisioner: Forbidden: updates to provisioner are forbidden."]),
        (PRIORITY, {"value": 1}, {"value": 2}, ["value: Forbidden: may not be changed in an update."]),
        (RUNTIME, {"handler": "a"}, {"handler": "b"}, ['handler: Invalid value: "b": field is immutable']),
        (SLICE, {"addressType": "IPv4"}, {"addressType": "IPv6"}, ['addressType: Invalid value: "IPv6": field is immutable']),
        (ROLEBINDING, {"roleRef": {"kind": "Role", "name": "r"}}, {"roleRef": {"kind": "Role", "name": "s"}}, ['roleRef: Invalid value: {"apiGroup":"rbac.authorization.k8s.io","kind":"Role","name":"s"}: cannot change roleRef']),
    ],
    ids=lambda value: repr(value) if isinstance(value, Kind) else "",
)  # fmt: skip
def test_updates(k: Kind, old: dict[str, Any], new: dict[str, Any], expected: list[str]) -> None:
    assert update_complaints(k, old, new) == expected


def test_the_name_of_a_service_may_start_with_a_digit() -> None:
    service = kind("Service", "")
    assert service.validate_name("1web") == []
    assert all(service.validate_name(name) for name in ("Web", "a.b", "-a", "a" * 64))
