"""Slices in the form in which they are searched, and the pools that one node sees.

A pool counts with the slices of its newest generation, once all of them are there; until then nothing is taken of it. A
pool in which a name occurs twice, or a device draws from counters that are not there, is invalid.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pelamis.api.core.node import Node
from pelamis.api.core.nodeselector import NodeSelector
from pelamis.api.resource.device import DeviceTaint
from pelamis.api.resource.resourceslice import Device, ResourceSlice
from pelamis.base import quantity
from pelamis.scheduler.devices.capacity import Limit, limit_of
from pelamis.scheduler.devices.selector import Model
from pelamis.scheduler.nodeterm import selector_matches

DeviceId = tuple[str, str, str]
"""Driver, pool, device."""
PoolId = tuple[str, str]
Counters = dict[str, dict[str, int]]
"""Set and counter to billionths."""
_EFFECTIVE = ("NoSchedule", "NoExecute")


def shown(id: DeviceId | PoolId) -> str:
    return "/".join(id)


def reaches(node: Node, name: str | None, every: bool | None, selector: NodeSelector | None) -> bool:
    if name:
        return node.metadata.name == name
    return bool(every) or (selector is not None and selector_matches(selector, node))


class Unit:
    """A device. counters: what it draws, (set, counter, billionths). taints: those that have an effect."""

    __slots__ = ("counters", "device", "id", "limits", "model", "shared", "shelf", "taints")

    def __init__(self, shelf: Shelf, device: Device, model: Model, taints: Iterable[DeviceTaint]) -> None:
        self.shelf = shelf
        self.device = device
        self.id: DeviceId = (*shelf.pool, device.name)
        self.model = model
        self.shared = bool(device.allowMultipleAllocations)
        self.taints = tuple(t for t in (*device.taints, *taints) if t.effect in _EFFECTIVE)
        self.limits: dict[str, Limit] = {name: limit_of(c) for name, c in device.capacity.items()}
        self.counters = tuple(
            (drawn.counterSet, name, quantity.parse(str(counter.value)).nano)
            for drawn in device.consumesCounters
            for name, counter in drawn.counters.items()
        )

    def on(self, node: Node) -> bool:
        """Whether the node can use it, of those that its slice is for."""
        device = self.device
        if not self.shelf.per_device:
            return True
        return reaches(node, device.nodeName, device.allNodes, device.nodeSelector)

    @property
    def node_name(self) -> str | None:
        return self.device.nodeName if self.shelf.per_device else self.shelf.slice.spec.nodeName

    @property
    def selector(self) -> NodeSelector | None:
        return self.device.nodeSelector if self.shelf.per_device else self.shelf.slice.spec.nodeSelector


class Shelf:
    """A slice. sets: the counters that it declares."""

    __slots__ = ("conditional", "generation", "name", "per_device", "pool", "sets", "slice", "units")

    def __init__(self, slice: ResourceSlice) -> None:
        spec = slice.spec
        self.slice = slice
        self.name = slice.metadata.name
        self.pool: PoolId = (spec.driver, spec.pool.name)
        self.generation = spec.pool.generation
        self.per_device = bool(spec.perDeviceNodeSelection)
        self.sets: list[tuple[str, dict[str, int]]] = [
            (s.name, {n: quantity.parse(str(c.value)).nano for n, c in s.counters.items()}) for s in spec.sharedCounters
        ]
        self.conditional = any(d.bindingConditions for d in spec.devices)
        self.units: tuple[Unit, ...] = ()

    def on(self, node: Node) -> bool:
        spec = self.slice.spec
        if spec.nodeName or spec.allNodes or spec.nodeSelector is not None:
            return reaches(node, spec.nodeName, spec.allNodes, spec.nodeSelector)
        return self.per_device and any(unit.on(node) for unit in self.units)

    @property
    def choosy(self) -> bool:
        """Its devices differ in the nodes that can use them."""
        return self.per_device and any(not unit.device.allNodes for unit in self.units)


class PoolView:
    """A pool as one node sees it. units: of slices for the node; all_units: of all slices, for the counters.

    problem: "incomplete", or what is wrong; then nothing is taken of it.
    """

    __slots__ = ("all_units", "conditional", "id", "incomplete", "problem", "sets", "units")

    def __init__(self, id: PoolId, *, incomplete: bool = False) -> None:
        self.id = id
        self.incomplete = incomplete
        self.problem = ""
        self.units: list[Unit] = []
        self.all_units: list[Unit] = []
        self.sets: Counters = {}
        self.conditional = False


def view_pool(id: PoolId, near: Sequence[Shelf], every: Mapping[str, Shelf]) -> PoolView | None:
    """near: the slices for the node; every: all of the pool. None: its newest generation has nothing for the node."""
    newest = max(shelf.generation for shelf in near)
    near = sorted((s for s in near if s.generation == newest), key=lambda s: s.name)
    wanted = near[0].slice.spec.pool.resourceSliceCount
    far: list[Shelf] = []
    if len(near) != wanted:
        if any(shelf.generation > newest for shelf in every.values()):
            return None
        here = {shelf.name for shelf in near}
        far = [s for s in every.values() if s.generation == newest and s.name not in here]
        if len(near) + len(far) != wanted:
            return PoolView(id, incomplete=True)
    view = PoolView(id)
    view.units = [unit for shelf in near if not shelf.sets for unit in shelf.units]
    view.all_units = view.units + [unit for shelf in far if not shelf.sets for unit in shelf.units]
    view.conditional = any(shelf.conditional for shelf in near)
    view.problem = _fault(view, [*near, *far])
    return view


def _fault(view: PoolView, shelves: Sequence[Shelf]) -> str:
    seen: set[str] = set()
    for unit in view.units:
        if unit.id[2] in seen:
            return f"duplicate device name {unit.id[2]}"
        seen.add(unit.id[2])
    for shelf in shelves:
        for name, counters in shelf.sets:
            if name in view.sets:
                return f"duplicate counter set name {name}"
            view.sets[name] = counters
    for unit in view.all_units:
        for drawn, counter, _ in unit.counters:
            if drawn not in view.sets:
                return f"counter set {drawn} not found"
            if counter not in view.sets[drawn]:
                return f"counter {counter} not found in counter set {drawn}"
    return ""


class Stock:
    """All pools that a node sees, in the order of the search: by name, those with binding conditions last.

    answers: what was found for the claims of a kind of pod, see ``Inventory.answer``.
    """

    __slots__ = ("answers", "ids", "units", "view_of", "views")

    def __init__(self, views: Iterable[PoolView]) -> None:
        self.views = sorted(views, key=lambda v: (v.conditional, v.id))
        self.ids = tuple(view.id for view in self.views)
        self.units: list[Unit] = []
        self.view_of: list[PoolView] = []
        for view in self.views:
            if not view.incomplete and not view.problem:
                self.units += view.units
                self.view_of += [view] * len(view.units)
        self.answers: dict[Any, Any] = {}


EMPTY = Stock(())
