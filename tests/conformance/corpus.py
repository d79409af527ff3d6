"""Valid objects of every built-in kind: one populated in ``manifests/``, one with no more than it needs in ``MINIMAL``.

The manifests are plain YAML that kubectl can apply in the order of ``documents``; ``NAMESPACE``, ``CSR`` and others
stand for what differs from run to run. Those of versions that are off by default are in ``early.yaml``; where such a
version has the same fields as the stored one, its object is that one's.
"""

from __future__ import annotations

import base64
import time
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pelamis.api import registry
from pelamis.api.enablement import Enablement
from pelamis.api.field import Tree
from pelamis.api.kind import Kind
from pelamis.net import tls

FOLDER = Path(__file__).parent / "manifests"
FILES = ("core", "cluster", "access", "network", "workload", "device")
EARLY = "early"
REVIEWS = ("authentication.k8s.io", "authorization.k8s.io")
NO_MANIFEST = frozenset(("Binding", "ComponentStatus"))
"""Kinds that cannot be stored; so cannot those of the REVIEWS."""


@cache
def certificate() -> str:
    return tls.new_authority("corpus", time.time()).cert.decode()


@cache
def _request() -> x509.CertificateSigningRequest:
    builder = x509.CertificateSigningRequestBuilder()
    builder = builder.subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "jane")]))
    return builder.sign(_key(), hashes.SHA256())


@cache
def _key() -> ec.EllipticCurvePrivateKey:
    return tls.new_key()


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


@cache
def signing_request() -> str:
    return _text(_request().public_bytes(serialization.Encoding.PEM))


@cache
def _standins() -> dict[str, str]:
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return {
        "CERTIFICATE": certificate(),
        "CSR": signing_request(),
        "CSR-DER": _text(_request().public_bytes(serialization.Encoding.DER)),
        "PUBLIC-KEY": _text(_key().public_key().public_bytes(*form)),
        "PROOF": _text(_key().sign(b"u1", ec.ECDSA(hashes.SHA256()))),
    }


def _filled(tree: Any, namespace: str) -> Any:
    if isinstance(tree, dict):
        return {k: _filled(v, namespace) for k, v in tree.items()}
    if isinstance(tree, list):
        return [_filled(v, namespace) for v in tree]
    if isinstance(tree, str):
        return namespace if tree == "NAMESPACE" else _standins().get(tree, tree)
    return tree


@cache
def _texts(files: tuple[str, ...] = FILES) -> tuple[bytes, ...]:
    trees = (t for f in files for t in yaml.load_all((FOLDER / f"{f}.yaml").read_bytes(), yaml.CSafeLoader))
    return tuple(msgspec.json.encode(t) for t in trees)


def documents(namespace: str = "default") -> list[Tree]:
    """Every populated object, in an order in which they can be created."""
    return [_filled(msgspec.json.decode(text), namespace) for text in _texts()]


def stored_kinds() -> list[Kind]:
    """Every kind that has a populated manifest."""
    return [k for k in registry.builtin().all() if k.group not in REVIEWS and k.kind not in NO_MANIFEST]


def every_kind() -> list[Kind]:
    """``stored_kinds``, and those in versions that are off by default."""
    kinds = Enablement("api/all=true").registry().all()
    return [k for k in kinds if k.group not in REVIEWS and k.kind not in NO_MANIFEST]


def populated(kind: Kind, namespace: str = "default") -> Tree:
    known = [msgspec.json.decode(text) for text in (*_texts((EARLY,)), *_texts())]
    of_kind = [t for t in known if t["kind"] == kind.kind and t["apiVersion"].rpartition("/")[0] == kind.group]
    exact = next((t for t in of_kind if t["apiVersion"] == kind.api_version), None)
    if exact is None:  # the shape of the stored version
        hub = (kind.hub or kind).api_version
        exact = {**next(t for t in of_kind if t["apiVersion"] == hub), "apiVersion": kind.api_version}
    filled: Tree = _filled(exact, namespace)
    return filled


_C = [{"name": "c", "image": "nginx"}]
_TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": _C}}
_SELECTOR = {"matchLabels": {"a": "b"}}
_REF = {"kind": "ClusterRole", "name": "view", "apiGroup": "rbac.authorization.k8s.io"}
_RULE = [{"apiGroups": ["x.test"], "apiVersions": ["v1"], "resources": ["x"], "operations": ["CREATE"]}]
_HOOK = [
    {
        "name": "a.x.test",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "clientConfig": {"url": "https://x.test/"},
    }
]
_TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"}
_POD = {"containers": _C}
_VERSION = {
    "name": "v1",
    "served": True,
    "storage": True,
    "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
}

