"""Validation of the kinds that came last, in upstream's words: certificates of pods, gangs, evictions, versions."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from pelamis.api.certificates.clustertrustbundle import KIND as BUNDLE
from pelamis.api.certificates.podcertificaterequest import STORED as POD_CERTIFICATE
from pelamis.api.coordination.leasecandidate import KIND as CANDIDATE
from pelamis.api.kind import Kind
from pelamis.api.lifecycle.eviction import KIND as EVICTION
from pelamis.api.lifecycle.evictionrequest import KIND as EVICTION_REQUEST
from pelamis.api.networking.servicecidr import KIND as SERVICE_CIDR
from pelamis.api.scheduling.podgroup import KIND as POD_GROUP
from pelamis.api.scheduling.workload import KIND as WORKLOAD
from pelamis.api.storagemigration.storageversionmigration import KIND as MIGRATION
from pelamis.base.clock import rfc3339
from pelamis.net import tls
from tests.api.core.build import errors, make, merge, update_errors
from tests.conformance import corpus
from tests.conformance.status import condition

Tree = dict[str, Any]
NOW = 1_700_000_000.0
CA = tls.Authority(tls.new_authority("test", NOW))
ROOT = CA.pair.cert.decode()
POD = {"pod": {"name": "p", "uid": "0f0f0f0f-0000-4000-8000-000000000001"}}


def candidate(**spec: Any) -> Tree:
    base = {"leaseName": "l", "binaryVersion": "1.37.0", "emulationVersion": "1.36.0"}
    return {"spec": {**base, "strategy": "OldestEmulationVersion", **spec}}


def group(**spec: Any) -> Tree:
    return {"spec": {"schedulingPolicy": {"gang": {"minCount": 2}}, **spec}}


def template(name: str, **more: Any) -> Tree:
    return {"name": name, "schedulingPolicy": {"basic": {}}, **more}


def workload(*templates: Tree, **spec: Any) -> Tree:
    return {"spec": {"podGroupTemplates": list(templates), **spec}}


def nested(depth: int) -> Tree:
    inner: Tree = template("leaf", podGroupTemplates=[template("pods")])
    for i in range(depth - 1):
        inner = template(f"level{i}", compositePodGroupTemplates=[inner])
    return inner


INVALID: list[tuple[Kind, Tree, list[str]]] = [
    (BUNDLE, {"spec": {"trustBundle": ROOT}}, []),
    (
        BUNDLE,
        {"spec": {"trustBundle": ""}},
        ['spec.trustBundle: Invalid value: "<value omitted>": at least one trust anchor must be provided'],
    ),
    (
        BUNDLE,
        {"spec": {"trustBundle": ROOT + ROOT}},
        ['spec.trustBundle: Invalid value: "<value omitted>": duplicate trust anchor (indices [0 1])'],
    ),
    (
        BUNDLE,
        {"spec": {"trustBundle": ROOT.replace("CERTIFICATE", "PRIVATE KEY")}},
        ['spec.trustBundle: Invalid value: "<value omitted>": entry 0 has bad block type: PRIVATE KEY'],
    ),
    (
        BUNDLE,
        {"spec": {"trustBundle": ROOT.replace("-----\n", "-----\na: b\n\n", 1)}},
        ['spec.trustBundle: Invalid value: "<value omitted>": entry 0 has PEM block headers'],
    ),
    (
        BUNDLE,
        {"spec": {"trustBundle": CA.issue("leaf", NOW, client=True).cert.decode()}},
        ['spec.trustBundle: Invalid value: "<value omitted>": entry 0 does not have the CA bit set'],
    ),
    (CANDIDATE, candidate(), []),
    (
        CANDIDATE,
        candidate(binaryVersion="1.35.0"),
        ['spec.binaryVersion: Invalid value: "1.35.0": must be greater than or equal to `emulationVersion`'],
    ),
    (
        CANDIDATE,
        candidate(emulationVersion="1.36"),
        [
            'spec.emulationVersion: Invalid value: "1.36": must be a valid semantic version',
            "spec.emulationVersion: Required value: must be specified when `strategy` is 'OldestEmulationVersion'",
        ],
    ),
    (
        CANDIDATE,
        candidate(strategy="Fastest"),
        ['spec.strategy.strategy: Unsupported value: "Fastest": supported values: "OldestEmulationVersion"'],
    ),
    (POD_GROUP, group(), []),
    (POD_GROUP, {"spec": {}}, ['spec.schedulingPolicy: Invalid value: "": must specify one of: `basic`, `gang`']),
    (POD_GROUP, group(schedulingPolicy={"gang": {}}), ["spec.schedulingPolicy.gang.minCount: Required value"]),
    (
        POD_GROUP,
        group(disruptionMode={"single": {}, "all": {}}),
        ['spec.disruptionMode: Invalid value: "{single, all}": must specify exactly one of: `single`, `all`'],
    ),
    (
        POD_GROUP,
        group(priority=1_000_000_001),
        ["spec.priority: Invalid value: 1000000001: must be less than or equal to 1000000000"],
    ),
    (
        POD_GROUP,
        group(resourceClaims=[{"name": "a"}]),
        [
            'spec.resourceClaims[0]: Invalid value: "": '
            "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
        ],
    ),
    (WORKLOAD, workload(template("a"), template("b")), []),
    (WORKLOAD, workload(template("a"), template("a")), ['spec.podGroupTemplates[1]: Duplicate value: "a"']),
    (
        WORKLOAD,
        workload(template("a"), template("b", priority=3)),
        ["spec: Invalid value: null: detected multiple priority configurations"],
    ),
    (WORKLOAD, workload(compositePodGroupTemplates=[nested(3)]), []),
    (
        WORKLOAD,
        workload(compositePodGroupTemplates=[template("a")]),
        [
            'spec.compositePodGroupTemplates[0]: Invalid value: "a": '
            "must have at least one child PodGroupTemplate or CompositePodGroupTemplate"
        ],
    ),
    (EVICTION_REQUEST, {"spec": {"target": POD, "requester": "x.test/y", "intent": "Eviction"}}, []),
    (
        EVICTION_REQUEST,
        {"spec": {"target": {}, "requester": "y", "intent": "Now"}},
        [
            'spec.target: Invalid value: "": must specify one of: `pod`',
            "spec.requester: Invalid value: \"y\": must include a prefix (e.g. 'example.com/key')",
            'spec.intent: Unsupported value: "Now": supported values: "Eviction", "Withdrawn"',
        ],
    ),
    (SERVICE_CIDR, {"spec": {}}, ["spec.cidrs: Required value: at least one CIDR required"]),
    (
        SERVICE_CIDR,
        {"spec": {"cidrs": ["10.0.0.1/8"]}},
        ['spec.cidrs[0]: Invalid value: "10.0.0.1/8": must not have bits set beyond the prefix length'],
    ),
    (
        MIGRATION,
        {"spec": {"resource": {"resource": ""}}},
        ["spec.resource.resource: Required value: resource is required to be set"],
    ),
]


@pytest.mark.parametrize(("kind", "tree", "wanted"), INVALID, ids=lambda x: x.kind if isinstance(x, Kind) else "")
def test_on_create(kind: Kind, tree: Tree, wanted: list[str]) -> None:
    assert errors(kind, tree) == wanted


def test_templates_go_four_levels_deep() -> None:
    found = errors(WORKLOAD, workload(compositePodGroupTemplates=[nested(4)]))
    assert len(found) == 1 and found[0].endswith("maximum template hierarchy depth is 4")


UPDATES: list[tuple[Kind, Tree, Tree, list[str]]] = [
    (POD_GROUP, group(), {"spec": {"schedulingPolicy": {"gang": {"minCount": 3}}}}, []),
    (
        POD_GROUP,
        group(),
        {"spec": {"schedulingPolicy": {"gang": None, "basic": {}}}},
        [
            "spec.schedulingPolicy.basic: Invalid value: {}: field is immutable",
            "spec.schedulingPolicy.gang: Invalid value: null: field cannot be cleared once set",
        ],
    ),
    (
        WORKLOAD,
        workload(template("a")),
        {"spec": {"podGroupTemplates": [template("b")]}},
        [
            "spec.podGroupTemplates[0]: Forbidden: item may not be added",
            "spec.podGroupTemplates: Forbidden: item may not be removed",
        ],
    ),
    (CANDIDATE, candidate(), {"spec": {"leaseName": "m"}}, ['spec.leaseName: Invalid value: "m": field is immutable']),
    (SERVICE_CIDR, {"spec": {"cidrs": ["10.0.0.0/8"]}}, {"spec": {"cidrs": ["10.0.0.0/8", "2001:db8::/64"]}}, []),
    (
        SERVICE_CIDR,
        {"spec": {"cidrs": ["10.0.0.0/8"]}},
        {"spec": {"cidrs": ["11.0.0.0/8"]}},
        ['spec.cidrs[0]: Invalid value: "11.0.0.0/8": field is immutable'],
    ),
]


@pytest.mark.parametrize(
    ("kind", "old", "changes", "wanted"), UPDATES, ids=lambda x: x.kind if isinstance(x, Kind) else ""
)
def test_on_update(kind: Kind, old: Tree, changes: Tree, wanted: list[str]) -> None:
    assert update_errors(kind, old, changes) == wanted


T = "2026-01-01T00:00:00Z"


def evicted(*states: str, started: int = 1, **status: Any) -> Tree:
    names = [f"x.test/{'abcdef'[i]}" for i in range(len(states))]
    reports = [{"name": n, **({"startTime": T} if i < started else {})} for i, n in enumerate(names)]
    targets = [{"name": n, "priority": 5, "state": s} for n, s in zip(names, states, strict=True)]
    return {"status": {"targetResponders": targets, "responders": reports, **status}}


STATUS: list[tuple[Kind, Tree, Tree, list[str]]] = [
    (EVICTION, {}, evicted("Active", "Inactive"), []),
    (
        EVICTION,
        {},
        evicted("Inactive", "Inactive", started=0),
        [
            'status.targetResponders[0].state: Invalid value: "Inactive": must be one of: Active, '
            "because this responder is next in line"
        ],
    ),
    (
        EVICTION,
        evicted("Active", "Inactive"),
        evicted("Completed", "Active"),
        ["status.responders[1].startTime: Required value: is required for an active responder"],
    ),
    (
        EVICTION,
        evicted("Active", "Inactive"),
        evicted("Active", "Active"),
        [
            'status.targetResponders[1].state: Invalid value: "Active": must be one of: Inactive, '
            "because the previously active has not finished processing",
            "status.responders[1].startTime: Required value: is required for an active responder",
        ],
    ),
    (
        EVICTION,
        evicted("Active"),
        evicted(),
        [
            "status.targetResponders: Invalid value: []: "
            "must preserve the same length and the same keys in the same order",
        ],
    ),
    (
        MIGRATION,
        {"status": {"resourceVersion": "5"}},
        {"status": {"resourceVersion": "6", "conditions": [condition("Succeeded"), condition("Failed")]}},
        [
            'status.resourceVersion: Invalid value: "6": field is immutable',
            "Both success and failed conditions cannot be true at the same time",
        ],
    ),
]


@pytest.mark.parametrize(("kind", "old", "new", "wanted"), STATUS, ids=lambda x: x.kind if isinstance(x, Kind) else "")
def test_on_status(kind: Kind, old: Tree, new: Tree, wanted: list[str]) -> None:
    spec = {"spec": {"target": POD}} if kind is EVICTION else {"spec": {"resource": {"resource": "pods"}}}
    found = kind.validate_status_update(make(kind, merge(spec, new)), make(kind, merge(spec, old)))
    assert len(found) == len(wanted), found
    assert all(w in str(e) for e, w in zip(found, wanted, strict=True)), found


# -- certificates of pods ---------------------------------------------------------------------------------------------


def request(**spec: Any) -> Tree:
    made: Tree = merge(corpus.populated(POD_CERTIFICATE), {"spec": spec})
    return made


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        ({}, ""),
        ({"podUID": "other"}, "spec.proofOfPossession: Invalid value: could not verify proof-of-possession signature"),
        ({"pkixPublicKey": "eA=="}, "must be a valid PKIX-serialized public key"),
        (
            {"maxExpirationSeconds": 60},
            "spec.maxExpirationSeconds: Invalid value: 60: must be in the range [3600, 7862400]",
        ),
        (
            {"signerName": "kubernetes.io/x", "maxExpirationSeconds": 90000},
            "spec.maxExpirationSeconds: Invalid value: 90000: must be in the range [3600, 86400]",
        ),
        ({"podName": ""}, "spec.podName: Invalid value"),
        ({"unverifiedUserAnnotations": {"plain": "x"}}, "spec.unverifiedUserAnnotations: Invalid value"),
    ],
)
def test_a_request_proves_that_the_key_is_there(spec: Tree, wanted: str) -> None:
    found = errors(POD_CERTIFICATE, request(**spec))
    assert not found if not wanted else any(wanted in text for text in found), found


def issued(begins: float, seconds: float, **status: Any) -> Tree:
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    der = base64.b64decode(corpus.populated(POD_CERTIFICATE)["spec"]["pkixPublicKey"])
    key: Any = serialization.load_der_public_key(der)
    start = datetime.fromtimestamp(begins, UTC)
    name = x509.Name([])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key).serial_number(1)
    builder = builder.not_valid_before(start).not_valid_after(start + timedelta(seconds=seconds))
    chain = builder.sign(tls.new_key(), hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
    base = {
        "conditions": [condition("Issued")],
        "certificateChain": chain,
        "notBefore": rfc3339(begins),
        "notAfter": rfc3339(begins + seconds),
        "beginRefreshAt": rfc3339(begins + seconds / 2),
    }
    return {"status": {**base, **status}}


@pytest.mark.parametrize(
    ("status", "wanted"),
    [
        (issued(NOW, 3600), ""),
        (issued(NOW, 7200), "leaf certificate lifetime must be <= spec.maxExpirationSeconds (3600)"),
        (issued(NOW, 3600, certificateChain=ROOT), "leaf certificate was not issued to the requested public key"),
        (issued(NOW, 3600, notAfter=rfc3339(NOW)), "must be set to the NotAfter time encoded in the leaf certificate"),
        (issued(NOW, 3600, beginRefreshAt=rfc3339(NOW + 60)), "must be at least 10 minutes after status.notBefore"),
        (issued(NOW, 3600, beginRefreshAt=None), "must be present and in the range [notbefore+10min, notafter-10min]"),
        ({"status": {"conditions": [condition("Denied")]}}, ""),
        (
            {"status": {"conditions": [condition("Denied")], "certificateChain": "x"}},
            "non-condition status fields must be empty",
        ),
        ({"status": {"conditions": [condition("Odd")]}}, 'status.conditions.[0].type: Unsupported value: "Odd"'),
        (
            {"status": {"certificateChain": "x"}},
            'status is immutable unless transitioning to "Issued", "Denied", or "Failed"',
        ),
    ],
)
def test_what_is_issued_is_what_was_asked_for(status: Tree, wanted: str) -> None:
    old = make(POD_CERTIFICATE, request())
    new = make(POD_CERTIFICATE, merge(request(), status))
    found = [str(e) for e in POD_CERTIFICATE.validate_status_update(new, old)]
    assert not found if not wanted else len(found) == 1 and wanted in found[0], found
    if not wanted:
        changed = make(POD_CERTIFICATE, merge(request(), {"status": {"conditions": [condition("Failed")]}}))
        (problem,) = POD_CERTIFICATE.validate_status_update(changed, new)
        assert "immutable after PodCertificateRequest is issued, denied, or failed" in str(problem)


def test_the_signed_request_alone_is_enough() -> None:
    spec = corpus.populated(POD_CERTIFICATE)["spec"]
    der = base64.b64decode(corpus.signing_request())
    lines = der.decode().split("-----")[2].split()
    only = {**spec, "pkixPublicKey": None, "proofOfPossession": None, "stubPKCS10Request": "".join(lines)}
    assert errors(POD_CERTIFICATE, request(**only)) == []
