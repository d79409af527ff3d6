"""What there is and what is taken: slices, classes, taint rules and claims, as events bring them.

Each node has a *stock*: the pools that it sees. Nodes that see the same share one. What is found for a kind of pod on a
stock is remembered until a device of its pools is taken or given back, so that for pods of one template a decision
looks at the nodes where something has changed.

A claim's devices count as taken from the moment that a decision grants them (``pending``) until the claim is seen with
its allocation, or the grant is withdrawn.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

from pelamis.api.core.node import Node
from pelamis.api.resource.deviceclass import DeviceClass
from pelamis.api.resource.devicetaintrule import DeviceTaintRule
from pelamis.api.resource.podclaim import CLASS_RESOURCE, EXTENDED, owning_pod
from pelamis.api.resource.resourceclaim import AllocationResult, ResourceClaim
from pelamis.api.resource.resourceslice import Device, ResourceSlice
from pelamis.base import quantity
from pelamis.scheduler.changelog import ChangeLog
from pelamis.scheduler.devices.allocator import Found, Taken, allocate
from pelamis.scheduler.devices.ask import Problem
from pelamis.scheduler.devices.pool import EMPTY, DeviceId, PoolId, Shelf, Stock, Unit, view_pool
from pelamis.scheduler.devices.selector import Model, model_key

Key = tuple[str, str]
_MOST_MODELS = 65536
_MOST_ANSWERS = 16
_REMEMBERED = 8192


class Inventory:
    """allocated, shares: how many claims have a device, alone or with others; consumed: of shared ones, by capacity.

    now: seconds since the epoch, of the decision under way.
    """

    def __init__(self) -> None:
        self.classes: dict[str, DeviceClass] = {}
        self.class_of: dict[str, DeviceClass] = {}
        """Extended resource to the class whose devices serve it."""
        self.rules: dict[str, DeviceTaintRule] = {}
        self.claims: dict[Key, ResourceClaim] = {}
        self.extended: dict[str, Key] = {}
        """Uid of a pod to the claim that was made for its extended resources."""
        self.pending: dict[str, AllocationResult] = {}
        self._written: dict[str, int] = {}
        """Uid of a claim to the revision at which what is pending for it was written."""
        self.allocated: dict[DeviceId, int] = {}
        self.shares: dict[DeviceId, int] = {}
        self.consumed: dict[DeviceId, dict[str, int]] = {}
        self.now = 0.0
        self.classes_version = 0
        self._held: dict[str, AllocationResult] = {}
        self._uses: dict[PoolId, int] = {}
        self._shelves: dict[str, Shelf] = {}
        self._by_pool: dict[PoolId, dict[str, Shelf]] = {}
        self._by_node: dict[str, dict[str, Shelf]] = {}
        self._common: dict[str, Shelf] = {}
        self._models: dict[Any, Model] = {}
        self._stocks: dict[str, tuple[Any, Stock]] = {}
        self._same: dict[Any, Stock] = {}
        self.serial = 0
        """Grows with every change."""
        self.verdicts: OrderedDict[Any, Any] = OrderedDict()  # of verdicts.Verdicts
        self.changes: ChangeLog[PoolId | str | None] = ChangeLog(_REMEMBERED)
        """A pool whose devices were taken or given back; a node that sees others; None = all nodes may."""
        self.looked_up: Any = None  # podclaims.PodClaims of the pod that is being decided, see there

    # -- what there is

    def set_class(self, name: str, new: DeviceClass | None) -> bool:
        """Whether other classes serve extended resources now."""
        self.serial += 1
        if new is None:
            self.classes.pop(name, None)
        else:
            self.classes[name] = new
        self.classes_version += 1
        before = {resource: c.metadata.name for resource, c in self.class_of.items()}
        self.class_of = _served(self.classes.values())
        return before != {resource: c.metadata.name for resource, c in self.class_of.items()}

    def set_slice(self, name: str, new: ResourceSlice | None) -> bool:
        """Whether anything that matters has changed."""
        self.serial += 1
        old = self._shelves.get(name)
        if old is not None and new is not None and old.slice.spec == new.spec:
            return False
        if old is not None:
            self._forget(old)
            self._take_out(old)
        if new is not None:
            shelf = self._make(new)
            self._shelves[name] = shelf
            self._by_pool.setdefault(shelf.pool, {})[name] = shelf
            node = new.spec.nodeName
            (self._by_node.setdefault(node, {}) if node else self._common)[name] = shelf
            self._forget(shelf)
        return True

    def _take_out(self, shelf: Shelf) -> None:
        del self._shelves[shelf.name]
        pool = self._by_pool[shelf.pool]
        del pool[shelf.name]
        if not pool:
            del self._by_pool[shelf.pool]
        node = shelf.slice.spec.nodeName
        if not node:
            del self._common[shelf.name]
            return
        own = self._by_node[node]
        del own[shelf.name]
        if not own:
            del self._by_node[node]

    def set_rule(self, name: str, new: DeviceTaintRule | None) -> bool:
        """Whether a device has other taints now."""
        self.serial += 1
        old = self.rules.get(name)
        if old is not None and new is not None and old.spec == new.spec:
            return False
        if new is None:
            self.rules.pop(name, None)
        else:
            self.rules[name] = new
        changed = False
        for shelf in list(self._shelves.values()):
            if any(rule is not None and _concerns(rule, shelf) for rule in (old, new)):
                shelf.units = self._make(shelf.slice).units
                self._forget(shelf)
                changed = True
        return changed

    def _make(self, slice: ResourceSlice) -> Shelf:
        shelf = Shelf(slice)
        rules = [rule for _, rule in sorted(self.rules.items()) if _concerns(rule, shelf)]
        units = []
        for device in slice.spec.devices:
            taints = [rule.spec.taint for rule in rules if _is_meant(rule, device)]
            units.append(Unit(shelf, device, self._model(shelf.pool[0], device), taints))
        shelf.units = tuple(units)
        return shelf

    def _model(self, driver: str, device: Device) -> Model:
        key = model_key(driver, device)
        found = self._models.get(key)
        if found is None:
            if len(self._models) >= _MOST_MODELS:
                self._models.clear()
            found = self._models[key] = Model(driver, device)
        return found

    def _forget(self, shelf: Shelf) -> None:
        """The stocks that the slice's pool is in are no longer as they were."""
        pool = self._by_pool.get(shelf.pool, {})
        names = [s.slice.spec.nodeName for s in (*pool.values(), shelf)]
        if any(not name for name in names):
            self._stocks.clear()
            self._same.clear()
            self.changes.note(None)
            return
        for name in names:
            self._stocks.pop(name or "", None)
            self.changes.note(name)

    # -- what has changed

    def changed_since(self, position: int) -> set[str] | None:
        """The nodes for which devices have changed; None = it may be all."""
        noted = self.changes.since(position)
        if noted is None:
            return None
        out: set[str] = set()
        for what in {*noted}:
            if isinstance(what, str):
                out.add(what)
                continue
            for shelf in self._by_pool.get(what, {}).values() if what is not None else ():
                name = shelf.slice.spec.nodeName
                if not name:
                    return None
                out.add(name)
            if what is None:
                return None
        return out

    # -- what a node sees

    def stock(self, node: Node) -> Stock:
        name, labels = node.metadata.name, node.metadata.labels
        kept = self._stocks.get(name)
        if kept is not None and (kept[0] is labels or kept[0] == labels):
            return kept[1]
        own = self._by_node.get(name, {})
        if not own and not self._common:
            return EMPTY
        common = [shelf for shelf in self._common.values() if shelf.on(node)]
        if own or any(shelf.choosy for shelf in common):
            stock = self._gather([*own.values(), *common])
        else:
            key = tuple(shelf.name for shelf in common)
            found = self._same.get(key)
            if found is None:
                found = self._same[key] = self._gather(common)
            stock = found
        self._stocks[name] = (labels, stock)
        return stock

    def _gather(self, near: Iterable[Shelf]) -> Stock:
        pools: dict[PoolId, list[Shelf]] = {}
        for shelf in near:
            pools.setdefault(shelf.pool, []).append(shelf)
        views = (view_pool(id, shelves, self._by_pool[id]) for id, shelves in pools.items())
        return Stock(view for view in views if view is not None)

    def forget_node(self, name: str) -> None:
        self._stocks.pop(name, None)

    def answer(self, problem: Problem, node: Node) -> Found | str | None:
        """As ``allocate``; remembered until a device of the pools that the node sees is taken or given back."""
        stock, uses = self.stock(node), self._uses
        stamp = tuple([uses.get(id, 0) for id in stock.ids])
        kept = stock.answers.get(problem.key)
        if kept is None or kept[0] != stamp:
            if kept is None and len(stock.answers) >= _MOST_ANSWERS:
                stock.answers.clear()
            taken = Taken(self.allocated, self.shares, self.consumed)
            kept = stock.answers[problem.key] = (stamp, allocate(problem, node, stock, taken))
        found: Found | str | None = kept[1]
        return found

    # -- what is taken

    def set_claim(self, key: Key, new: ResourceClaim | None) -> None:
        self.serial += 1
        old = self.claims.get(key)
        if old is not None and (new is None or new.metadata.uid != old.metadata.uid):
            uid = old.metadata.uid
            self._settled(uid)
            self._hold(uid, None)
            pod = owning_pod(old)[1]
            if self.extended.get(pod) == key:
                del self.extended[pod]
        if new is None:
            self.claims.pop(key, None)
            return
        self.claims[key] = new
        uid = new.metadata.uid
        written = self._written.get(uid, 0)
        if new.status.allocation is not None or 0 < written <= int(new.metadata.resourceVersion or 0):
            self._settled(uid)
        self._hold(uid, new.status.allocation or self.pending.get(uid))
        if new.metadata.annotations.get(EXTENDED) == "true" and (pod := owning_pod(new)[1]):
            self.extended.setdefault(pod, key)

    def grant(self, uid: str, allocation: AllocationResult) -> None:
        """Until the claim is seen with it. uid: of the claim, or one made up for a claim that is still to be made."""
        self.serial += 1
        self.pending[uid] = allocation
        self._hold(uid, allocation)

    def wrote(self, uid: str, rev: int) -> None:
        """What was granted is in the claim as of that revision, which may not have been seen yet."""
        if uid in self.pending:
            self._written[uid] = rev

    def _settled(self, uid: str) -> None:
        self.pending.pop(uid, None)
        self._written.pop(uid, None)

    def withdraw(self, uid: str) -> bool:
        """False: there is nothing that was granted and not seen."""
        self.serial += 1
        if uid not in self.pending:
            return False
        self._settled(uid)
        self._hold(uid, None)
        return True

    def _hold(self, uid: str, allocation: AllocationResult | None) -> None:
        held = self._held.get(uid)
        if held is allocation or held == allocation:
            return
        if held is not None:
            self._count(held, -1)
            del self._held[uid]
        if allocation is not None:
            self._held[uid] = allocation
            self._count(allocation, 1)

    def _count(self, allocation: AllocationResult, sign: int) -> None:
        for result in allocation.devices.results:
            if result.adminAccess:
                continue
            id = (result.driver, result.pool, result.device)
            pool = id[:2]
            self._uses[pool] = self._uses.get(pool, 0) + 1
            self.changes.note(pool)
            if result.shareID is None:
                _tally(self.allocated, id, sign)
                continue
            _tally(self.shares, id, sign)
            amounts = self.consumed.setdefault(id, {})
            for name, text in result.consumedCapacity.items():
                _tally(amounts, name, sign * quantity.parse(str(text)).nano)
            if not amounts:
                del self.consumed[id]


def _tally(table: dict[Any, int], key: Any, by: int) -> None:
    left = table.get(key, 0) + by
    if left:
        table[key] = left
    else:
        table.pop(key, None)


def _concerns(rule: DeviceTaintRule, shelf: Shelf) -> bool:
    selector = rule.spec.deviceSelector
    if selector is None:
        return True
    driver, pool = shelf.pool
    return selector.driver in (None, driver) and selector.pool in (None, pool)


def _is_meant(rule: DeviceTaintRule, device: Device) -> bool:
    selector = rule.spec.deviceSelector
    return selector is None or selector.device in (None, device.name)


def _served(classes: Iterable[DeviceClass]) -> dict[str, DeviceClass]:
    """Of several classes for one resource, the youngest serves it; of equally young ones, the first by name."""
    out: dict[str, DeviceClass] = {}
    for found in sorted(classes, key=lambda c: c.metadata.name, reverse=True):
        out[CLASS_RESOURCE + found.metadata.name] = found
        resource = found.spec.extendedResourceName
        if resource is None:
            continue
        other = out.get(resource)
        if other is None or found.metadata.creationTimestamp >= other.metadata.creationTimestamp:
            out[resource] = found
    return out
