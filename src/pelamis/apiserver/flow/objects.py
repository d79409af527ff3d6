"""The FlowSchemas and PriorityLevelConfigurations that every cluster starts with. Source: Kubernetes 1.37."""

from __future__ import annotations

from pelamis.api.field import Tree
from pelamis.base.clock import rfc3339

GROUP = "flowcontrol.apiserver.k8s.io"
SCHEMAS = f"flowschemas.{GROUP}"
LEVELS = f"prioritylevelconfigurations.{GROUP}"
_ANNOTATION = "apf.kubernetes.io/autoupdate-spec"

# name, shares, lendable percent, (queues, hand size, length) or None to reject
_LIMITED: tuple[tuple[str, int, int, tuple[int, int, int] | None], ...] = (
    ("catch-all", 5, 0, None),
    ("system", 30, 33, (64, 6, 50)),
    ("node-high", 40, 25, (64, 6, 50)),
    ("leader-election", 10, 0, (16, 4, 50)),
    ("workload-high", 40, 50, (128, 6, 50)),
    ("workload-low", 100, 90, (128, 6, 50)),
    ("global-default", 20, 50, (128, 6, 50)),
)
_EVERYTHING: Tree = {
    "verbs": ["*"],
    "apiGroups": ["*"],
    "resources": ["*"],
    "clusterScope": True,
    "namespaces": ["*"],
}
_EVERY_PATH: Tree = {"verbs": ["*"], "nonResourceURLs": ["*"]}
_LEASES: Tree = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "namespaces": ["*"]}


def _group(name: str) -> Tree:
    return {"kind": "Group", "group": {"name": name}}


def _user(name: str) -> Tree:
    return {"kind": "User", "user": {"name": name}}


_SYSTEM_ACCOUNTS: Tree = {"kind": "ServiceAccount", "serviceAccount": {"namespace": "kube-system", "name": "*"}}
_ANYBODY = [_group("system:unauthenticated"), _group("system:authenticated")]
_ALL = ([_EVERYTHING], [_EVERY_PATH])

# name, level, precedence, distinguisher, subjects, (resource rules, non-resource rules)
_SCHEMAS: tuple[tuple[str, str, int, str, list[Tree], tuple[list[Tree], list[Tree]]], ...] = (
    ("exempt", "exempt", 1, "", [_group("system:masters")], _ALL),
    (
        "probes",
        "exempt",
        2,
        "",
        _ANYBODY,
        ([], [{"verbs": ["get"], "nonResourceURLs": ["/healthz", "/readyz", "/livez"]}]),
    ),
    (
        "system-leader-election",
        "leader-election",
        100,
        "ByUser",
        [_user("system:kube-controller-manager"), _user("system:kube-scheduler"), _SYSTEM_ACCOUNTS],
        ([{**_LEASES, "verbs": ["get", "create", "update"]}], []),
    ),
    (
        "system-node-high",
        "node-high",
        400,
        "ByUser",
        [_group("system:nodes")],
        (
            [
                {
                    "verbs": ["*"],
                    "apiGroups": [""],
                    "resources": ["nodes", "nodes/status"],
                    "clusterScope": True,
                    "namespaces": ["*"],
                },
                {**_LEASES, "verbs": ["*"]},
            ],
            [],
        ),
    ),
    ("system-nodes", "system", 500, "ByUser", [_group("system:nodes")], _ALL),
    ("kube-controller-manager", "workload-high", 800, "ByNamespace", [_user("system:kube-controller-manager")], _ALL),
    ("kube-scheduler", "workload-high", 800, "ByNamespace", [_user("system:kube-scheduler")], _ALL),
    ("kube-system-service-accounts", "workload-high", 900, "ByNamespace", [_SYSTEM_ACCOUNTS], _ALL),
    ("service-accounts", "workload-low", 9000, "ByUser", [_group("system:serviceaccounts")], _ALL),
    ("global-default", "global-default", 9900, "ByUser", _ANYBODY, _ALL),
    ("catch-all", "catch-all", 10000, "ByUser", _ANYBODY, _ALL),
)


def _meta(name: str) -> Tree:
    return {"name": name, "annotations": {_ANNOTATION: "true"}}


def dangling(level: str, there: bool, now: float) -> Tree:
    """The condition of a FlowSchema: does its priority level exist?"""
    if there:
        message = f'This FlowSchema references the PriorityLevelConfiguration object named "{level}" and it exists'
    else:
        message = (
            f'This FlowSchema references the PriorityLevelConfiguration object named "{level}" but there is no such '
            "object"
        )
    return {
        "type": "Dangling",
        "status": "False" if there else "True",
        "lastTransitionTime": rfc3339(now),
        "reason": "Found" if there else "NotFound",
        "message": message,
    }


def levels() -> list[Tree]:
    out: list[Tree] = [
        {
            "metadata": _meta("exempt"),
            "spec": {"type": "Exempt", "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0}},
        }
    ]
    for name, shares, lendable, queuing in _LIMITED:
        response: Tree = {"type": "Reject"}
        if queuing is not None:
            queues, hand, length = queuing
            response = {
                "type": "Queue",
                "queuing": {"queues": queues, "handSize": hand, "queueLengthLimit": length},
            }
        limited = {"nominalConcurrencyShares": shares, "lendablePercent": lendable, "limitResponse": response}
        out.append({"metadata": _meta(name), "spec": {"type": "Limited", "limited": limited}})
    return out


def schemas() -> list[Tree]:
    out: list[Tree] = []
    for name, level, precedence, distinguisher, subjects, (resource, other) in _SCHEMAS:
        rule: Tree = {"subjects": subjects}
        if resource:
            rule["resourceRules"] = resource
        if other:
            rule["nonResourceRules"] = other
        spec: Tree = {
            "priorityLevelConfiguration": {"name": level},
            "matchingPrecedence": precedence,
            "rules": [rule],
        }
        if distinguisher:
            spec["distinguisherMethod"] = {"type": distinguisher}
        out.append({"metadata": _meta(name), "spec": spec})
    return out
