"""The levels of PodSecurity: each check alone, in its versions, with the message that clients see."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pelamis.api.core.pod.pod import Pod
from pelamis.apiserver.admission.podsecurity import Level, policy_of
from pelamis.apiserver.admission.podsecuritychecks import evaluate, explain
from tests.apiserver.harness import Harness
from tests.apiserver.test_server import DEPLOYMENT, DEPLOYMENTS, POD, run

GOOD: dict[str, Any] = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def judged(level: str, minor: int = 0, annotations: Any = None, context: Any = None, **spec: Any) -> str:
    """Of a pod with a container "a" that is all right but for ``context``, and what else ``spec`` says."""
    container = {"name": "a", "image": "i", "securityContext": {**GOOD, **(context or {})}}
    container.update(spec.pop("container", {}))
    tree = {"metadata": {"name": "p", "annotations": annotations or {}}, "spec": {"containers": [container], **spec}}
    pod = msgspec.json.decode(msgspec.json.encode(tree), type=Pod)
    return explain(evaluate(level, pod.metadata, pod.spec, minor))


HOST_PATH = {"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}
SYSCTL = {"securityContext": {"sysctls": [{"name": "net.ipv4.tcp_rmem", "value": "1"}]}}
PROBE = {"container": {"livenessProbe": {"httpGet": {"host": "h", "port": 1}}}}


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({}, ""),
        (
            {"annotations": {"container.apparmor.security.beta.kubernetes.io/a": "unconfined"}},
            'forbidden AppArmor profile (container.apparmor.security.beta.kubernetes.io/a="unconfined")',
        ),
        (
            {"context": {"appArmorProfile": {"type": "Unconfined"}}},
            'forbidden AppArmor profile (container "a" must not set AppArmor profile type to "Unconfined")',
        ),
        (
            {"context": {"capabilities": {"add": ["NET_ADMIN", "BPF", "CHOWN"]}}},
            'non-default capabilities (container "a" must not include "BPF", "NET_ADMIN" in '
            "securityContext.capabilities.add)",
        ),
        ({"hostNetwork": True, "hostPID": True}, "host namespaces (hostNetwork=true, hostPID=true)"),
        (HOST_PATH, 'hostPath volumes (volume "v")'),
        (
            {"container": {"ports": [{"containerPort": 1, "hostPort": 2}]}},
            'hostPort (container "a" uses hostPort 2)',
        ),
        (PROBE, 'probe or lifecycle host (container "a" uses probe or lifecycle host "h")'),
        (
            {"context": {"privileged": True}},
            'privileged (container "a" must not set securityContext.privileged=true)',
        ),
        (
            {"context": {"procMount": "Unmasked"}},
            'procMount (container "a" must not set securityContext.procMount to "Unmasked")',
        ),
        ({"context": {"procMount": "Unmasked"}, "hostUsers": False}, ""),
        (
            {"context": {"seLinuxOptions": {"type": "x", "user": "u", "role": "r"}}},
            'seLinuxOptions (container "a" set forbidden securityContext.seLinuxOptions: type "x"; user may not be '
            "set; role may not be set)",
        ),
        ({"context": {"seLinuxOptions": {"type": "container_engine_t"}}}, ""),
        (
            {"securityContext": {"seccompProfile": {"type": "Unconfined"}}},
            'seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")',
        ),
        ({"securityContext": {"sysctls": [{"name": "kernel.sem", "value": "1"}]}}, "forbidden sysctls (kernel.sem)"),
        (SYSCTL, ""),
        (
            {"context": {"windowsOptions": {"hostProcess": True}}},
            'hostProcess (container "a" must not set securityContext.windowsOptions.hostProcess=true)',
        ),
    ],
)
def test_baseline(spec: dict[str, Any], message: str) -> None:
    assert judged("baseline", **spec) == message
    assert judged("privileged", **spec) == ""


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({}, ""),
        (
            {"context": {"allowPrivilegeEscalation": None}},
            'allowPrivilegeEscalation != false (container "a" must set securityContext.allowPrivilegeEscalation=false)',
        ),
        (
            {"context": {"capabilities": {"add": ["CHOWN"]}}},
            'unrestricted capabilities (container "a" must set securityContext.capabilities.drop=["ALL"]; container '
            '"a" must not include "CHOWN" in securityContext.capabilities.add)',
        ),
        ({"context": {"capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}}}, ""),
        (
            {"volumes": [{"name": "v", "nfs": {"server": "s", "path": "/"}}]},
            'restricted volume types (volume "v" uses restricted volume type "nfs")',
        ),
        (
            {"context": {"runAsNonRoot": None}},
            'runAsNonRoot != true (pod or container "a" must set securityContext.runAsNonRoot=true)',
        ),
        (
            {"context": {"runAsNonRoot": False}},
            'runAsNonRoot != true (container "a" must not set securityContext.runAsNonRoot=false)',
        ),
        ({"context": {"runAsUser": 0}}, 'runAsUser=0 (container "a" must not set runAsUser=0)'),
        ({"context": {"runAsUser": 0, "runAsNonRoot": None}, "hostUsers": False}, ""),
        (
            {"context": {"seccompProfile": None}},
            'seccompProfile (pod or container "a" must set securityContext.seccompProfile.type to "RuntimeDefault" or '
            '"Localhost")',
        ),
        (
            {**HOST_PATH, "hostIPC": True},
            'host namespaces (hostIPC=true), hostPath volumes (volume "v"), restricted volume types (volume "v" uses '
            'restricted volume type "hostPath")',
        ),
        (
            {
                "os": {"name": "windows"},
                "context": {"allowPrivilegeEscalation": None, "capabilities": None, "seccompProfile": None},
            },
            "",
        ),
    ],
)
def test_restricted(spec: dict[str, Any], message: str) -> None:
    assert judged("restricted", **spec) == message


@pytest.mark.parametrize(
    ("level", "first", "spec"),
    [
        ("restricted", 8, {"context": {"allowPrivilegeEscalation": None}}),
        ("restricted", 19, {"context": {"seccompProfile": None}}),
        ("restricted", 22, {"context": {"capabilities": None}}),
        ("restricted", 23, {"context": {"runAsUser": 0}}),
        ("baseline", 34, PROBE),
    ],
)
def test_checks_begin_with_a_version(level: str, first: int, spec: dict[str, Any]) -> None:
    assert [bool(judged(level, minor, **spec)) for minor in (first - 1, first, 99)] == [False, True, True]


@pytest.mark.parametrize(
    ("level", "first", "spec"),
    [
        ("baseline", 31, {"context": {"seLinuxOptions": {"type": "container_engine_t"}}}),
        ("baseline", 32, SYSCTL),
        ("baseline", 35, {"context": {"procMount": "Unmasked"}, "hostUsers": False}),
        ("restricted", 25, {"os": {"name": "windows"}, "context": {"allowPrivilegeEscalation": None}}),
        ("baseline", 19, {"annotations": {"seccomp.security.alpha.kubernetes.io/pod": "unconfined"}}),
    ],
)
def test_checks_relax_with_a_version(level: str, first: int, spec: dict[str, Any]) -> None:
    assert [bool(judged(level, minor, **spec)) for minor in (first - 1, first, 0)] == [True, False, False]


P = "pod-security.kubernetes.io/"


@pytest.mark.parametrize(
    ("labels", "levels", "errors"),
    [
        ({}, ["privileged:latest"] * 3, []),
        (
            {"enforce": "baseline", "enforce-version": "v1.24"},
            ["baseline:v1.24", "privileged:latest", "baseline:v1.24"],
            [],
        ),
        (
            {"enforce": "restricted", "warn": "baseline", "audit": "restricted", "audit-version": "latest"},
            ["restricted:latest", "restricted:latest", "baseline:latest"],
            [],
        ),
        (
            {"enforce": "strict", "warn-version": "1.2"},
            ["restricted:latest", "privileged:latest", "privileged:latest"],
            [
                f'metadata.labels[{P}enforce]: Invalid value: "strict": must be one of privileged, baseline, '
                "restricted",
                f'metadata.labels[{P}warn-version]: Invalid value: "1.2": must be "latest" or "v1.x"',
            ],
        ),
    ],
)
def test_labels(labels: dict[str, str], levels: list[str], errors: list[str]) -> None:
    policy, found = policy_of({P + k: v for k, v in labels.items()})
    assert [str(level) for level in policy] == levels and [str(e) for e in found] == errors
    assert all(isinstance(level, Level) for level in policy)


def test_the_plugin() -> None:
    async def scenario(h: Harness) -> None:
        async def label(**labels: str) -> tuple[int, Any, list[str]]:
            body = {"metadata": {"labels": {P + k.replace("_", "-"): v for k, v in labels.items()}}}
            headers = {"Content-Type": "application/merge-patch+json"}
            status, out, data = await h.raw("PATCH", "/api/v1/namespaces/default", body, headers=headers)
            return status, msgspec.json.decode(data), out.get("warning", "")

        bad = {"spec": {"hostNetwork": True, **POD["spec"]}}
        path = "/api/v1/namespaces/default/pods"
        for name in ("a", "b", "c"):
            assert (await h.request("POST", path, {"metadata": {"name": name}, **bad}))[0] == 201
        status, error, _ = await label(enforce="odd")
        assert status == 422 and error["message"].startswith('Namespace "default" is invalid: metadata.labels[')
        status, _, warnings = await label(enforce="baseline", enforce_version="v1.30")
        assert status == 200 and "a (and 2 other pods): host namespaces" in warnings
        status, error = await h.request("POST", path, {"metadata": {"name": "d"}, **bad})
        assert (status, error["message"]) == (
            403,
            'pods "d" is forbidden: violates PodSecurity "baseline:v1.30": host namespaces (hostNetwork=true)',
        )
        # Labels of a pod that is there may change, its image may not.
        headers = {"Content-Type": "application/merge-patch+json"}
        body: dict[str, Any] = {"metadata": {"labels": {"x": "y"}}}
        assert (await h.request("PATCH", f"{path}/a", body, headers=headers))[0] == 200
        headers = {"Content-Type": "application/strategic-merge-patch+json"}
        body = {"spec": {"containers": [{"name": "c", "image": "other"}]}}
        assert (await h.request("PATCH", f"{path}/a", body, headers=headers))[0] == 403
        # A workload is made, with a warning.
        spec = {**DEPLOYMENT["spec"], "template": {**DEPLOYMENT["spec"]["template"], **bad}}
        status, out, _ = await h.raw("POST", DEPLOYMENTS, {**DEPLOYMENT, "spec": spec})
        assert status == 201 and out["warning"] == (
            '299 - "would violate PodSecurity \\"baseline:v1.30\\": host namespaces (hostNetwork=true)"'
        )

    run(scenario)
