"""What was found for a claim, as its status tells it: results, configuration, and from where it can be used."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from pelamis.api.core.nodeselector import NodeSelector, NodeSelectorRequirement, NodeSelectorTerm
from pelamis.api.resource.resourceclaim import (
    AllocationResult,
    DeviceAllocationConfiguration,
    DeviceAllocationResult,
    DeviceRequestAllocationResult,
)
from pelamis.scheduler.devices.allocator import Found, Pick
from pelamis.scheduler.devices.ask import AllocationFailure, Problem, Want


def grants(problem: Problem, found: Found, node: str, new_id: Callable[[], str]) -> list[AllocationResult]:
    """One for each claim. new_id: a UUID for a share of a device."""
    out = []
    for i, want in enumerate(problem.wants):
        chosen = {request: ask for (claim, request), ask in found.chosen.items() if claim == i}
        picks = found.picks[i]
        devices = DeviceAllocationResult(
            results=tuple(_result(pick, new_id) for pick in picks), config=_config(want, chosen)
        )
        out.append(AllocationResult(devices=devices, nodeSelector=node_selector(picks, node)))
    return out


def _result(pick: Pick, new_id: Callable[[], str]) -> DeviceRequestAllocationResult:
    ask, unit = pick.ask, pick.unit
    driver, pool, device = unit.id
    return DeviceRequestAllocationResult(
        request=ask.name,
        driver=driver,
        pool=pool,
        device=device,
        adminAccess=True if ask.admin else None,
        tolerations=ask.tolerations,
        bindingConditions=unit.device.bindingConditions,
        bindingFailureConditions=unit.device.bindingFailureConditions,
        shareID=new_id() if pick.amounts is not None else None,
        consumedCapacity={name: str(amount) for name, amount in (pick.amounts or {}).items()},
    )


def _config(want: Want, chosen: dict[int, int]) -> tuple[DeviceAllocationConfiguration, ...]:
    """Of the classes, in the order of requests, then the claim's own; what is for all requests names none."""
    asks = [request.asks[chosen.get(i, 0)] for i, request in enumerate(want.requests)]
    of_class: dict[str, list[str]] = {}
    for ask in asks:
        of_class.setdefault(ask.cls.metadata.name, []).append(ask.name)
    out: list[DeviceAllocationConfiguration] = []
    seen: set[str] = set()
    for ask in asks:
        name = ask.cls.metadata.name
        if name not in seen:
            seen.add(name)
            out += [
                DeviceAllocationConfiguration(source="FromClass", requests=tuple(of_class[name]), opaque=c.opaque)
                for c in ask.cls.spec.config
            ]
    for own in want.claim.spec.devices.config:
        if not own.requests or any(name in own.requests for ask in asks for name in ask.names):
            out.append(DeviceAllocationConfiguration(source="FromClaim", requests=own.requests, opaque=own.opaque))
    return tuple(
        msgspec.structs.replace(config, requests=())
        if all(any(name in config.requests for name in ask.names) for ask in asks)
        else config
        for config in out
    )


def node_selector(picks: Sequence[Pick], node: str) -> NodeSelector | None:
    """None: it can be used from everywhere."""
    fields: list[NodeSelectorRequirement] = []
    expressions: list[NodeSelectorRequirement] = []
    for pick in picks:
        unit = pick.unit
        if unit.node_name is not None or unit.device.bindsToNode:
            only = NodeSelectorRequirement(key="metadata.name", operator="In", values=(node,))
            return NodeSelector(nodeSelectorTerms=(NodeSelectorTerm(matchFields=(only,)),))
        terms = unit.selector.nodeSelectorTerms if unit.selector is not None else ()
        if len(terms) > 1:
            raise AllocationFailure(f"unsupported ResourceSlice.NodeSelector with {len(terms)} terms")
        for term in terms:
            _add(fields, term.matchFields)
            _add(expressions, term.matchExpressions)
    if not fields and not expressions:
        return None
    term = NodeSelectorTerm(matchExpressions=tuple(expressions), matchFields=tuple(fields))
    return NodeSelector(nodeSelectorTerms=(term,))


def _add(to: list[NodeSelectorRequirement], more: Sequence[NodeSelectorRequirement]) -> None:
    for new in more:
        if not any((r.key, r.operator, set(r.values)) == (new.key, new.operator, set(new.values)) for r in to):
            to.append(new)
