"""Device taint eviction: deletes pods whose devices have a NoExecute taint that their claim does not tolerate.

A taint comes from the driver, in a ResourceSlice, or from a DeviceTaintRule. It counts from when it was added; a
toleration with a time puts the end off, one without keeps the pod for good. Keys are pods, and rules (in no
namespace), whose status tells how far eviction has got, at most every 10 s. A rule with the effect None only says once
what it would do if it were NoExecute.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.pod.pod import Pod
from pelamis.api.core.reference import ObjectReference
from pelamis.api.resource.device import DeviceTaint
from pelamis.api.resource.devicetaintrule import KIND as RULE
from pelamis.api.resource.devicetaintrule import DeviceTaintRule
from pelamis.api.resource.podclaim import Unresolved, claim_name, is_pod, is_reserved, not_for_pod, tolerates
from pelamis.api.resource.resourceclaim import KIND as CLAIM
from pelamis.api.resource.resourceclaim import DeviceRequestAllocationResult, ResourceClaim
from pelamis.api.resource.resourceslice import KIND as SLICE
from pelamis.api.resource.resourceslice import ResourceSlice
from pelamis.base.clock import parse_rfc3339, rfc3339
from pelamis.client.types import Delete, Key, Patch
from pelamis.reconcile import changes
from pelamis.reconcile.plan import NOTHING, EventNote, Plan
from pelamis.reconcile.podstate import condition, with_condition
from pelamis.reconcile.spec import Controller, Views, Watch

PERIOD_S = 10.0
EVENT = "DeviceTaintManagerEviction"
REASON = "DeletionByDeviceTaintManager"
IN_PROGRESS = "EvictionInProgress"


class Cause(NamedTuple):
    """A taint that ends a pod's stay. at: when; rule: uid of the rule that it comes from, "" = a driver's."""

    at: float
    rule: str


@dataclass(frozen=True, slots=True)
class PodWorld:
    """marked: an eviction was planned before."""

    pod: Pod
    causes: Sequence[Cause]
    marked: bool


class Tally(NamedTuple):
    """pending: uids of the pods that are to go; evicted: how many have gone since this started."""

    pending: frozenset[str] = frozenset()
    evicted: int = 0


@dataclass(frozen=True, slots=True)
class RuleWorld:
    """pods: (namespace, uid) of those that are to go because of the rule, or would be. published, allocated: devices
    that it selects; only counted when it has no effect."""

    rule: DeviceTaintRule
    pods: Sequence[tuple[str, str]]
    before: Tally
    published: int = 0
    allocated: int = 0


# -- taints


def _means(rule: DeviceTaintRule, driver: str, pool: str, device: str) -> bool:
    selector = rule.spec.deviceSelector
    if selector is None:
        return False
    asked = ((selector.driver, driver), (selector.pool, pool), (selector.device, device))
    return all(wanted in (None, name) for wanted, name in asked)


def _newest(slices: Sequence[ResourceSlice]) -> Iterator[ResourceSlice]:
    newest = max((s.spec.pool.generation for s in slices), default=0)
    return (s for s in slices if s.spec.pool.generation == newest)


def _taints(
    views: Views, result: DeviceRequestAllocationResult, extra: DeviceTaintRule | None
) -> Iterator[tuple[DeviceTaint, str]]:
    """(taint, uid of the rule it comes from)."""
    for slice in _newest(views(SLICE).by_index("pool", f"{result.driver}/{result.pool}")):
        for device in slice.spec.devices:
            if device.name == result.device:
                yield from ((taint, "") for taint in device.taints if taint.effect == "NoExecute")
    for rule in views(RULE).list() if extra is None else (extra,):
        taint = rule.spec.taint
        if (taint.effect == "NoExecute" or extra is not None) and _means(
            rule, result.driver, result.pool, result.device
        ):
            yield msgspec.structs.replace(taint, effect="NoExecute"), rule.metadata.uid


def _until(taint: DeviceTaint, result: DeviceRequestAllocationResult) -> float | None:
    """When the taint ends the use of a device; None = never."""
    added = parse_rfc3339(taint.timeAdded) if taint.timeAdded else 0.0
    stays: list[int] = []
    for toleration in result.tolerations:
        if toleration.effect == "NoExecute" and tolerates(toleration, taint):
            if toleration.tolerationSeconds is None:
                return None
            stays.append(max(toleration.tolerationSeconds, 0))
    return added + min(stays, default=0)


def _claims(views: Views, pod: Pod) -> Iterator[ResourceClaim]:
    """Those with devices that the pod uses."""
    for entry in pod.spec.resourceClaims:
        try:
            name, own = claim_name(pod, entry)
        except Unresolved:
            continue
        claim = views(CLAIM).get(pod.metadata.namespace, name) if name is not None else None
        if claim is None or claim.status.allocation is None or (own and not_for_pod(pod, claim)):
            continue
        if is_reserved(claim, pod.metadata.uid):
            yield claim


def _causes(views: Views, pod: Pod, extra: DeviceTaintRule | None = None) -> list[Cause]:
    """extra: only this rule is looked at, as if its effect were NoExecute."""
    out: list[Cause] = []
    if not pod.spec.nodeName or pod.metadata.deletionTimestamp is not None:
        return out
    for claim in _claims(views, pod):
        assert claim.status.allocation is not None
        for result in claim.status.allocation.devices.results:
            for taint, rule in _taints(views, result, extra):
                at = _until(taint, result)
                if at is not None and (extra is None or rule):
                    out.append(Cause(at, rule))
    return out


# -- gather


def gather(views: Views, key: Key) -> PodWorld | RuleWorld | None:
    if not key[0]:
        rule: DeviceTaintRule | None = views(RULE).get("", key[1])
        return _gather_rule(views, key, rule) if rule is not None else None
    pod: Pod | None = views(POD).get(*key)
    if pod is None:
        return None
    marked = views.memo(key) == pod.metadata.uid
    causes = _causes(views, pod)
    return PodWorld(pod, causes, marked) if causes or marked else None


def _gather_rule(views: Views, key: Key, rule: DeviceTaintRule) -> RuleWorld:
    before = views.memo(key) or Tally()
    if rule.spec.taint.effect not in ("NoExecute", "None"):
        return RuleWorld(rule, (), before)
    trial = rule if rule.spec.taint.effect == "None" else None
    uid = rule.metadata.uid
    claims = [c for c in views(CLAIM).list() if c.status.allocation is not None and any(_meant(rule, c))]
    users = {(c.metadata.namespace, consumer.name) for c in claims for consumer in c.status.reservedFor}
    pods = [p for user in sorted(users) if (p := views(POD).get(*user)) is not None]
    found = [
        (p.metadata.namespace, p.metadata.uid) for p in pods if any(c.rule == uid for c in _causes(views, p, trial))
    ]
    if trial is None:
        return RuleWorld(rule, found, before)
    published = sum(
        _means(rule, s.spec.driver, s.spec.pool.name, device.name)
        for pool in _pools(views)
        for s in _newest(pool)
        for device in s.spec.devices
    )
    return RuleWorld(rule, found, before, published, sum(sum(_meant(rule, c)) for c in claims))


def _meant(rule: DeviceTaintRule, claim: ResourceClaim) -> Iterator[bool]:
    assert claim.status.allocation is not None
    return (_means(rule, r.driver, r.pool, r.device) for r in claim.status.allocation.devices.results)


def _pools(views: Views) -> list[list[ResourceSlice]]:
    out: dict[tuple[str, str], list[ResourceSlice]] = {}
    for slice in views(SLICE).list():
        out.setdefault((slice.spec.driver, slice.spec.pool.name), []).append(slice)
    return list(out.values())


# -- reconcile


def reconcile(world: PodWorld | RuleWorld, now: float) -> Plan:
    return _of_pod(world, now) if isinstance(world, PodWorld) else _of_rule(world, now)


def _reference(pod: Any) -> ObjectReference:
    meta = pod.metadata
    return ObjectReference(kind="Pod", apiVersion="v1", namespace=meta.namespace, name=meta.name, uid=meta.uid)


def _of_pod(world: PodWorld, now: float) -> Plan:
    pod = world.pod
    meta = pod.metadata
    if meta.deletionTimestamp is not None:
        return Plan(memo=None)
    if not world.causes:
        return Plan(events=(EventNote(_reference(pod), "Normal", EVENT, "Cancelling deletion"),), memo=None)
    at = min(cause.at for cause in world.causes)
    if at > now:
        return Plan(requeue_at=at, memo=meta.uid)
    event = EventNote(_reference(pod), "Normal", EVENT, "Marking for deletion")
    delete = Delete(POD, meta.namespace, meta.name, uid=meta.uid)
    target = condition(pod, "DisruptionTarget")
    if target is not None and (target.status, target.reason) == ("True", REASON):
        return Plan(actions=(delete,), events=(event,), memo=meta.uid)
    told = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": REASON,
        "message": "Device Taint manager: deleting due to NoExecute taint",
        "lastTransitionTime": rfc3339(now),
    }
    body = {"metadata": {"uid": meta.uid}, "status": with_condition(pod, told)}
    mark = Patch(POD, meta.namespace, meta.name, body, "strategic", "status")
    return Plan(actions=(mark,), then=(delete,), events=(event,), memo=meta.uid)


def _of_rule(world: RuleWorld, now: float) -> Plan:
    rule, pods = world.rule, world.pods
    uids = frozenset(uid for _, uid in pods)
    effect = rule.spec.taint.effect
    tally = Tally(frozenset(), world.before.evicted)
    if effect == "NoExecute":
        tally = Tally(uids, world.before.evicted + len(world.before.pending - uids))
    old = next((c for c in rule.status.conditions if c.type == IN_PROGRESS), None)
    if old is not None and old.observedGeneration == rule.metadata.generation:
        next_at = parse_rfc3339(old.lastTransitionTime) + PERIOD_S
        if effect == "None":
            return NOTHING
        if now < next_at:
            return Plan(requeue_at=next_at)
    again = now + PERIOD_S if pods and effect == "NoExecute" else None
    status, reason, message = _progress(effect, pods, tally, world)
    if old is not None and (old.status, old.reason, old.message, old.observedGeneration) == (
        status,
        reason,
        message,
        rule.metadata.generation,
    ):
        return Plan(memo=tally, requeue_at=again)
    told = {
        "type": IN_PROGRESS,
        "status": status,
        "reason": reason,
        "message": message,
        "observedGeneration": rule.metadata.generation,
        "lastTransitionTime": rfc3339(now),
    }
    body = {"metadata": {"uid": rule.metadata.uid}, "status": {"conditions": [told]}}
    return Plan(
        actions=(Patch(RULE, "", rule.metadata.name, body, "strategic", "status"),), memo=tally, requeue_at=again
    )


def _number(count: int, one: str, many: str) -> str:
    return f"1 {one}" if count == 1 else f"{count} {many}"


def _progress(effect: str, pods: Sequence[tuple[str, str]], tally: Tally, world: RuleWorld) -> tuple[str, str, str]:
    """(status, reason, message) of the condition."""
    namespaces = len({namespace for namespace, _ in pods})
    where = _number(namespaces, "namespace", "different namespaces")
    status, reason, message = "False", "OtherEffect", "Eviction only happens for the NoExecute effect."
    if effect == "NoExecute":
        message = ""
        reason = "Completed" if tally.evicted else "NotStarted"
        if pods:
            status, reason = "True", "PodsPendingEviction"
            message = f"{_number(len(pods), 'pod needs', 'pods need')} to be evicted in {where}."
    elif effect == "None":
        reason = "NoEffect"
        message = (
            f"{_number(world.published, 'published device', 'published devices')} selected. "
            f"{_number(world.allocated, 'allocated device', 'allocated devices')} selected. "
            f"{_number(len(pods), 'pod', 'pods')} would be evicted in {where} if the effect was NoExecute. "
            "This information will not be updated again. Recreate the DeviceTaintRule to trigger an update."
        )
    if tally.evicted:
        gone = f"{_number(tally.evicted, 'pod', 'pods')} evicted since starting the controller."
        message = f"{message} {gone}" if message else gone
    return status, reason, message


# -- what wakes whom


def _pod_keys(views: Views, old: Any, new: Any) -> Sequence[Key]:
    pod = new if new is not None else old
    if not pod.spec.resourceClaims:
        return ()
    key = (pod.metadata.namespace, pod.metadata.name)
    if new is None:
        return (key,)

    def seen(pod: Any) -> Any:
        return pod.spec.nodeName, pod.status.resourceClaimStatuses, pod.metadata.deletionTimestamp

    return () if old is not None and seen(old) == seen(new) else (key,)


def _users(claim: ResourceClaim) -> list[Key]:
    return [(claim.metadata.namespace, c.name) for c in claim.status.reservedFor if is_pod(c)]


def _claim_keys(views: Views, old: Any, new: Any) -> Sequence[Key]:
    if old is not None and new is not None and old.status == new.status:
        return ()
    out = [key for claim in (old, new) if claim is not None for key in _users(claim)]
    rules = [r for r in views(RULE).list() if r.spec.taint.effect == "NoExecute"]
    claims = [claim for claim in (old, new) if claim is not None and claim.status.allocation is not None]
    return out + [("", r.metadata.name) for r in rules if any(any(_meant(r, claim)) for claim in claims)]


def _slice_keys(views: Views, old: Any, new: Any) -> Sequence[Key]:
    def tainted(slice: Any) -> list[Any]:
        if slice is None:
            return []
        taints = [(d.name, t) for d in slice.spec.devices for t in d.taints if t.effect == "NoExecute"]
        return [(slice.spec.pool.generation, taints)] if taints else []

    if tainted(old) == tainted(new):
        return ()
    pool = (new if new is not None else old).spec
    claims = views(CLAIM).by_index("pool", f"{pool.driver}/{pool.pool.name}")
    return [key for claim in claims for key in _users(claim)]


def _rule_keys(views: Views, old: Any, new: Any) -> Sequence[Key]:
    rule = new if new is not None else old
    if old is not None and new is not None and old.spec == new.spec:
        return ()
    out: list[Key] = [("", rule.metadata.name)]
    if all(r is None or r.spec.taint.effect != "NoExecute" for r in (old, new)):
        return out
    for claim in views(CLAIM).list():
        if claim.status.allocation is not None and any(r is not None and any(_meant(r, claim)) for r in (old, new)):
            out += _users(claim)
    return out


CONTROLLER = Controller(
    name="devicetainteviction",
    identity="device-taint-eviction-controller",
    component="device-taint-eviction-controller",
    watches=(
        Watch(POD, _pod_keys, (changes.DEVICES,)),
        Watch(CLAIM, _claim_keys),
        Watch(SLICE, _slice_keys),
        Watch(RULE, _rule_keys),
    ),
    gather=gather,
    reconcile=reconcile,
)
