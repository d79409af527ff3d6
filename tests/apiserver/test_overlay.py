"""Patches laid over structs: every outcome is that of the general path, byte by byte."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pelamis.api import codec
from pelamis.apiserver import overlay
from pelamis.apiserver.request import WriteOptions
from pelamis.apiserver.server import ApiServer, Config
from pelamis.apiserver.user import User
from pelamis.apiserver.verbs import Result
from pelamis.apiserver.write import Patch, Write
from pelamis.base.errors import StatusError
from pelamis.client.types import Create
from pelamis.net import tls
from pelamis.store.memory import MemoryStore

Tree = dict[str, Any]
ADMIN = User("admin", ("system:masters", "system:authenticated"))
POD = {
    "metadata": {"name": "p", "namespace": "default", "labels": {"a": "b"}},
    "spec": {
        "nodeName": "n",
        "containers": [
            {"name": "c", "image": "i", "resources": {"requests": {"cpu": "1"}}},
            {"name": "d", "image": "j"},
        ],
    },
}
LEASE = {
    "metadata": {"name": "l", "namespace": "default"},
    "spec": {"holderIdentity": "me", "leaseDurationSeconds": 40},
}
NODE = {"metadata": {"name": "n"}, "spec": {"podCIDR": "10.0.0.0/24"}, "status": {"capacity": {"cpu": "4"}}}
OBJECTS = {"pods": POD, "leases.coordination.k8s.io": LEASE, "nodes": NODE}


class World:
    """A server without sockets, whose clock the test moves."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.now = 1_800_000_000.0
        self.loop.run_until_complete(self._start())

    async def _start(self) -> None:
        store = MemoryStore()
        await store.open()
        key = tls.key_pem(tls.new_key())
        self.server = ApiServer(Config(store=store, service_account_key=key, listen=False, clock=lambda: self.now))
        await self.server.start()
        account = {"metadata": {"name": "default", "namespace": "default"}}
        (outcome,) = await self.client().commit([Create(self.server.objects.kind("serviceaccounts"), account)])
        assert outcome.error is None

    def client(self) -> Any:
        return self.server.client("admin", "system:masters")

    def stop(self) -> None:
        self.loop.run_until_complete(self.server.stop(0.1))
        self.loop.close()

    def make(self, resource: str, name: str, tree: Tree) -> Any:
        kind = self.server.objects.kind(resource)
        made = {**tree, "metadata": {**tree["metadata"], "name": name}}
        (outcome,) = self.loop.run_until_complete(self.client().commit([Create(kind, made)]))
        assert outcome.error is None, outcome.error
        return kind

    def plan(self, write: Write) -> tuple[Any, Result | None]:
        """What a client could tell plans apart by, and the plan."""
        coro = self.server.rest._plan(write)
        try:
            coro.send(None)
        except StopIteration as end:
            found: Result = end.value
            assert codec.decode(write.kind, found.value) == found.obj
            out = (found.value, found.keep, found.remove, found.created, write.rev_given, write.operation)
            return (*out, write.warnings, write.audit), found
        except StatusError as error:
            return (error.code, error.reason, error.message, error.details, write.warnings), None
        raise AssertionError("the plan waits")


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    found = World()
    yield found
    found.stop()


TIMES = tuple(f"2027-01-15T08:00:0{i}Z" for i in range(5))
MICROS = tuple(f"2027-01-15T08:00:0{i}.25000{i}Z" for i in range(5))


