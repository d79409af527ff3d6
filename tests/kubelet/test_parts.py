"""The pure parts: wire format, environment, DNS, resources, images, probes, status patches, admission, eviction."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pelamis.api.core.pod.container import ResourceRequirements
from pelamis.api.core.pod.qos import qos_class
from pelamis.api.core.pod.status import (
    ContainerState,
    ContainerStateRunning,
    ContainerStatus,
    PodCondition,
    PodIP,
    PodStatus,
)
from pelamis.api.core.secret import Secret
from pelamis.api.core.service import Service
from pelamis.api.meta import ObjectMeta
from pelamis.kubelet import (
    admit,
    dns,
    env,
    evict,
    images,
    metrics,
    pressure,
    probes,
    pullrecords,
    resources,
    securitycontext,
    status,
)
from pelamis.kubelet import node as nodes
from pelamis.kubelet.cri import image_types as im
from pelamis.kubelet.cri import types as cri
from pelamis.kubelet.cri import usage_types as us
from pelamis.kubelet.cri import wire
from tests.kubelet.pods import make


class Inner(wire.Message, frozen=True):
    text: Annotated[str, 1] = ""
    number: Annotated[int, 2] = 0


class Outer(wire.Message, frozen=True):
    flag: Annotated[bool, 1] = False
    blob: Annotated[bytes, 2] = b""
    numbers: Annotated[tuple[int, ...], 3] = ()
    inner: Annotated[Inner | None, 4] = None
    inners: Annotated[tuple[Inner, ...], 5] = ()
    table: Annotated[dict[str, str], 6] = {}
    ratio: Annotated[float, 16] = 0.0


_inner = st.builds(Inner, text=st.text(max_size=20), number=st.integers(-(2**63), 2**63 - 1))


@given(
    st.builds(
        Outer,
        flag=st.booleans(),
        blob=st.binary(max_size=300),
        numbers=st.lists(st.integers(-(2**63), 2**63 - 1), max_size=5).map(tuple),
        inner=st.none() | _inner,
        inners=st.lists(_inner, max_size=3).map(tuple),
        table=st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
        ratio=st.floats(allow_nan=False),
    )
)
def test_wire_round_trip(message: Outer) -> None:
    assert wire.decode(wire.encode(message), Outer) == message


def test_wire_known_bytes_and_damage() -> None:
    assert wire.encode(Outer(numbers=(1, 300), inner=Inner(text="é", number=-1))).hex() == (
        "1a0301ac02" + "220f" + "0a02c3a9" + "10ffffffffffffffffff01"
    )
    assert wire.decode(bytes.fromhex("18011802"), Outer).numbers == (1, 2)  # not packed
    assert wire.decode(bytes.fromhex("ca3e0161f83e05"), Outer) == Outer()  # unknown fields
    for bad in ("0a", "0aff", "1280808080808080808080", "0f"):
        with pytest.raises(wire.WireError):
            wire.decode(bytes.fromhex(bad), Outer)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$(A)", "1"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$(NOPE) $A $", "$(NOPE) $A $"),
        ("a$(A)b$(B)", "a1b2"),
        ("$(A", "$(A"),
    ],
)
def test_expand(text: str, expected: str) -> None:
    assert env.expand(text, {"A": "1", "B": "2"}) == expected


def test_service_variables() -> None:
    tree = {
        "metadata": {"name": "my-db", "namespace": "ns"},
        "spec": {"clusterIP": "10.0.0.5", "ports": [{"name": "sql", "port": 5432, "protocol": "TCP"}]},
    }
    service = msgspec.json.decode(json.dumps(tree), type=Service)
    got = env.service_variables([service], "ns", True)
    assert got == {
        "MY_DB_SERVICE_HOST": "10.0.0.5",
        "MY_DB_SERVICE_PORT": "5432",
        "MY_DB_SERVICE_PORT_SQL": "5432",
        "MY_DB_PORT": "tcp://10.0.0.5:5432",
        "MY_DB_PORT_5432_TCP": "tcp://10.0.0.5:5432",
        "MY_DB_PORT_5432_TCP_PROTO": "tcp",
        "MY_DB_PORT_5432_TCP_PORT": "5432",
        "MY_DB_PORT_5432_TCP_ADDR": "10.0.0.5",
    }
    assert env.service_variables([service], "ns", False) == {} == env.service_variables([service], "other", True)


def test_dns_policies() -> None:
    host = dns.parse("nameserver 1.1.1.1\nsearch corp.example\noptions timeout:1\n# nameserver 9.9.9.9\n")

    def of(**spec: Any) -> dns.Resolver:
        return dns.for_pod(make(**spec), ("10.96.0.10",), "cluster.local", host)

    cluster = of(dnsPolicy="ClusterFirst")
    assert cluster.searches == ("ns.svc.cluster.local", "svc.cluster.local", "cluster.local", "corp.example")
    assert (cluster.servers, cluster.options) == (("10.96.0.10",), ("ndots:5",))
    assert of(dnsPolicy="Default") == host == of(dnsPolicy="ClusterFirst", hostNetwork=True)
    assert of(dnsPolicy="ClusterFirstWithHostNet", hostNetwork=True) == cluster
    own = {"nameservers": ["8.8.8.8"], "searches": ["x"], "options": [{"name": "ndots", "value": "2"}]}
    assert of(dnsPolicy="None", dnsConfig=own) == dns.Resolver(("8.8.8.8",), ("x",), ("ndots:2",))
    assert of(dnsPolicy="ClusterFirst", dnsConfig=own).options == ("ndots:2",)
    many = {"nameservers": ["1", "2", "3", "4"]}
    assert of(dnsPolicy="None", dnsConfig=many).servers == ("1", "2", "3")


def _c(name: str = "c", **amounts: Any) -> dict[str, Any]:
    return {"name": name, "image": "i", "resources": amounts}


def test_qos_and_pod_limits() -> None:
    full = {"cpu": "1", "memory": "1Gi"}
    assert qos_class(make(containers=[_c(limits=full, requests=full)])) == "Guaranteed"
    assert qos_class(make(containers=[_c(limits=full), _c("d")])) == "Burstable"
    assert qos_class(make(containers=[_c()])) == "BestEffort"
    pod = make(containers=[_c(limits={"cpu": "500m", "memory": "64Mi"}, requests={"cpu": "250m"})])
    assert resources.for_pod(pod) == {"shares": 256, "quota": 50000, "memory": 64 << 20, "pids": 0}
    assert resources.for_pod(make())["shares"] == 2
    half = make(containers=[_c(requests={"memory": "1Gi"})])
    assert resources.oom_score(half, half.spec.containers[0], 2 << 30) == 500
    inits = [
        {**_c("side", requests={"cpu": "1"}), "restartPolicy": "Always"},
        _c("init", requests={"cpu": "3"}),
    ]
    pod = make(initContainers=inits, containers=[_c(requests={"cpu": "1"})])
    from pelamis.base import quantity

    assert resources.effective(pod, "requests", "cpu", quantity.milli)[0] == 4000


@pytest.mark.parametrize(
    ("image", "normal", "where"),
    [
        ("nginx", "nginx:latest", ("docker.io", "library/nginx")),
        ("nginx:1", "nginx:1", ("docker.io", "library/nginx:1")),
        ("a/b", "a/b:latest", ("docker.io", "a/b")),
        ("host:5000/a/b:c", "host:5000/a/b:c", ("host:5000", "a/b:c")),
        ("localhost/x", "localhost/x:latest", ("localhost", "x")),
    ],
)
def test_image_names(image: str, normal: str, where: tuple[str, str]) -> None:
    assert images.normalize(image) == normal
    assert pullrecords.registry(image) == where


def test_bad_image_name_and_credentials() -> None:
    for bad in ("x/UPPER", "a b", "", "x:", "-x"):
        with pytest.raises(images.ImageError) as error:
            images.normalize(bad)
        assert error.value.reason == "InvalidImageName"
    table = {
        "auths": {"https://reg.example/v1/": {"username": "u", "password": "p"}, "reg.example/team": {"auth": "YTpi"}}
    }
    secret = Secret(
        metadata=ObjectMeta(name="s"),
        type="kubernetes.io/dockerconfigjson",
        data={".dockerconfigjson": json.dumps(table).encode()},
    )
    found = images.credentials([secret], "reg.example/team/app:1")
    assert [(f.auth.username, f.auth.password) for f in found] == [("a", "b"), ("u", "p")]
    assert images.credentials([secret], "other.example/app") == []


def test_image_collection() -> None:
    def held(name: str, used: float, **more: Any) -> images.Held:
        return images.Held(name, 10, used, 0.0, **{"in_use": False, **more})

    table = [
        held("old", 1),
        held("older", 0),
        held("used", 0, in_use=True),
        held("pin", 0, pinned=True),
        held("new", 5),
    ]
    assert [v.id for v in images.victims(table, 15, 1000)] == ["older", "old"]
    assert images.over_threshold(100, 14) == 6 and images.over_threshold(100, 16) == 0


def test_probe_thresholds() -> None:
    declared = (
        make(
            containers=[
                {
                    "name": "c",
                    "image": "i",
                    "livenessProbe": {"periodSeconds": 5, "failureThreshold": 2, "initialDelaySeconds": 3},
                }
            ]
        )
        .spec.containers[0]
        .livenessProbe
    )
    clock = probes.clock("liveness", declared, 100.0, 100.0, True)
    assert clock.next_at == 105.0, "after a period, however short the delay"
    assert [clock.result(ok, 103.0) for ok in (True, False, True, False, False, False)] == [None] * 4 + [False, None]
    ready = probes.clock("readiness", declared, 0.0, 0.0, None)
    assert [ready.result(ok, 0.0) for ok in (True, True, False, False, True)] == [True, None, None, False, True]


@pytest.mark.parametrize(("takes_s", "ready_at"), [(0.01, 0.05), (0.3, 0.35), (2.0, 3.15), (3.5, 10.0), (11.0, 20.0)])
def test_readiness_that_fails_at_first_is_checked_again_soon(takes_s: float, ready_at: float) -> None:
    declared = SimpleNamespace(initialDelaySeconds=0, periodSeconds=10, successThreshold=1, failureThreshold=3)
    clock = probes.clock("readiness", declared, 0.0, 0.0, None)
    while not clock.verdict:
        now = clock.next_at
        clock.result(now >= takes_s, now)
    assert now == pytest.approx(ready_at)
    due = clock.next_at
    assert due == 10.0 * (ready_at // 10 + 1), "early checks leave the rhythm alone"
    for missed in range(3):
        assert clock.next_at == due + 10 * missed, "a container that was ready is checked by its period"
        clock.result(False, clock.next_at)


def test_security_context() -> None:
    pod = make(
        securityContext={"runAsUser": 7, "runAsGroup": 8, "fsGroup": 9, "supplementalGroups": [3]},
        containers=[
            {
                "name": "c",
                "image": "i",
                "securityContext": {
                    "runAsUser": 5,
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                },
            }
        ],
    )
    got = securitycontext.for_container(pod, pod.spec.containers[0], im.Image(id="x"), seccomp_root="/s/")
    assert (got.run_as_user, got.run_as_group) == (cri.Int64Value(value=5), cri.Int64Value(value=8))
    assert got.supplemental_groups == (3, 9) and got.no_new_privs and got.capabilities is not None
    for image, words in (
        (im.Image(id="x", uid=cri.Int64Value(value=0)), "image will run as root"),
        (im.Image(id="x", username="web"), "non-numeric user (web)"),
    ):
        strict = make(securityContext={"runAsNonRoot": True})
        with pytest.raises(env.ConfigError, match="runAsNonRoot") as error:
            securitycontext.for_container(strict, strict.spec.containers[0], image, seccomp_root="")
        assert words in str(error.value)


_CONDITION = st.builds(
    PodCondition,
    type=st.sampled_from([*status.OWNED[:2], *status.RESIZES, "DisruptionTarget", "mine.example/x"]),
    status=st.sampled_from(["True", "False"]),
    reason=st.sampled_from(["", "R"]),
    observedGeneration=st.integers(0, 1),
)
_CONTAINER = st.builds(
    ContainerStatus,
    name=st.sampled_from("ab"),
    state=st.builds(
        ContainerState, running=st.none() | st.just(ContainerStateRunning(startedAt="2026-01-01T00:00:00Z"))
    ),
    allocatedResources=st.sampled_from([{}, {"cpu": "1"}]),
)
_STATUS = st.builds(
    PodStatus,
    phase=st.sampled_from(["", "Pending", "Running"]),
    message=st.sampled_from(["", "m"]),
    observedGeneration=st.integers(0, 1),
    startTime=st.none() | st.just("2026-01-01T00:00:00Z"),
    conditions=st.lists(_CONDITION, max_size=4, unique_by=lambda c: c.type).map(tuple),
    podIPs=st.lists(st.sampled_from(["10.0.0.1", "10.0.0.2"]).map(lambda ip: PodIP(ip=ip)), max_size=2).map(tuple),
    containerStatuses=st.lists(_CONTAINER, max_size=2).map(tuple),
    resources=st.none() | st.just(ResourceRequirements()) | st.just(ResourceRequirements(limits={"cpu": "1"})),
)


@given(_STATUS, _STATUS)
def test_the_difference_of_two_statuses_is_the_patch_of_their_trees(old: PodStatus, new: PodStatus) -> None:
    wanted = status.patch("u", msgspec.to_builtins(old), msgspec.to_builtins(new))
    found = status.difference("u", old, new)
    assert json.dumps(found, sort_keys=True) == json.dumps(wanted, sort_keys=True)


def test_status_patch() -> None:
    old = {
        "phase": "Pending",
        "podIPs": [{"ip": "1"}],
        "conditions": [{"type": "Ready", "status": "False", "reason": "x"}, {"type": "mine", "status": "True"}],
    }
    new = {"phase": "Running", "podIPs": [{"ip": "2"}], "conditions": [{"type": "Ready", "status": "True"}]}
    assert status.patch("u", old, old) is None
    assert status.patch("u", old, new) == {
        "metadata": {"uid": "u"},
        "status": {
            "phase": "Running",
            "podIPs": [{"$patch": "delete", "ip": "1"}, {"ip": "2"}],
            "conditions": [{"type": "Ready", "status": "True", "reason": None}],
        },
    }


_AMOUNTS = st.sampled_from([{}, {"cpu": "1"}, {"cpu": "500m", "memory": "1Gi"}, {"memory": "64Mi"}])
_ONE = st.builds(
    lambda requests, limits, port, sidecar: {
        "image": "i",
        "resources": {"requests": requests, "limits": limits},
        "ports": [{"containerPort": 80, "hostPort": port}] if port else [],
        **({"restartPolicy": "Always"} if sidecar else {}),
    },
    _AMOUNTS,
    _AMOUNTS,
    st.sampled_from([0, 0, 80]),
    st.booleans(),
)


@given(st.lists(_ONE, max_size=2), st.lists(_ONE, min_size=1, max_size=2), _AMOUNTS, st.none() | _AMOUNTS)
def test_a_claim_that_is_shared_is_the_pods_own(init: Any, main: Any, overhead: Any, whole: Any) -> None:
    spec: dict[str, Any] = {
        "initContainers": [{**one, "name": f"i{n}"} for n, one in enumerate(init)],
        "containers": [{k: v for k, v in one.items() if k != "restartPolicy"} | {"name": "c"} for one in main],
        "overhead": overhead,
    }
    if whole is not None:
        spec["resources"] = {"requests": whole}
    pod = make("p", **spec)
    own = admit.Claim(tuple(admit._requests(pod, n, unit) for n, unit in admit.RESOURCES), frozenset(admit._ports(pod)))
    assert admit.claim(pod) == own and admit.claim(make("q", **spec)) is admit.claim(pod)


def test_admission() -> None:
    room = {"cpu": "2", "memory": "1Gi", "pods": "3"}
    small = make("a", containers=[_c(requests={"cpu": "1500m"})])
    refused = admit.check(make("b", containers=[_c(requests={"cpu": "600m"})]), admit.Claims([small]), {}, room)
    assert (
        refused is not None
        and refused.reason == "OutOfcpu"
        and "requested: 600, used: 1500, capacity: 2000" in refused.message
    )
    assert admit.check(make("b", containers=[_c(requests={"cpu": "500m"})]), admit.Claims([small]), {}, room) is None
    assert admit.check(make("b"), admit.Claims([make("x"), make("y"), make("z")]), {}, room)[0] == "OutOfpods"  # type: ignore[index]
    assert (
        admit.check(make("b", nodeSelector={"disk": "ssd"}), admit.Claims([]), {"disk": "hdd"}, room)[0]
        == "NodeAffinity"
    )  # type: ignore[index]
    port = [{"name": "c", "image": "i", "ports": [{"containerPort": 80, "hostPort": 80}]}]
    assert (
        admit.check(make("b", containers=port), admit.Claims([make("x", containers=port)]), {}, room)[0] == "NodePorts"
    )  # type: ignore[index]


@pytest.mark.parametrize(
    ("name", "spec", "problem"),
    [
        ("kernel.shm_rmid_forced", {}, ""),
        ("net/ipv4/tcp_rmem", {}, ""),
        ("kernel.msgmax", {}, '"kernel.msgmax" not allowlisted'),
        ("kernel.shm_rmid_forced", {"hostIPC": True}, '"kernel.shm_rmid_forced" not allowed with host ipc enabled'),
        ("net.ipv4.tcp_rmem", {"hostNetwork": True}, '"net.ipv4.tcp_rmem" not allowed with host net enabled'),
    ],
)
def test_sysctls_of_others_are_refused(name: str, spec: dict[str, Any], problem: str) -> None:
    pod = make("s", securityContext={"sysctls": [{"name": name, "value": "1"}]}, **spec)
    found = admit.check(pod, admit.Claims(), {}, {})
    assert found == (("SysctlForbidden", f"Pod was rejected: forbidden sysctl: {problem}") if problem else None)


def test_eviction_order() -> None:
    signals = {"memory.available": pressure.Signal(50 << 20, 1 << 30), "nodefs.available": pressure.Signal(20, 100)}
    hard = {"nodefs.available": "10%", "memory.available": "100Mi"}
    assert pressure.met(signals, hard) == ["memory.available"]
    inside = make("inside", containers=[_c(requests={"memory": "100Mi"})])
    little, much = make("little"), make("much")
    valued = make("valued", priority=10)
    critical = make("critical", priority=2_000_001_000)
    usage = {
        "uid-inside": 90 << 20,
        "uid-little": 1 << 20,
        "uid-much": 2 << 20,
        "uid-valued": 3 << 20,
        "uid-critical": 1 << 30,
    }
    ranked = pressure.rank([inside, little, much, valued, critical], usage, "memory")
    assert [p.metadata.name for p in ranked] == ["much", "little", "valued", "inside"]


def test_the_sizes_of_containers_by_pod_and_name() -> None:
    def one(uid: str, name: str, size: int | None) -> us.ContainerStats:
        labels = {"io.kubernetes.pod.uid": uid, "io.kubernetes.container.name": name}
        layer = None if size is None else us.FilesystemUsage(used_bytes=us.UInt64Value(size))
        return us.ContainerStats(attributes=us.ContainerAttributes(labels=labels), writable_layer=layer)

    found = evict.writable_layers([one("a", "x", 5), one("a", "x", 3), one("a", "y", None), one("b", "x", 7)])
    assert found == {("a", "x"): 5, ("b", "x"): 7}


def test_limits_that_a_container_has_not() -> None:
    whole = make(resources={"limits": {"cpu": "1250m"}})
    node = {"cpu": "8", "memory": "1Gi"}
    assert env.fallback(whole, node) == {"cpu": "1250m", "memory": "1Gi"} and env.fallback(make(), node) == node


def test_what_the_kubelet_counts() -> None:
    metrics.container_started("main", "RunContainerError")
    metrics.container_ended("sidecar", SimpleNamespace(reason="", exit_code=139))
    text = metrics.text()
    assert 'kubelet_started_containers_errors_total{container_type="container",code="RunContainerError"} ' in text
    labels = 'container_type="init_container",exit_code="139",reason="Error"'
    assert f"kubelet_terminated_containers_total{{{labels}}} 1" in text


def test_what_the_runtime_can_do_is_told_and_asked_for() -> None:
    strict = make(securityContext={"supplementalGroupsPolicy": "Strict"})
    assert admit.check(strict, admit.Claims(), {}, {}) is None
    refused = admit.check(strict, admit.Claims(), {}, {}, strict_groups=False)
    assert refused is not None and refused.reason == "SupplementalGroupsPolicyNotSupported"
    assert nodes._abilities(cri.StatusResponse()) == {}
    says = cri.StatusResponse(
        runtime_handlers=(cri.RuntimeHandler("runc", cri.RuntimeHandlerFeatures(True)), cri.RuntimeHandler()),
        features=cri.RuntimeFeatures(True),
    )
    none = {"recursiveReadOnlyMounts": False, "userNamespaces": False}
    assert nodes._abilities(says) == {
        "features": {"supplementalGroupsPolicy": True},
        "runtimeHandlers": [
            {"name": "", "features": none},
            {"name": "runc", "features": {**none, "recursiveReadOnlyMounts": True}},
        ],
    }
