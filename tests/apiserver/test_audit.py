"""Audit: which rule decides, what a policy may not say, and what is noted at each level and stage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from pelamis.apiserver.auditpolicy import LEVELS, PolicyError, load, parse
from pelamis.apiserver.request import parse_info
from pelamis.apiserver.user import User, component_user
from pelamis.main.auditlog import AuditLog
from tests.apiserver.harness import Harness
from tests.apiserver.test_server import CMS, cm, events, run

POLICY = """
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: None, users: [system:kube-proxy], verbs: [watch]}
- {level: None, userGroups: [system:nodes], resources: [{group: "", resources: [nodes, nodes/status]}]}
- {level: None, nonResourceURLs: ["/healthz*", /version]}
- {level: Metadata, resources: [{group: "", resources: [secrets, configmaps]}], omitStages: [ResponseStarted]}
- {level: RequestResponse, resources: [{group: "", resources: [pods], resourceNames: [a]}]}
- {level: Request, resources: [{group: "", resources: ["*/log"]}]}
- {level: Request, resources: [{group: apps, resources: [deployments/*]}]}
- {level: RequestResponse, namespaces: [""], resources: [{group: apps}]}
- {level: Metadata, namespaces: [kube-system]}
"""


@pytest.mark.parametrize(
    ("user", "method", "path", "level", "stages"),
    [
        (component_user("system:kube-proxy"), "GET", "/api/v1/services?watch=1", "None", 3),
        (component_user("system:kube-proxy"), "GET", "/api/v1/services", "None", 0),
        (component_user("n", "system:nodes"), "PATCH", "/api/v1/nodes/n/status", "None", 3),
        (component_user("a"), "GET", "/healthz/etcd", "None", 3),
        (component_user("a"), "GET", "/api/v1/namespaces/a/secrets/s", "Metadata", 2),
        (component_user("a"), "GET", "/api/v1/namespaces/a/pods/a", "RequestResponse", 3),
        (component_user("a"), "GET", "/api/v1/namespaces/a/pods/b", "None", 0),
        (component_user("a"), "GET", "/api/v1/namespaces/a/pods/b/log", "Request", 3),
        (component_user("a"), "PUT", "/apis/apps/v1/namespaces/a/deployments/b/scale", "Request", 3),
        (component_user("a"), "GET", "/apis/apps/v1/namespaces/a/deployments/b", "Request", 3),
        (component_user("a"), "GET", "/apis/apps/v1/deployments", "Request", 3),
        (component_user("a"), "GET", "/apis/apps/v1/daemonsets", "RequestResponse", 3),
        (component_user("a"), "GET", "/apis/apps/v1/namespaces/a/daemonsets", "None", 0),
        (component_user("a"), "GET", "/api/v1/namespaces/kube-system/services", "Metadata", 3),
        (component_user("a"), "GET", "/metrics", "None", 0),
    ],
)
def test_the_first_rule_that_fits_decides(user: User, method: str, path: str, level: str, stages: int) -> None:
    path, _, query = path.partition("?")
    found = load(POLICY).judge(user, parse_info(method, path, query))
    assert (LEVELS[found.level], len(found.stages)) == (level, stages)


@pytest.mark.parametrize(
    ("rule", "wrong"),
    [
        ({}, "rules[0].level: Required value"),
        ({"level": "Some"}, 'rules[0].level: Unsupported value: "Some"'),
        ({"level": "None", "omitStages": ["X"]}, 'rules[0].omitStages: "X" is no stage'),
        ({"level": "None", "nonResourceURLs": ["a"]}, "non-resource URL rules must begin with a '/' character"),
        ({"level": "None", "nonResourceURLs": ["/a*/b"]}, "wildcards '*' must be the final character of the rule"),
        ({"level": "None", "nonResourceURLs": ["/a"], "namespaces": ["a"]}, "both regular resources and non-resource"),
        ({"level": "None", "resources": [{"resourceNames": ["a"]}]}, "requires at least one resource"),
        ({"level": "None", "resources": [{"group": "a/v1"}]}, 'rules[0].resources[0].group: Invalid value: "a/v1"'),
        ({"level": "None", "user": ["a"]}, 'rules[0]: unknown field "user"'),
        ({"level": "None", "verbs": "get"}, "rules[0].verbs: must be a list of strings"),
    ],
)
def test_what_a_policy_may_not_say(rule: dict[str, Any], wrong: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [rule]})
    assert wrong in str(caught.value)


@pytest.mark.parametrize("text", ["", "a: [", "kind: Policy\napiVersion: audit.k8s.io/v1", "kind: Policy"])
def test_a_file_that_is_no_policy(text: str) -> None:
    with pytest.raises(PolicyError):
        load(text)


def test_levels_and_stages() -> None:
    lines: list[bytes] = []
    rules = [
        {"level": "RequestResponse", "resources": [{"resources": ["configmaps"]}], "omitManagedFields": True},
        {"level": "Request", "resources": [{"resources": ["namespaces"]}], "omitStages": ["RequestReceived"]},
        {"level": "Metadata", "omitStages": ["RequestReceived"]},
    ]
    policy = parse({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": rules})

    async def scenario(h: Harness) -> None:
        async def noted(*args: Any, **kwargs: Any) -> list[dict[str, Any]]:
            lines.clear()
            await h.raw(*args, **kwargs)
            return [msgspec.json.decode(line) for line in lines]

        first, last = await noted("POST", CMS, cm("a"))
        assert (first["stage"], last["stage"], last["level"]) == (
            "RequestReceived",
            "ResponseComplete",
            "RequestResponse",
        )
        came = "requestReceivedTimestamp"
        assert first[came] == last[came] == first["stageTimestamp"] <= last["stageTimestamp"]
        assert first["auditID"] == last["auditID"] and "responseStatus" not in first and "requestObject" not in first
        assert last["requestObject"]["metadata"] == {"name": "a"} and last["objectRef"]["name"] == "a"
        assert last["responseObject"]["metadata"]["uid"] and "managedFields" not in last["responseObject"]["metadata"]
        assert last["responseStatus"] == {"metadata": {}, "code": 201}
        yaml = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n"
        _, last = await noted("POST", CMS, yaml, headers={"Content-Type": "application/yaml"})
        assert last["requestObject"]["metadata"] == {"name": "b"}
        headers = {"Content-Type": "application/json-patch+json"}
        operations = [{"op": "add", "path": "/data", "value": {"k": "v"}}]
        _, last = await noted("PATCH", f"{CMS}/a", operations, headers=headers)
        assert (last["verb"], last["requestObject"]) == ("patch", operations)
        assert last["responseObject"]["data"] == {"k": "v"}
        _, last = await noted("GET", CMS)
        assert [i["metadata"]["name"] for i in last["responseObject"]["items"]] == ["a", "b"]
        assert "requestObject" not in last
        _, last = await noted("GET", f"{CMS}/none")
        assert last["responseStatus"]["code"] == 404 and last["responseStatus"]["reason"] == "NotFound"
        assert last["responseStatus"]["message"] == 'configmaps "none" not found'
        assert last["responseObject"]["kind"] == "Status"
        (only,) = await noted("POST", "/api/v1/namespaces", {"metadata": {"name": "n"}})
        assert (only["level"], only["requestObject"]["metadata"]) == ("Request", {"name": "n"})
        assert "responseObject" not in only
        _, last = await noted("GET", CMS, headers={"Impersonate-User": "ann", "Impersonate-Group": "dev"})
        assert last["user"]["username"] == "admin" and last["impersonatedUser"]["username"] == "ann"
        assert (last["responseStatus"]["code"], last["annotations"]["authorization.k8s.io/decision"]) == (403, "forbid")
        (only,) = await noted("GET", "/version", headers={"Authorization": "Bearer odd"}, anonymous=True)
        assert (only["responseStatus"]["code"], only["user"]) == (401, {})
        assert only["responseStatus"]["message"] == "Authentication failed, attempted: bearer"
        lines.clear()
        await events(h, f"{CMS}?watch=1&timeoutSeconds=1", 2)
        found = [msgspec.json.decode(line) for line in lines]
        assert [e["stage"] for e in found][:2] == ["RequestReceived", "ResponseStarted"]
        assert found[1]["responseStatus"]["code"] == 200 and "responseObject" not in found[1]

    run(scenario, audit=lines.append, audit_policy=policy)


def test_the_file_is_set_aside_when_it_is_large(tmp_path: Path) -> None:
    now = [1_700_000_000.0]
    path = tmp_path / "logs" / "audit.log"
    log = AuditLog(str(path), most_mb=1, backups=2, clock=lambda: now[0])
    for _ in range(5):
        log(b"x" * 700_000 + b"\n")
        now[0] += 1
    log.close()
    names = sorted(p.name for p in path.parent.iterdir())
    assert names == ["audit-2023-11-14T22-13-23.000.log", "audit-2023-11-14T22-13-24.000.log", "audit.log"]
    assert all(p.stat().st_size == 700_001 for p in path.parent.iterdir())
    assert path.stat().st_mode & 0o777 == 0o600
