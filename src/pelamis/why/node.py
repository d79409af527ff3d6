"""Why a node is not ready, or takes no pods."""

from __future__ import annotations

from typing import Any

from pelamis.api.core.node import KIND as NODE
from pelamis.why.cause import Advice, Cause
from pelamis.why.world import World

_PRESSURES = ("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable")
_OWN = ("node.kubernetes.io/", "node.cloudprovider.kubernetes.io/")


def is_ready(node: Any) -> bool:
    return any(c.type == "Ready" and c.status == "True" for c in node.status.conditions)


def why_node(world: World, node: Any) -> Cause:
    name = node.metadata.name
    about = f"node/{name}"
    conditions = {c.type: c for c in node.status.conditions}
    ready = conditions.get("Ready")
    facts = []
    advice = []
    for kind in _PRESSURES:
        found = conditions.get(kind)
        if found is not None and found.status == "True":
            facts.append(f"{kind} since {world.ago(found.lastTransitionTime)}: {found.message or found.reason}")
            if kind == "DiskPressure":
                advice.append(Advice("free disk space on the node: images, logs, emptyDirs"))
            elif kind == "MemoryPressure":
                advice.append(Advice("its pods use more memory than there is: lower their number or give them limits"))
    taints = [t for t in node.spec.taints if not t.key.startswith(_OWN)]
    if taints:
        shown = ", ".join(f"{t.key}={t.value}:{t.effect}" if t.value else f"{t.key}:{t.effect}" for t in taints)
        facts.append(f"only pods that tolerate it come here: {shown}")
    for event in world.events(NODE, node, warnings=True)[:2]:
        facts.append(f"event {event.reason}: {event.message}")
    if ready is None:
        text = "its kubelet has never reported"
        return Cause(about, text, facts=tuple(facts), advice=(_agent(), *advice))
    if ready.status != "True":
        since = world.ago(ready.lastTransitionTime)
        if ready.status == "Unknown":
            text = f"has not been heard of for {since}: {ready.message or ready.reason}"
            heard = world.ago(ready.lastHeartbeatTime)
            if heard:
                facts.append(f"its last report was {heard} ago")
            wake = Advice("is the machine on, and does it reach the API server? On it:", "systemctl status kubelet")
            return Cause(about, text, facts=tuple(facts), advice=(_agent(), wake, *advice))
        text = f"has not been ready for {since}: {ready.message or ready.reason}"
        return Cause(about, text, facts=tuple(facts), advice=(_agent(), *advice))
    if node.spec.unschedulable:
        advice.append(Advice("let it take pods again", f"kubectl uncordon {name}"))
        return Cause(about, "is ready but cordoned: it takes no new pods", facts=tuple(facts), advice=tuple(advice))
    if any(conditions.get(k) is not None and conditions[k].status == "True" for k in _PRESSURES):
        return Cause(about, "is ready, but short of something", facts=tuple(facts), advice=tuple(advice))
    return Cause(about, f"is ready for {world.ago(ready.lastTransitionTime)}", True, tuple(facts))


def _agent() -> Advice:
    return Advice("see what its agent says", "pelamis logs agent")
