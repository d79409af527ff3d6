"""The Node object of this agent: registration, status, conditions, and the lease that shows that it lives.

The lease is renewed every quarter of its duration. The status is looked at every 10 s and written when something
but a time stamp has changed, else every 5 minutes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from pelamis.api.coordination.lease import KIND as LEASE
from pelamis.api.core.node import KIND as NODE
from pelamis.api.core.reference import ObjectReference
from pelamis.api.core.wellknown import HOSTNAME
from pelamis.base import quantity
from pelamis.base.clock import rfc3339, rfc3339_micro
from pelamis.base.errors import StatusError
from pelamis.client.types import Action, Client, Create, Outcome, Patch
from pelamis.kubelet import extended, machine, pressure
from pelamis.kubelet.agent import Recorder
from pelamis.kubelet.cri import types as cri
from pelamis.kubelet.cri.runtime import CriError, Runtime
from pelamis.kubelet.reference import to_node
from pelamis.kubelet.settings import KubeletConfig

log = logging.getLogger("pelamis.kubelet.node")
LEASE_NAMESPACE = "kube-node-lease"
RETRY_S = 0.5
RETRY_MAX_S = 7.0
MAX_IMAGES = 50


class NodeAgent:
    """pressure: names of the pressure conditions that hold at present; the evictor sets it."""

    def __init__(
        self,
        settings: KubeletConfig,
        client: Client,
        runtime: Runtime,
        record: Recorder,
        now: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._client = client
        self._runtime = runtime
        self._record = record
        self._now = now
        self._machine = machine.read()
        self._sent: dict[str, Any] = {}
        self._sent_at = 0.0
        self._conditions: dict[str, dict[str, Any]] = {}
        self._poke = asyncio.Event()
        self.ips = settings.node_ips or machine.default_ips()
        self.runtime_name = "containerd"
        self._runtime_says = cri.StatusResponse()
        self.runtime_version = ""
        self.pressure: set[str] = set()
        self.capacity = self._capacity()
        self.allocatable = self._allocatable()
        self.node: Any = None
        self._extended: dict[str, str | None] = {}
        """What the next status has to say of resources that others gave the node."""

    @property
    def reference(self) -> ObjectReference:
        return to_node(self._settings.node_name)

    def poke(self) -> None:
        """Look at the status now."""
        self._poke.set()

    def _capacity(self) -> dict[str, str]:
        settings, found = self._settings, self._machine
        disk = machine.disk(settings.root_dir)
        out = {
            "cpu": str(found.cpus),
            "memory": f"{found.memory // 1024}Ki",
            "pods": str(settings.max_pods),
            "ephemeral-storage": f"{disk.capacity // 1024}Ki",
        }
        for name, size in (found.hugepages or {"hugepages-1Gi": 0, "hugepages-2Mi": 0}).items():
            out[name] = f"{size // 1024}Ki" if size else "0"
        return {**out, **settings.capacity}

    def _allocatable(self) -> dict[str, str]:
        out = dict(self.capacity)
        reserved = dict(self._settings.reserved)
        for name, amount in reserved.items():
            if name in out:
                out[name] = quantity.sub(out[name], amount)
        for signal, name in (("memory.available", "memory"), ("nodefs.available", "ephemeral-storage")):
            threshold = self._settings.eviction_hard.get(signal, "")
            total = quantity.value(out[name])
            if threshold.endswith("%"):
                out[name] = str(total - int(quantity.value(self.capacity[name]) * float(threshold[:-1]) / 100))
            elif threshold:
                out[name] = quantity.sub(out[name], threshold)
        return out

    async def prepare(self) -> None:
        """Ask the runtime for its name; without an answer the defaults stand and the node will not be Ready."""
        try:
            version = await self._runtime.version()
        except CriError as error:
            log.warning("the container runtime does not answer yet: %s", error)
            return
        self.runtime_name = version.runtime_name or self.runtime_name
        self.runtime_version = version.runtime_version

    async def run(self, ready: asyncio.Event) -> None:
        """ready: set by the kubelet once pods are being looked after."""
        self._record(self.reference, "Normal", "Starting", "Starting kubelet.")
        if self._settings.register:
            await self._register()
        name = self._settings.node_name
        own = self._client.view(NODE, field_selector=f"metadata.name={name}")
        cancel = own.subscribe(lambda key, old, new: self._seen(new))
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._lease_loop(), name="node lease")
                tasks.create_task(self._status_loop(ready), name="node status")
        finally:
            cancel()

    def _seen(self, node: Any) -> None:
        """The control plane took the node for lost: the next look at the status, within 10 s, says what is true."""
        if node is None:
            return
        if any(c.type == "Ready" and c.status == "Unknown" for c in node.status.conditions):
            self._sent = {}
        self._extended = extended.change(node.status, self.capacity)
        if self._extended:
            self._sent = {}
            self.poke()

    # --- registration -------------------------------------------------------------------------------------------------

    def _labels(self) -> dict[str, str]:
        architecture, name = self._machine.architecture, self._settings.node_name
        return {
            "beta.kubernetes.io/arch": architecture,
            "beta.kubernetes.io/os": "linux",
            "kubernetes.io/arch": architecture,
            HOSTNAME: self._settings.hostname or name,
            "kubernetes.io/os": "linux",
            **self._settings.labels,
        }

    async def _register(self) -> None:
        name = self._settings.node_name
        taints = [
            {"key": key, "effect": effect, **({"value": value} if value else {})}
            for key, value, effect in self._settings.taints
        ]
        tree: dict[str, Any] = {
            "kind": "Node",
            "apiVersion": "v1",
            "metadata": {"name": name, "labels": self._labels()},
            "spec": {"taints": taints} if taints else {},
            "status": await self.status(serving=False),
        }
        delay = RETRY_S
        while True:
            outcome = await self._try(Create(NODE, tree))
            if outcome is not None and outcome.error is None:
                self.node = outcome.obj
                return
            if outcome is not None and outcome.error is not None and outcome.error.reason == "AlreadyExists":
                body = {"metadata": {"labels": self._labels()}}
                outcome = await self._try(Patch(NODE, "", name, body, "strategic"))
                if outcome is not None and outcome.error is None:
                    self._know(outcome.obj)
                    return
            if outcome is not None:
                log.warning("the node could not be registered: %s", outcome.error)
            await asyncio.sleep(delay)
            delay = min(delay * 2, RETRY_MAX_S)

    def _know(self, node: Any) -> None:
        self.node = node
        for condition in node.status.conditions:
            self._conditions[condition.type] = msgspec.to_builtins(condition)

    async def _try(self, action: Action) -> Outcome | None:
        try:
            return (await self._client.commit([action]))[0]
        except OSError as error:
            log.warning("the API server cannot be reached: %s", error)
            return None

    # --- lease --------------------------------------------------------------------------------------------------------

    async def _lease_loop(self) -> None:
        known = False
        while True:
            known = await self._renew(known)
            await asyncio.sleep(self._settings.lease_s / 4 if known else RETRY_MAX_S)

    async def _renew(self, known: bool) -> bool:
        name, at = self._settings.node_name, rfc3339_micro(self._now())
        spec = {"holderIdentity": name, "leaseDurationSeconds": self._settings.lease_s, "renewTime": at}
        outcome = None
        if known:
            outcome = await self._try(Patch(LEASE, LEASE_NAMESPACE, name, {"spec": spec}, "merge"))
        if outcome is None or (outcome.error is not None and outcome.error.reason == "NotFound"):
            metadata: dict[str, Any] = {"name": name, "namespace": LEASE_NAMESPACE}
            if self.node is not None and self.node.metadata.uid:
                owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": self.node.metadata.uid}
                metadata["ownerReferences"] = [owner]
            tree = {"kind": "Lease", "apiVersion": "coordination.k8s.io/v1", "metadata": metadata, "spec": spec}
            outcome = await self._try(Create(LEASE, tree))
            if outcome is not None and outcome.error is not None and outcome.error.reason == "AlreadyExists":
                outcome = await self._try(Patch(LEASE, LEASE_NAMESPACE, name, {"spec": spec}, "merge"))
        if outcome is not None and outcome.error is not None:
            log.warning("the node lease could not be renewed: %s", outcome.error)
        return outcome is not None and outcome.error is None

    # --- status -------------------------------------------------------------------------------------------------------

    async def _status_loop(self, ready: asyncio.Event) -> None:
        await ready.wait()
        while True:
            delay = self._settings.status_period_s
            try:
                await self._report()
            except (StatusError, OSError) as error:
                log.warning("the node status could not be sent: %s", error)
                delay = 1.0
            self._poke.clear()
            try:
                async with asyncio.timeout(delay):
                    await self._poke.wait()
            except TimeoutError:
                pass

    async def _report(self) -> None:
        now = self._now()
        wanted = await self.status(serving=True)
        if _gist(wanted) == _gist(self._sent) and now - self._sent_at < self._settings.status_report_s:
            return
        body: dict[str, Any] = {**wanted, "allocatable": {**self.allocatable, **self._extended}}
        if len(self.ips) > 1:  # addresses merge by type, which two addresses of one type cannot
            body["addresses"] = [*wanted["addresses"], {"$patch": "replace"}]
        action = Patch(NODE, "", self._settings.node_name, {"status": body}, "strategic", subresource="status")
        outcome = (await self._client.commit([action]))[0]
        if outcome.error is not None:
            if outcome.error.reason == "NotFound" and self._settings.register:
                await self._register()
            raise outcome.error
        self.node = outcome.obj
        self._sent, self._sent_at = wanted, now

    async def status(self, *, serving: bool) -> dict[str, Any]:
        """The tree of NodeStatus. serving: the kubelet looks after pods."""
        settings, found = self._settings, self._machine
        problem = await self._problem() if serving else "kubelet is starting"
        images = []
        if not problem:
            try:
                listed = sorted(await self._runtime.list_images(), key=lambda i: -i.size)
                images = [
                    {"names": [*i.repo_digests, *i.repo_tags][:5], "sizeBytes": i.size} for i in listed[:MAX_IMAGES]
                ]
            except CriError as error:
                problem = f"container runtime is down: {error.message}"
        return {
            "capacity": self.capacity,
            "allocatable": self.allocatable,
            "conditions": self._make_conditions(problem, serving),
            "addresses": [
                *({"type": "InternalIP", "address": ip} for ip in self.ips),
                {"type": "Hostname", "address": settings.hostname or settings.node_name},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": settings.port}},
            "nodeInfo": {
                "machineID": found.machine_id,
                "systemUUID": found.system_uuid,
                "bootID": found.boot_id,
                "kernelVersion": found.kernel,
                "osImage": found.os_image,
                "containerRuntimeVersion": f"{self.runtime_name}://{self.runtime_version}",
                "kubeletVersion": settings.version,
                "kubeProxyVersion": settings.version,
                "operatingSystem": "linux",
                "architecture": found.architecture,
            },
            **({"images": images} if images else {}),
            **_abilities(self._runtime_says),
        }

    @property
    def strict_groups(self) -> bool:
        """Whether the runtime can leave out the groups that an image gives its user."""
        features = self._runtime_says.features
        return features is not None and features.supplemental_groups_policy

    async def _problem(self) -> str:
        """Why the node is not Ready; "" if it is."""
        try:
            answer = await self._runtime.status()
        except CriError as error:
            return f"container runtime is down: {error.message}"
        self._runtime_says = answer
        if not self.runtime_version:
            await self.prepare()
        conditions = answer.status.conditions if answer.status is not None else ()
        for condition in conditions:
            if condition.status:
                continue
            text = f"{condition.type}=false reason:{condition.reason} message:{condition.message}"
            if condition.type == "RuntimeReady":
                return f"container runtime not ready: {text}"
            if condition.type == "NetworkReady":
                return f"container runtime network not ready: {text}"
        return ""

    def _make_conditions(self, problem: str, note: bool) -> list[dict[str, Any]]:
        now = rfc3339(self._now())
        wanted: list[tuple[str, str, str, str, str]] = []
        for type_, texts in pressure.TEXTS.items():
            held = type_ in self.pressure
            reason, message, event = texts[held]
            wanted.append((type_, "True" if held else "False", reason, message, event))
        if problem:
            wanted.append(("Ready", "False", "KubeletNotReady", problem, "NodeNotReady"))
        else:
            wanted.append(("Ready", "True", "KubeletReady", "kubelet is posting ready status", "NodeReady"))
        out = []
        for type_, status, reason, message, event in wanted:
            before = self._conditions.get(type_)
            changed = before is None or before["status"] != status
            since = now if before is None or changed else before["lastTransitionTime"]
            condition = {
                "type": type_,
                "status": status,
                "lastHeartbeatTime": now,
                "lastTransitionTime": since,
                "reason": reason,
                "message": message,
            }
            self._conditions[type_] = condition
            out.append(condition)
            if changed and note:
                name = self._settings.node_name
                self._record(self.reference, "Normal", event, f"Node {name} status is now: {event}")
        return out


def _gist(status: Mapping[str, Any]) -> Any:
    """The status without its heartbeat times."""
    if not status:
        return None
    conditions = [{k: v for k, v in c.items() if k != "lastHeartbeatTime"} for c in status["conditions"]]
    return {**status, "conditions": conditions}


def _abilities(runtime: cri.StatusResponse) -> dict[str, Any]:
    """What the runtime says that it can do, in NodeStatus; older ones say nothing."""
    out: dict[str, Any] = {}
    if runtime.features is not None:
        out["features"] = {"supplementalGroupsPolicy": runtime.features.supplemental_groups_policy}
    if runtime.runtime_handlers:
        handlers = sorted(runtime.runtime_handlers, key=lambda handler: handler.name)
        out["runtimeHandlers"] = [
            {
                "name": handler.name,
                "features": {
                    "recursiveReadOnlyMounts": bool(handler.features and handler.features.recursive_read_only_mounts),
                    "userNamespaces": bool(handler.features and handler.features.user_namespaces),
                },
            }
            for handler in handlers
        ]
    return out