MINIMAL: dict[str, Tree] = {
    "v1/Event": {"involvedObject": {"namespace": "default"}},
    "v1/PersistentVolume": {
        "spec": {"capacity": {"storage": "1"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}}
    },
    "v1/PersistentVolumeClaim": {
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    },
    "v1/Pod": {"spec": _POD},
    "v1/PodTemplate": {"template": {"spec": _POD}},
    "v1/ReplicationController": {"spec": {"template": _TEMPLATE}},
    "v1/Service": {"spec": {"ports": [{"port": 80}]}},
    "apiregistration.k8s.io/v1/APIService": {
        "spec": {
            "group": "y.test",
            "version": "v1",
            "groupPriorityMinimum": 1,
            "versionPriority": 1,
            "service": {"name": "x", "namespace": "default"},
            "insecureSkipTLSVerify": True,
        }
    },
    "apps/v1/ControllerRevision": {"revision": 0, "data": {}},
    "apps/v1/DaemonSet": {"spec": {"selector": _SELECTOR, "template": _TEMPLATE}},
    "apps/v1/Deployment": {"spec": {"selector": _SELECTOR, "template": _TEMPLATE}},
    "apps/v1/ReplicaSet": {"spec": {"selector": _SELECTOR, "template": _TEMPLATE}},
    "apps/v1/StatefulSet": {"spec": {"selector": _SELECTOR, "template": _TEMPLATE}},
    "events.k8s.io/v1/Event": {
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "x.test/y",
        "reportingInstance": "z",
        "action": "A",
        "reason": "R",
        "type": "Normal",
        "regarding": {"namespace": "default"},
    },
    "autoscaling/v2/HorizontalPodAutoscaler": {"spec": {"scaleTargetRef": _TARGET, "maxReplicas": 1}},
    "autoscaling/v1/HorizontalPodAutoscaler": {"spec": {"scaleTargetRef": _TARGET, "maxReplicas": 1}},
    "batch/v1/CronJob": {
        "spec": {
            "schedule": "@daily",
            "jobTemplate": {"spec": {"template": {"spec": {**_POD, "restartPolicy": "Never"}}}},
        }
    },
    "batch/v1/Job": {"spec": {"template": {"spec": {**_POD, "restartPolicy": "Never"}}}},
    "certificates.k8s.io/v1/CertificateSigningRequest": {
        "spec": {"request": "CSR", "signerName": "x.test/s", "usages": ["client auth"]}
    },
    "certificates.k8s.io/v1/ClusterTrustBundle": {"spec": {"trustBundle": "CERTIFICATE"}},
    "networking.k8s.io/v1/IngressClass": {"spec": {"controller": "x.test/y"}},
    "networking.k8s.io/v1/Ingress": {"spec": {"defaultBackend": {"service": {"name": "x", "port": {"number": 1}}}}},
    "networking.k8s.io/v1/IPAddress": {"spec": {"parentRef": {"resource": "x", "name": "y"}}},
    "networking.k8s.io/v1/NetworkPolicy": {"spec": {"podSelector": {}}},
    "networking.k8s.io/v1/ServiceCIDR": {"spec": {"cidrs": ["198.51.100.0/28"]}},
    "policy/v1/PodDisruptionBudget": {"spec": {}},
    "rbac.authorization.k8s.io/v1/ClusterRoleBinding": {"roleRef": _REF},
    "rbac.authorization.k8s.io/v1/ClusterRole": {"rules": []},
    "rbac.authorization.k8s.io/v1/RoleBinding": {"roleRef": _REF},
    "rbac.authorization.k8s.io/v1/Role": {"rules": []},
    "storage.k8s.io/v1/CSIDriver": {"spec": {}},
    "storage.k8s.io/v1/CSINode": {"spec": {"drivers": []}},
    "storage.k8s.io/v1/CSIStorageCapacity": {"storageClassName": "x"},
    "storage.k8s.io/v1/StorageClass": {"provisioner": "x.test"},
    "storage.k8s.io/v1/VolumeAttachment": {
        "spec": {"attacher": "x.test", "nodeName": "n", "source": {"persistentVolumeName": "v"}}
    },
    "storage.k8s.io/v1/VolumeAttributesClass": {"driverName": "x.test", "parameters": {"a": "b"}},
    "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy": {
        "spec": {
            "reinvocationPolicy": "Never",
            "matchConstraints": {"resourceRules": _RULE},
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": "[JSONPatch{op: 'test'}]"}}],
        }
    },
    "admissionregistration.k8s.io/v1/MutatingAdmissionPolicyBinding": {"spec": {"policyName": "x"}},
    "admissionregistration.k8s.io/v1/MutatingWebhookConfiguration": {"webhooks": _HOOK},
    "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy": {
        "spec": {"matchConstraints": {"resourceRules": _RULE}, "validations": [{"expression": "true"}]}
    },
    "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicyBinding": {
        "spec": {"policyName": "x", "validationActions": ["Deny"]}
    },
    "admissionregistration.k8s.io/v1/ValidatingWebhookConfiguration": {"webhooks": _HOOK},
    "apiextensions.k8s.io/v1/CustomResourceDefinition": {
        "spec": {
            "group": "min.x.test",
            "scope": "Cluster",
            "names": {"plural": "boxes", "kind": "Box"},
            "versions": [_VERSION],
        }
    },
    "scheduling.k8s.io/v1/PriorityClass": {"value": 1},
    "node.k8s.io/v1/RuntimeClass": {"handler": "x"},
    "discovery.k8s.io/v1/EndpointSlice": {"addressType": "IPv6", "endpoints": []},
    "flowcontrol.apiserver.k8s.io/v1/FlowSchema": {"spec": {"priorityLevelConfiguration": {"name": "x"}}},
    "flowcontrol.apiserver.k8s.io/v1/PriorityLevelConfiguration": {
        "spec": {"type": "Limited", "limited": {"limitResponse": {"type": "Reject"}}}
    },
    "resource.k8s.io/v1/DeviceClass": {"spec": {}},
    "resource.k8s.io/v1/DeviceTaintRule": {"spec": {"taint": {"key": "k", "effect": "NoSchedule"}}},
    "resource.k8s.io/v1/ResourceClaim": {"spec": {}},
    "resource.k8s.io/v1/ResourceClaimTemplate": {"spec": {"spec": {}}},
    "resource.k8s.io/v1/ResourceSlice": {
        "spec": {
            "driver": "x.test",
            "allNodes": True,
            "pool": {"name": "p", "generation": 0, "resourceSliceCount": 1},
        }
    },
    "storagemigration.k8s.io/v1/StorageVersionMigration": {"spec": {"resource": {"group": "", "resource": "pods"}}},
}
"""Of the kinds that are not here a name is enough; PodCertificateRequest needs all that its manifest has."""

