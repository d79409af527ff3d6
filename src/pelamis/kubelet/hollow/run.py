"""Many hollow nodes: joins the API's pods with them, and keeps their leases and statuses.

All nodes share one view of the pods that are bound and one of the nodes. A change marks a key; keys are worked off a
batch at a time. A lease is renewed every quarter of its duration and a status sent every five minutes, both spread
evenly over the nodes, on a coarse grid so that they travel in company.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from itertools import islice
from random import Random
from typing import TYPE_CHECKING, Any

from pelamis.api.coordination.lease import KIND as LEASE
from pelamis.api.core.node import KIND as NODE
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.client.synced import synced
from pelamis.client.types import Client, Create, Delete, Key, Outcome, Patch, View
from pelamis.kubelet import admit, extended, pressure, status
from pelamis.kubelet.hollow import image, node, usage
from pelamis.kubelet.hollow.agent import Agent, Delays
from pelamis.kubelet.hollow.inbox import Source, Viewed
from pelamis.kubelet.hollow.kubelet import HollowKubelet
from pelamis.kubelet.hollow.lookup import Lookups
from pelamis.kubelet.hollow.node import LEASE_NAMESPACE, HollowNode
from pelamis.kubelet.hollow.outbox import IN_FLIGHT, Outbox, Settle
from pelamis.kubelet.hollow.pod import HollowPod
from pelamis.kubelet.hollow.timer import Timers
from pelamis.reconcile.events import EventLimit

if TYPE_CHECKING:
    from pelamis.kubelet.agent import Recorder

log = logging.getLogger("pelamis.kubelet.hollow")
BATCH = 100
"""Pods that are worked off before the loop gets its turn."""
RETRY_S = 2.0
STATUS_S = 10.0
GRID_S = 0.1
"""Leases are renewed at multiples of it."""
TERMINAL = status.TERMINAL
BOUND = "spec.nodeName!="
"""The pods that are read."""


class HollowNodes:
    """client: reads all pods and nodes. client_for(node name): a client with that node's identity, which writes;
    lease_client_for: another one that renews its lease, beside all other writes.

    clock: seconds since the epoch; rng spreads what is periodic. record: where Events go, None for none; event_limit:
    how many. exists: which images there are. in_flight: how many nodes write at a time. ``ready`` is set once all nodes
    given at first are registered.
    """

    def __init__(
        self,
        client: Client,
        nodes: Sequence[HollowNode],
        *,
        client_for: Callable[[str], Client],
        lease_client_for: Callable[[str], Client] | None = None,
        clock: Callable[[], float],
        rng: Random,
        record: Recorder | None = None,
        event_limit: EventLimit | None = None,
        exists: Callable[[str], bool] = image.exists,
        delays: Delays = Delays(),
        lease_s: int = 40,
        status_report_s: float = 300.0,
        in_flight: int = IN_FLIGHT,
        inbox: Callable[[Callable[[Key], Any]], Source] | None = None,
        sign_in: Callable[[str, str, float], float] = lambda node, what, period: period,
    ) -> None:
        """inbox(newest): where the pods come from, if not from a view of the client.

        sign_in(node, what, period): seconds until the node's next sign of life, a multiple of the period.

        what: ``lease`` or ``status``. A simulator that knows that nothing will happen for a while leaves out what
        nobody could miss.
        """
        self.client = client
        self.kubelets: dict[str, HollowKubelet] = {}
        self.started = asyncio.Event()
        """Set once the nodes are looked after, registered or not."""
        self.ready = asyncio.Event()
        self.pods: dict[Key, HollowPod] = {}
        self._nodes = tuple(nodes)
        self.client_for = client_for
        self._lease_client_for = lease_client_for
        self._started_at = clock()
        self._clock = clock
        self._rng = rng
        self._record = record
        self._event_limit = event_limit
        self._exists = exists
        self._delays = delays
        self._lease_s = lease_s
        self._status_report_s = status_report_s
        self._in_flight = in_flight
        self._inbox = inbox
        self._sign_in = sign_in
        self._spent: dict[Key, str] = {}
        """uid of pods that were refused or had ended before this process began: there is nothing to do but delete."""
        self._dirty: dict[Key, None] = {}
        self._draining = False
        self._unregistered = 0
        self._failure: asyncio.Future[None]
        self._pod_source: Source
        self._node_view: View[Any]
        self.agent: Agent

    # --- life ---------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until cancelled; raises what went wrong in a node. Pods stay as they are, for the next process to adopt."""
        self._failure = asyncio.get_running_loop().create_future()
        timers = Timers(self._fail)
        outbox = Outbox(self.client_for, timers, self._fail, self._in_flight, self._lease_client_for)
        lookups = Lookups(self.client, self._fail)
        self.agent = Agent(
            self._clock,
            timers,
            outbox,
            self._exists,
            self._delays,
            self._record,
            lookups,
            self._report_soon,
            limit=self._event_limit,
        )
        if self._inbox is not None:
            self._pod_source = self._inbox(self._newest)
        else:
            self._pod_source = Viewed(self.client.view(POD, field_selector=BOUND))
        self._node_view = self.client.view(NODE)
        cancels: list[Callable[[], None]] = []
        try:
            await synced(self._pod_source, self._node_view, lookups.roots, lookups.accounts)
            for spec in self._nodes:
                self._add(spec)
            cancels.append(self._node_view.subscribe(self._on_node))
            cancels.append(self._pod_source.subscribe(self._on_pod))
            self._unregistered = len(self.kubelets)
            for kubelet in self.kubelets.values():
                self._register(kubelet)
            self._all_registered()
            self.started.set()
            await self._failure
        finally:
            for cancel in cancels:
                cancel()
            for kubelet in self.kubelets.values():
                kubelet.close()
            lookups.close()
            outbox.close()
            timers.close()

    def _fail(self, error: BaseException) -> None:
        if not self._failure.done():
            self._failure.set_exception(error)

    def _add(self, spec: HollowNode) -> HollowKubelet:
        kubelet = self.kubelets[spec.name] = HollowKubelet(spec, len(self.kubelets), self.agent)
        return kubelet

    # --- what a scenario does to nodes --------------------------------------------------------------------------------

    def add_node(self, spec: HollowNode) -> None:
        """One more node joins."""
        kubelet = self._add(spec)
        self._register(kubelet)
        self._look_again(kubelet)

    def remove_node(self, name: str) -> None:
        """The node is taken away for good, without a word; its Node object stays until somebody deletes it."""
        kubelet = self.kubelets.pop(name)
        for key in [key for key, pod in self.pods.items() if pod.kubelet is kubelet]:
            self._pod_source.given_back(key, self.pods.pop(key).picture().pod)
        kubelet.close()

    def stop_node(self, name: str) -> None:
        """The machine is off: lease and status stop, its pods stand still."""
        kubelet = self.kubelets[name]
        kubelet.frozen = True
        kubelet.mail.open = False

    def start_node(self, name: str) -> None:
        """It is on again, or reachable again: it catches up with what happened."""
        kubelet = self.kubelets[name]
        was_frozen, kubelet.cut = kubelet.frozen, False
        kubelet.mail.open = True
        if was_frozen:
            kubelet.thaw()
        self._look_again(kubelet)
        self._report(kubelet)
        self._renew(kubelet)
        self.agent.outbox.ready(kubelet.mail)

    def cut_node(self, name: str) -> None:
        """No word passes between the node and the API; its pods go on. ``start_node`` mends it."""
        kubelet = self.kubelets[name]
        kubelet.cut = True
        kubelet.mail.open = False

    def crash_container(self, namespace: str, pod: str, container: str, exit_code: int = 1, reason: str = "") -> bool:
        """A container ends by itself (reason ``OOMKilled`` goes with 137); False when it does not run."""
        found = self.pods.get((namespace, pod))
        return found is not None and found.crash(container, exit_code, reason)

    def lose_sandbox(self, namespace: str, pod: str) -> None:
        """The pod's sandbox dies, and all that is in it: it is made anew."""
        found = self.pods.get((namespace, pod))
        if found is not None:
            found.lose_sandbox()

    def _look_again(self, kubelet: HollowKubelet) -> None:
        for key, pod in list(self.pods.items()):
            if pod.kubelet is kubelet:
                self._mark(key)
        for key in self._pod_source.on_node(kubelet.spec.name):
            self._mark(key)

    def _newest(self, key: Key) -> Any:
        held = self.pods.get(key)
        return held.picture().pod if held is not None else None

    # --- registration, lease, status ----------------------------------------------------------------------------------

    def _put(self, kubelet: HollowKubelet, action: Any, settle: Settle) -> None:
        self.agent.outbox.put(kubelet.mail, action, settle)

    def _again(self, kubelet: HollowKubelet, fn: Callable[[HollowKubelet], None]) -> None:
        if not kubelet.removed:
            self.agent.timers.after(RETRY_S, fn, kubelet)

    def _register(self, kubelet: HollowKubelet) -> None:
        if kubelet.removed:
            return
        found = self._node_view.get("", kubelet.spec.name)
        if found is None:
            tree = node.tree(kubelet.spec, self._clock())
            self._put(kubelet, Create(NODE, tree), lambda outcome: self._created(kubelet, outcome))
            return
        kubelet.know(found)
        wanted = node.labels(kubelet.spec)
        have = found.metadata.labels
        if any(have.get(key) != value for key, value in wanted.items()):
            body = {"metadata": {"labels": wanted}}
            action = Patch(NODE, "", kubelet.spec.name, body, "strategic")
            self._put(kubelet, action, lambda outcome: None)
        self._put(kubelet, self._whole_status(kubelet), lambda outcome: self._created(kubelet, outcome))

    def _whole_status(self, kubelet: HollowKubelet) -> Patch:
        known = {c.type: c for c in kubelet.obj.status.conditions} if kubelet.obj is not None else {}
        body = {"status": node.status(kubelet.spec, self._clock(), known)}
        return Patch(NODE, "", kubelet.spec.name, body, "strategic", subresource="status")

    def _created(self, kubelet: HollowKubelet, outcome: Outcome | None) -> None:
        error = outcome.error if outcome is not None else None
        if outcome is None or (error is not None and error.reason not in ("AlreadyExists", "NotFound")):
            if error is not None:
                log.warning("node %s could not be registered: %s", kubelet.spec.name, error)
            self._again(kubelet, self._register)
            return
        if error is not None:
            if error.reason == "AlreadyExists" and self._node_view.get("", kubelet.spec.name) is None:
                self._again(kubelet, self._register)  # the view does not have it yet
            else:
                self._register(kubelet)
            return
        kubelet.know(outcome.obj)
        kubelet.status_at = self._clock()
        if not kubelet.registered:
            kubelet.registered = True
            name = kubelet.spec.name
            self.agent.tell(name, "Normal", "Starting", "Starting kubelet.")
            self.agent.tell(name, "Normal", "NodeReady", f"Node {name} status is now: NodeReady")
            self._renew(kubelet)
            self._schedule(kubelet)
            self._unregistered -= 1
            self._all_registered()

    def _all_registered(self) -> None:
        if self._unregistered <= 0:
            self.ready.set()

    def _schedule(self, kubelet: HollowKubelet) -> None:
        """The first renewal and the first report, each node at its own place in the period."""
        period = self._lease_s / 4
        place = (kubelet.index * 0.6180339887 + self._rng.random() * 1e-9) % 1.0
        now = self._clock()
        at = (now // period) * period + place * period // GRID_S * GRID_S
        while at <= now:
            at += period
        self.agent.timers.after(at - now, self._renewal, kubelet)
        self.agent.timers.after(self._status_report_s * (0.5 + place / 2), self._report_due, kubelet)

    def _renewal(self, kubelet: HollowKubelet) -> None:
        if kubelet.removed:
            return
        self.agent.timers.after(self._sign_in(kubelet.spec.name, "lease", self._lease_s / 4), self._renewal, kubelet)
        if kubelet.reachable:
            self._renew(kubelet)

    def _renew(self, kubelet: HollowKubelet) -> None:
        self.agent.outbox.renew(kubelet.mail, lambda: self._renewal_of(kubelet))

    def _renewal_of(self, kubelet: HollowKubelet) -> tuple[Any, Settle]:
        name, now = kubelet.spec.name, self._clock()
        if kubelet.lease_known:
            body = {"spec": {"renewTime": node.lease_spec(name, now, self._lease_s)["renewTime"]}}
            action: Any = Patch(LEASE, LEASE_NAMESPACE, name, body, "merge")
        else:
            uid = kubelet.obj.metadata.uid if kubelet.obj is not None else ""
            action = Create(LEASE, node.lease(name, uid, now, self._lease_s))
        return action, lambda outcome: self._renewed(kubelet, outcome)

    def _renewed(self, kubelet: HollowKubelet, outcome: Outcome | None) -> None:
        if outcome is None:
            return  # the next renewal comes soon
        reason = outcome.error.reason if outcome.error is not None else ""
        if reason == "NotFound" and kubelet.lease_known:
            kubelet.lease_known = False
            self._renew(kubelet)
        elif reason == "AlreadyExists":
            kubelet.lease_known = True
            self._renew(kubelet)
        elif reason:
            log.warning("the lease of %s could not be renewed: %s", kubelet.spec.name, outcome.error)
        else:
            kubelet.lease_known = True

    def _report_due(self, kubelet: HollowKubelet) -> None:
        if kubelet.removed:
            return
        after = self._sign_in(kubelet.spec.name, "status", self._status_report_s)
        self.agent.timers.after(after, self._report_due, kubelet)
        if kubelet.reachable:
            self._report(kubelet)

    def _report(self, kubelet: HollowKubelet) -> None:
        """The conditions with their heartbeat; all that changes of a hollow node's status."""
        found = self._node_view.get("", kubelet.spec.name)
        if found is None and kubelet.registered:
            self._register(kubelet)
            return
        kubelet.know(found)
        known = {c.type: c for c in found.status.conditions} if found is not None else {}
        held = kubelet.strain.conditions
        body: dict[str, Any] = {"status": {"conditions": node.conditions(self._clock(), known, held)}}
        in_use = kubelet.volumes_in_use
        if in_use is not None:
            body["status"]["volumesInUse"] = in_use
        more = extended.change(found.status, kubelet.allocatable) if found is not None else {}
        if more:
            body["status"]["allocatable"] = more
        action = Patch(NODE, "", kubelet.spec.name, body, "strategic", subresource="status")
        self._put(kubelet, action, lambda outcome: self._created(kubelet, outcome))

    def _report_soon(self, kubelet: HollowKubelet) -> None:
        """What changes at one moment is told at once."""
        if not kubelet.reporting and kubelet.registered:
            kubelet.reporting = True
            self.agent.timers.after(0.0, self._report_now, kubelet)

    def _report_now(self, kubelet: HollowKubelet) -> None:
        kubelet.reporting = False
        if kubelet.reachable:
            self._report(kubelet)

    def _on_node(self, key: Key, old: Any, new: Any) -> None:
        kubelet = self.kubelets.get(key[1])
        if kubelet is not None and new is not None and not kubelet.frozen and not kubelet.cut:
            kubelet.know(new)
            if kubelet.registered and extended.change(new.status, kubelet.allocatable):
                self._report(kubelet)
            if kubelet.registered and _judged(new) and not (old is not None and _judged(old)):
                # the control plane took it for lost: a kubelet looks at that every 10 s
                self.agent.timers.after(STATUS_S, self._contradict, kubelet)

    def _contradict(self, kubelet: HollowKubelet) -> None:
        found = self._node_view.get("", kubelet.spec.name)
        if found is not None and kubelet.reachable and _judged(found):
            self._report(kubelet)

    # --- pods ---------------------------------------------------------------------------------------------------------

    def _on_pod(self, key: Key, old: Any, new: Any) -> None:
        self._mark(key)

    def _mark(self, key: Key) -> None:
        self._dirty[key] = None
        if not self._draining:
            self._draining = True
            asyncio.get_running_loop().call_soon(self._drain)

    def _drain(self) -> None:
        dirty = self._dirty
        try:
            for key in list(islice(dirty, BATCH)):
                del dirty[key]
                self._look(key)
        except Exception as error:
            self._fail(error)
            return
        if dirty:
            asyncio.get_running_loop().call_soon(self._drain)
        else:
            self._draining = False

    def _look(self, key: Key) -> None:
        """Bring what is held in line with the view."""
        pod = self._pod_source.get(*key)
        held = self.pods.get(key)
        kubelet = held.kubelet if held is not None else None
        if kubelet is None and pod is not None:
            kubelet = self.kubelets.get(pod.spec.nodeName)
        if kubelet is None:
            self._spent.pop(key, None)
            return
        if kubelet.frozen or kubelet.cut:
            return  # it looks again when it is back
        if held is not None:
            if not held.kubelet.reachable:
                return
            if pod is not None and pod.metadata.uid == held.uid:
                held.changed(pod)
                self._pod_source.taken(key)
                return
            del self.pods[key]
            held.gone()
        uid = self._spent.get(key)
        if pod is None or (uid is not None and uid != pod.metadata.uid):
            self._spent.pop(key, None)
            uid = None
        if pod is None:
            return
        kubelet = self.kubelets.get(pod.spec.nodeName)
        if kubelet is None or not kubelet.reachable:
            return
        if uid is not None:
            if pod.metadata.deletionTimestamp:
                self._delete(kubelet, pod)
            return
        self._begin(key, kubelet, pod)

    def _begin(self, key: Key, kubelet: HollowKubelet, pod: Any) -> None:
        told = pod.status
        if told.phase in TERMINAL:
            self._spent[key] = pod.metadata.uid
            if pod.metadata.deletionTimestamp:
                self._delete(kubelet, pod)
            return
        if not told.startTime and not pod.metadata.deletionTimestamp:
            refusal = admit.check(pod, kubelet.claims, kubelet.labels, kubelet.allocatable)
            if refusal is None and kubelet.strain.conditions:
                refusal = pressure.refusal(pod, kubelet.strain.conditions)
            if refusal is not None:
                self._refuse(key, kubelet, pod, refusal)
                return
        held = self.pods[key] = kubelet.pods[pod.metadata.uid] = HollowPod(kubelet, pod)
        kubelet.claims.add(pod)
        held.begin()
        self._pod_source.taken(key)

    def _refuse(self, key: Key, kubelet: HollowKubelet, pod: Any, refusal: admit.Refusal) -> None:
        self._spent[key] = pod.metadata.uid
        self.agent.note(pod, "", "Warning", refusal.reason, refusal.message.removeprefix("Pod was rejected: "))
        built = status.rejected(pod, refusal.reason, refusal.message, self._clock())
        meta = pod.metadata
        body = {
            "metadata": {"uid": meta.uid},
            "status": {
                "phase": built.phase,
                "reason": built.reason,
                "message": built.message,
                "startTime": built.startTime,
                "observedGeneration": built.observedGeneration,
            },
        }
        action = Patch(POD, meta.namespace, meta.name, body, "strategic", subresource="status")
        self._put(kubelet, action, self._insist(kubelet, action))

    def _delete(self, kubelet: HollowKubelet, pod: Any) -> None:
        meta = pod.metadata
        action = Delete(POD, meta.namespace, meta.name, uid=meta.uid, grace_s=0)
        self._put(kubelet, action, self._insist(kubelet, action))

    def _insist(self, kubelet: HollowKubelet, action: Patch | Delete) -> Settle:
        """Write it again until the server has answered; that the pod is gone is an answer."""

        def settle(outcome: Outcome | None) -> None:
            error = outcome.error if outcome is not None else None
            if outcome is None or (error is not None and error.reason not in ("NotFound", "Conflict", "Invalid")):
                self.agent.timers.after(RETRY_S, self._put, kubelet, action, settle)

        return settle

    # --- usage --------------------------------------------------------------------------------------------------------

    def summary(self, name: str) -> dict[str, Any]:
        """What a node and its pods use now, as ``/stats/summary`` answers. Raises KeyError."""
        kubelet = self.kubelets[name]
        return usage.summary(kubelet, list(kubelet.pods.values()), self._started_at, self._clock())


def _judged(obj: Any) -> bool:
    """Somebody else has said that the node is not Ready."""
    return any(c.type == "Ready" and c.status != "True" for c in obj.status.conditions)