def now_and_then(usual: st.SearchStrategy[Any], other: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(*(usual,) * 40, other)


times = now_and_then(
    st.sampled_from(TIMES), st.sampled_from(("2027-01-15T09:00:00+01:00", "2027-01-15T08:00:00.5Z", "x", ""))
)
micros = now_and_then(
    st.sampled_from(MICROS),
    st.sampled_from(
        (
            "2027-01-15T08:00:00Z",
            "2027-02-30T08:00:00.000000Z",
            "0001-01-01T00:00:00.000000Z",
            "2027-01-15T08:00:00.1Z",
            "",
        )
    ),
)
odd = st.sampled_from(
    (None, "", 0, 1, True, False, [], {}, "text", 1.5, [1], {"$patch": "delete"}, [{"$patch": "replace"}])
)
words = st.sampled_from(("True", "False", "Unknown", "w"))


def mostly(usual: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(*(usual,) * 40, *(st.none(),) * 3, odd)


def members(**usual: st.SearchStrategy[Any]) -> st.SearchStrategy[Tree]:
    return st.fixed_dictionaries({}, optional={k: mostly(v) for k, v in usual.items()})


def named(key: str, keys: tuple[str, ...], **usual: st.SearchStrategy[Any]) -> st.SearchStrategy[Tree]:
    return st.builds(
        lambda name, rest, directive: {key: name, **rest, **directive},
        mostly(st.sampled_from(keys)),
        members(**usual),
        st.sampled_from(({},) * 40 + ({"$patch": "delete"},)),
    )


conditions = st.lists(
    named(
        "type",
        ("Ready", "PodScheduled", "Initialized", "example.com/x"),
        status=words,
        reason=words,
        message=words,
        lastTransitionTime=times,
        lastProbeTime=times,
        lastHeartbeatTime=times,
        observedGeneration=st.integers(0, 2),
    ),
    max_size=3,
)
ips = st.lists(named("ip", ("10.0.0.1", "10.0.0.2", "fd00::1")), max_size=2)
amounts = st.dictionaries(
    st.sampled_from(("cpu", "memory")),
    now_and_then(st.sampled_from(("1", "2", "64Mi")), st.sampled_from(("1000m", "x", "0.5", 1))),
    max_size=2,
)
state = members(
    running=members(startedAt=times), waiting=members(reason=words), terminated=members(exitCode=st.integers(0, 2))
)
containers = st.lists(
    named(
        "name",
        ("c", "d", "e"),
        image=words,
        imageID=words,
        ready=st.booleans(),
        started=st.booleans(),
        restartCount=st.integers(0, 2),
        state=state,
        lastState=state,
        containerID=words,
        allocatedResources=amounts,
        resources=members(requests=amounts, limits=amounts),
    ),
    max_size=2,
)
pod_status = members(
    phase=st.sampled_from(("Pending", "Running", "Failed")),
    conditions=conditions,
    message=words,
    reason=words,
    hostIP=st.just("10.0.0.1"),
    hostIPs=now_and_then(st.just([{"ip": "10.0.0.1"}]), ips),
    podIP=st.sampled_from(("10.0.0.1", "10.0.0.2")),
    podIPs=ips,
    startTime=times,
    containerStatuses=containers,
    initContainerStatuses=containers,
    qosClass=now_and_then(st.just("Burstable"), words),
    observedGeneration=st.integers(0, 2),
    nominatedNodeName=st.just("n"),
    resize=words,
    allocatedResources=amounts,
    resourceClaimStatuses=now_and_then(
        st.just([]), st.lists(named("name", ("a",), resourceClaimName=words), max_size=1)
    ),
    resources=members(requests=amounts),
)
node_status = members(
    conditions=conditions,
    capacity=amounts,
    allocatable=amounts,
    phase=words,
    addresses=st.lists(named("type", ("InternalIP", "Hostname"), address=words), max_size=2),
    daemonEndpoints=members(kubeletEndpoint=members(Port=st.integers(0, 2))),
    nodeInfo=members(machineID=words, bootID=words),
    volumesInUse=st.lists(words, max_size=2),
    images=st.lists(members(names=st.lists(words, max_size=2), sizeBytes=st.integers(0, 3)), max_size=2),
)
lease_spec = members(
    holderIdentity=words,
    leaseDurationSeconds=now_and_then(st.sampled_from((1, 40)), st.sampled_from((2**31, -1))),
    acquireTime=micros,
    renewTime=micros,
    leaseTransitions=st.integers(0, 2),
    strategy=now_and_then(st.just("OldestEmulationVersion"), words),
    preferredHolder=now_and_then(st.just("x"), words),
)
orders = st.builds(
    lambda field, types: {f"$setElementOrder/{field}": [{"type": t} for t in types]},
    now_and_then(st.just("conditions"), st.sampled_from(("phase", "podIPs"))),
    st.one_of(
        st.permutations(("Ready", "PodScheduled", "Initialized", "example.com/x")),
        st.lists(st.sampled_from(("Ready", "PodScheduled", "Initialized", "example.com/x", "more")), max_size=4),
    ),
)
ordered = st.one_of(st.just({}), orders)
others = st.sampled_from(
    ({},) * 40
    + (
        {"spec": {"nodeName": "z"}},
        {"metadata": {"labels": {"x": "y"}}},
        {"metadata": {"uid": "other"}},
        {"metadata": {"managedFields": []}},
        {"metadata": {"resourceVersion": "1"}},
        {"apiVersion": "v2"},
        {"metadata": {"managedFields": [{"manager": "m"}]}},
        {"metadata": {"namespace": "default"}},
        {"kind": "Pod"},
        {"metadata": {"annotations": {"a": "1"}}},
        {"metadata": {"name": "q"}},
        {"metadata": {"finalizers": ["x/y"]}},
    )
)
kinds = st.sampled_from(("strategic", "strategic", "strategic", "merge"))
managers = st.sampled_from(("kubelet", "kubectl", "other/1.0 (linux)"))


def write_of(world: World, kind: Any, name: str, verb: str, sub: str, manager: str, **more: Any) -> Write:
    namespace = "default" if kind.namespaced else ""
    return Write(verb, kind, ADMIN, namespace, name, sub, user_agent=manager, **more)


def both(world: World, write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plans the same write twice, and then carries it out, if it can be."""
    seen, plan = world.plan(write())
    with monkeypatch.context() as patch:
        patch.setattr(overlay, "laid", lambda write, mutate: None)
        wanted, _ = world.plan(write())
    assert seen == wanted
    if plan is not None:
        world.loop.run_until_complete(world.server.rest.execute((write(),)))


def steps(member: str, inner: st.SearchStrategy[Tree]) -> st.SearchStrategy[Any]:
    one = st.tuples(
        st.builds(lambda a, b, o: {**o, member: {**a, **b} if isinstance(a, dict) else a}, inner, ordered, others),
        kinds,
        managers,
    )
    return st.lists(one, min_size=1, max_size=4)


def run(world: World, resource: str, sub: str, script: Any, count: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    count[0] += 1
    name = f"x{count[0]}"
    kind = world.make(resource, name, OBJECTS[resource])
    for body, type_, manager in script:
        world.now += 1

        def write(body: Tree = body, type_: str = type_, manager: str = manager) -> Write:
            write = write_of(world, kind, name, "patch", sub, manager, patch=Patch(type_, codec.to_tree(body)))
            uid = world.server.objects.get(resource, "default" if kind.namespaced else "", name).metadata.uid
            assert write.patch is not None
            write.patch.body.setdefault("metadata", {"uid": uid})
            return write

        both(world, write, monkeypatch)


SETTINGS = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
COUNT = [0]


@SETTINGS
@given(steps("status", pod_status))
def test_statuses_of_pods(world: World, monkeypatch: pytest.MonkeyPatch, script: Any) -> None:
    run(world, "pods", "status", script, COUNT, monkeypatch)


@SETTINGS
@given(steps("status", node_status))
def test_statuses_of_nodes(world: World, monkeypatch: pytest.MonkeyPatch, script: Any) -> None:
    run(world, "nodes", "status", script, COUNT, monkeypatch)


@SETTINGS
@given(steps("spec", lease_spec))
def test_leases(world: World, monkeypatch: pytest.MonkeyPatch, script: Any) -> None:
    run(world, "leases.coordination.k8s.io", "", script, COUNT, monkeypatch)


@SETTINGS
@given(
    st.lists(
        st.tuples(
            lease_spec,
            st.sampled_from(("", "", "", "", "labels", "rev", "name", "unknown", "owners", "none")),
            managers,
        ),
        min_size=1,
        max_size=4,
    )
)
def test_updates_of_leases(world: World, monkeypatch: pytest.MonkeyPatch, script: Any) -> None:
    COUNT[0] += 1
    name = f"x{COUNT[0]}"
    kind = world.make("leases.coordination.k8s.io", name, LEASE)
    for spec, twist, manager in script:
        world.now += 1

        def write(spec: Tree = spec, twist: str = twist, manager: str = manager) -> Write:
            entry = world.server.objects.collection(kind).get("default", name)
            assert entry is not None
            tree = codec.parse(entry.data)
            tree["spec"].update(spec)
            meta = tree["metadata"]
            match twist:
                case "labels":
                    meta["labels"] = {"n": str(entry.rev)}
                case "rev":
                    meta["resourceVersion"] = "1"
                case "name":
                    meta["name"] = "other"
                case "unknown":
                    tree["extra"] = meta["more"] = 1
                case "owners":
                    meta["managedFields"] = [{}]
                case "none":
                    meta.pop("managedFields", None)
            options = WriteOptions(validation="Warn")
            return write_of(world, kind, name, "update", "", manager, tree=tree, options=options)

        both(world, write, monkeypatch)


def test_what_kubelets_and_leaders_write_is_laid_over(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[bool] = []
    laid = overlay.laid

    def watched(write: Write, mutate: Any) -> Result | None:
        found = laid(write, mutate)
        taken.append(found is not None)
        return found

    monkeypatch.setattr(overlay, "laid", watched)

    def send(kind: Any, name: str, verb: str, sub: str, body: Tree, type_: str = "strategic") -> None:
        write = write_of(world, kind, name, verb, sub, "kubelet")
        if verb == "patch":
            write.patch = Patch(type_, body)
        else:
            write.tree = body
        (answer,) = world.loop.run_until_complete(world.server.rest.execute((write,)))
        assert answer.error is None and answer.rev

    pod, node = world.make("pods", "laid", POD), world.make("nodes", "laid", NODE)
    lease = world.make("leases.coordination.k8s.io", "laid", LEASE)
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": TIMES[0]}
    status = {
        "name": "c",
        "image": "i",
        "imageID": "sha256:1",
        "ready": True,
        "restartCount": 0,
        "started": True,
        "state": {"running": {"startedAt": TIMES[0]}},
        "lastState": {},
        "allocatedResources": {"cpu": "1"},
    }
    first = {"phase": "Running", "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}], "startTime": TIMES[0]}
    send(pod, "laid", "patch", "status", {"status": {**first, "conditions": [ready], "containerStatuses": [status]}})
    send(pod, "laid", "patch", "status", {"status": {"conditions": [{**ready, "status": "False", "reason": "R"}]}})
    send(pod, "laid", "patch", "status", {"status": {"conditions": [{**ready, "reason": None, "message": None}]}})
    order = [{"type": "PodScheduled"}, {"type": "Ready"}]  # as upstream's kubelets write it
    upstream = {"$setElementOrder/conditions": order, "conditions": [{**ready, "status": "False"}]}
    send(pod, "laid", "patch", "status", {"metadata": {}, "status": upstream})
    send(node, "laid", "patch", "status", {"status": {"conditions": [{**ready, "lastHeartbeatTime": TIMES[1]}]}})
    send(lease, "laid", "patch", "", {"spec": {"renewTime": MICROS[0]}}, "merge")
    entry = world.server.objects.collection(lease).get("default", "laid")
    assert entry is not None
    tree = codec.parse(entry.data)
    tree["spec"]["renewTime"] = MICROS[1]
    send(lease, "laid", "update", "", tree)
    assert taken == [True] * 7