_GROUP: Tree = {"schedulingPolicy": {"basic": {}}}
_TARGET_POD = {"target": {"pod": {"name": "p", "uid": "0f0f0f0f-0000-4000-8000-000000000001"}}}
EARLY_MINIMAL: dict[str, Tree] = {
    "LeaseCandidate": {
        "spec": {"leaseName": "x", "binaryVersion": "1.0.0", "emulationVersion": "1.0.0", "strategy": "x.test/own"}
    },
    "EvictionRequest": {"spec": {**_TARGET_POD, "requester": "x.test/y", "intent": "Withdrawn"}},
    "Eviction": {"spec": _TARGET_POD},
    "ResourcePoolStatusRequest": {"spec": {"driver": "x.test"}},
    "PodGroup": {"spec": _GROUP},
    "Workload": {"spec": {"podGroupTemplates": [{"name": "a", **_GROUP}]}},
    "CompositePodGroup": {"spec": {**_GROUP, "workloadRef": {"workloadName": "w", "templateName": "t"}}},
}

_NAMES = {
    "APIService": "v1.y.test",
    "CustomResourceDefinition": "boxes.min.x.test",
    "IPAddress": "198.51.100.7",
    "StorageVersion": "min.x.test.things",
    "CSIDriver": "min.x.test",
}


def minimal(kind: Kind) -> Tree:
    if kind.kind == "PodCertificateRequest":
        spec = populated(kind)["spec"]
        return _made(kind, {"spec": {k: v for k, v in spec.items() if k != "unverifiedUserAnnotations"}})
    for version in (kind.api_version, f"{kind.group}/v1"):
        if f"{version}/{kind.kind}" in MINIMAL:
            return _made(kind, MINIMAL[f"{version}/{kind.kind}"])
    return _made(kind, EARLY_MINIMAL.get(kind.kind, {}))


def _made(kind: Kind, tree: Tree) -> Tree:
    meta = {"name": _NAMES.get(kind.kind, f"minimal-{kind.version}")}
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": meta, **_filled(tree, "default")}


def missing(wanted: Any, found: Any, path: str = "") -> list[str]:
    """Where ``found`` lacks what ``wanted`` has; more than that is fine."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return [p for k, v in wanted.items() for p in missing(v, found.get(k), f"{path}.{k}")]
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        return [p for i, (a, b) in enumerate(zip(wanted, found, strict=True)) for p in missing(a, b, f"{path}[{i}]")]
    return [] if wanted == found else [f"{path}: {wanted!r} became {found!r}"]
