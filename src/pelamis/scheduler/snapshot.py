"""The cluster as columns: one row per node, NumPy arrays that events keep up to date one pod at a time.

Rows are dense: a node that goes gives its row to the last one. Amounts are int64, one array per resource: what a node
can give (``allocatable``), and what its pods ask for (``requested``), assumed pods included. Labels become columns of
value ids, made when a plugin first asks for a key. Taints and image lists are interned: nodes of one pool share one
set, so a plugin judges each distinct set once and gathers by id.

Pods with the same namespace, labels and termination state form a *group*. A *counter* is the array of how many pods of
the selected groups each node has; it is made once per selector and then kept up to date by each pod that comes or
goes, so spreading and affinity cost one pass over an array, however many pods there are.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from pelamis.api.core.node import Node, Taint
from pelamis.base.labels import Selector
from pelamis.scheduler.bypair import Labelled, Selecting
from pelamis.scheduler.changelog import ChangeLog
from pelamis.scheduler.columns import Counter, Group, Ids, Ints, LabelColumn, Mask, Sums, TermUse
from pelamis.scheduler.devices.inventory import Inventory
from pelamis.scheduler.podinfo import PodInfo, PortUse, Term, amounts_of
from pelamis.scheduler.storage import Storage
from pelamis.scheduler.workloads import Workloads

__all__ = ["CPU", "MEMORY", "PODS", "STORAGE", "Ids", "Ints", "Mask", "NodeInfo", "Snapshot", "same_for_scheduling"]

CPU, MEMORY, STORAGE, PODS = 0, 1, 2, 3
_FIXED = ("cpu", "memory", "ephemeral-storage", "pods")
_COUNTERS, _COUNTERS_BYTES = 256, 2**26
"""How many counters are kept at least; as many as fit into so much memory."""
_REMEMBERED = 8192
TERM_KINDS = ("affinity", "anti_affinity", "preferred_affinity", "preferred_anti_affinity")


class NodeInfo:
    """row: its place in the columns; changes when nodes go."""

    __slots__ = ("claims", "name", "node", "pods", "ports", "row")

    def __init__(self, node: Node, row: int) -> None:
        self.node = node
        self.name = node.metadata.name
        self.row = row
        self.pods: dict[str, PodInfo] = {}
        self.ports: dict[PortUse, int] = {}
        self.claims: dict[tuple[str, str], int] = {}


class Snapshot:
    """Owner of all columns. Not thread-safe; the scheduler's loop is the only one that touches it.

    namespace_labels: for namespace selectors, kept by the executor.
    """

    def __init__(self, capacity: int = 64) -> None:
        self._capacity = capacity
        self.size = 0
        self.nodes: list[NodeInfo] = []
        self.by_name: dict[str, NodeInfo] = {}
        self.pods: dict[str, PodInfo] = {}
        self.resources: dict[str, int] = {name: i for i, name in enumerate(_FIXED)}
        self.allocatable: Ints = np.zeros((len(_FIXED), capacity), np.int64)
        self.requested: Ints = np.zeros((len(_FIXED), capacity), np.int64)
        self.nonzero: Ints = np.zeros((2, capacity), np.int64)
        self.unschedulable: Mask = np.zeros(capacity, np.bool_)
        self.taints: Ids = np.zeros(capacity, np.int32)
        self.taint_sets: list[tuple[Taint, ...]] = [()]
        self._taint_index: dict[tuple[Taint, ...], int] = {(): 0}
        self.images: Ids = np.zeros(capacity, np.int32)
        self.image_sets: list[Mapping[str, int]] = [{}]
        self._image_index: dict[Any, int] = {(): 0}
        self.image_nodes: dict[str, int] = {}
        self._labels: dict[str, LabelColumn] = {}
        self._groups: dict[Any, Group] = {}
        self._counters: OrderedDict[Any, Counter] = OrderedDict()
        self._groups_by: Labelled[Group] = Labelled()
        self._counters_by: Selecting[Counter] = Selecting()
        self._terms_by: dict[str, Selecting[TermUse]] = {kind: Selecting() for kind in TERM_KINDS}
        self.orphans: dict[str, dict[str, PodInfo]] = {}
        self.ports: dict[tuple[str, int], int] = {}
        self.claims: dict[tuple[str, str], int] = {}
        self.claim_nodes: dict[tuple[str, str], dict[str, int]] = {}
        self.attached: Any = None  # attached.Attached, once it is asked for
        self.terms: dict[str, dict[Term, TermUse]] = {kind: {} for kind in TERM_KINDS}
        self.terms_version = 0
        """Grows when there are other terms, or a namespace has other labels: whom terms select may have changed."""
        self.nominated: dict[str, dict[str, PodInfo]] = {}
        self._nominee: dict[str, str] = {}
        self.nominated_keep_off = 0
        """How many of the nominated pods have required anti-affinity."""
        self.namespace_labels: dict[str, Mapping[str, str]] = {}
        self._complete = False
        self._judged = -1
        self.sheets: Any = None  # sheet.Sheets, once a decision has been made
        self.storage = Storage()
        self.devices = Inventory()
        self.workloads = Workloads()
        self.budgets: dict[tuple[str, str], Any] = {}
        self.trying = False
        """Set while pods are moved that will be back at once: rows do not count as changed."""
        self.touched: Ints = np.zeros(capacity, np.int64)
        """Per row, how often pods came or left."""
        self._changes: ChangeLog[int] = ChangeLog(_REMEMBERED)
        self.generation = 0
        """Grows with every change of a node; what was worked out from nodes alone holds while it stays."""

    # -- nodes

    def set_node(self, node: Node) -> None:
        info = self.by_name.get(node.metadata.name)
        if info is None:
            if self.size == self._capacity:
                self._grow()
            info = NodeInfo(node, self.size)
            self.size += 1
            self.nodes.append(info)
            self.by_name[info.name] = info
            self._clear_row(info.row)
            self._fill(info, node)
            self.generation += 1  # what is kept does not know the row yet
            for pod in list(self.orphans.pop(info.name, {}).values()):
                self.add_pod(pod, info.name)
        else:
            if same_for_scheduling(info.node, node):
                info.node = node
                return
            self._count_images(info.row, -1)
            info.node = node
            self._fill(info, node)
        self.generation += 1

    def remove_node(self, name: str) -> None:
        """Its pods are kept aside, in case it comes back."""
        info = self.by_name.pop(name, None)
        if info is None:
            return
        for pod in list(info.pods.values()):
            self.remove_pod(pod.uid)
            self.add_pod(pod, name)
        row, last = info.row, self.size - 1
        self._count_images(row, -1)
        if row != last:
            moved = self.nodes[last]
            self.nodes[row] = moved
            moved.row = row
            for array in self._arrays():
                array[..., row] = array[..., last]
        self.nodes.pop()
        self._clear_row(last)
        self.size = last
        self.generation += 1

    def _arrays(self) -> Iterable[npt.NDArray[Any]]:
        yield self.allocatable
        yield self.requested
        yield self.nonzero
        yield self.unschedulable
        yield self.taints
        yield self.images
        for column in self._labels.values():
            yield column.ids
        for counter in self._counters.values():
            yield counter.array

    def _clear_row(self, row: int) -> None:
        for array in self._arrays():
            array[..., row] = 0
        for column in self._labels.values():
            column.ids[row] = -1

    def _grow(self) -> None:
        size = self._capacity

        def longer(array: npt.NDArray[Any], fill: int = 0) -> npt.NDArray[Any]:
            more = np.full((*array.shape[:-1], size), fill, array.dtype)
            return np.concatenate((array, more), axis=-1)

        self.allocatable, self.requested = longer(self.allocatable), longer(self.requested)
        self.nonzero, self.unschedulable = longer(self.nonzero), longer(self.unschedulable)
        self.taints, self.images = longer(self.taints), longer(self.images)
        for column in self._labels.values():
            column.ids = longer(column.ids, -1)
        for counter in self._counters.values():
            counter.array = longer(counter.array)
        self.touched = longer(self.touched)
        self._capacity = size * 2

    def resource(self, name: str) -> int:
        """The column of a resource; made when first seen."""
        found = self.resources.get(name)
        if found is None:
            found = self.resources[name] = len(self.resources)
            more = np.zeros((1, self._capacity), np.int64)
            self.allocatable = np.concatenate((self.allocatable, more))
            self.requested = np.concatenate((self.requested, more))
        return found

    def _fill(self, info: NodeInfo, node: Node) -> None:
        row = info.row
        amounts = {self.resource(name): n for name, n in amounts_of(node.status.allocatable).items()}
        self.allocatable[:, row] = 0
        for column, amount in amounts.items():
            self.allocatable[column, row] = amount
        self.unschedulable[row] = node.spec.unschedulable
        self.taints[row] = self._taint_set(node.spec.taints)
        self.images[row] = self._image_set(node)
        self._count_images(row, 1)
        own = node.metadata.labels
        for key, labels in self._labels.items():
            value = own.get(key)
            labels.ids[row] = -1 if value is None else labels.intern(value)

    def _taint_set(self, taints: tuple[Taint, ...]) -> int:
        found = self._taint_index.get(taints)
        if found is None:
            found = self._taint_index[taints] = len(self.taint_sets)
            self.taint_sets.append(taints)
        return found

    def _image_set(self, node: Node) -> int:
        key = tuple((image.names, image.sizeBytes) for image in node.status.images)
        found = self._image_index.get(key)
        if found is None:
            found = self._image_index[key] = len(self.image_sets)
            self.image_sets.append({name: size for names, size in key for name in names})
        return found

    def _count_images(self, row: int, by: int) -> None:
        counts = self.image_nodes
        for name in self.image_sets[int(self.images[row])]:
            left = counts.get(name, 0) + by
            if left > 0:
                counts[name] = left
            else:
                counts.pop(name, None)

    def labels(self, key: str) -> LabelColumn:
        column = self._labels.get(key)
        if column is None:
            column = self._labels[key] = LabelColumn(self._capacity)
            for info in self.nodes:
                value = info.node.metadata.labels.get(key)
                if value is not None:
                    column.ids[info.row] = column.intern(value)
        return column

    # -- what has changed

    @property
    def position(self) -> int:
        """Of the present in the list of rows that pods came to or left."""
        return self._changes.position

    def changed_since(self, position: int) -> set[int] | None:
        """The rows; None = it is not remembered that far back."""
        rows = self._changes.since(position)
        return None if rows is None else set(rows)

    def _note_row(self, row: int) -> None:
        if self.trying:
            return
        self.touched[row] += 1
        self._changes.note(row)

    # -- pods

    def add_pod(self, info: PodInfo, node_name: str) -> None:
        """Count a pod on a node: bound, assumed, or tried out. A node that is not known yet gets it when it comes."""
        node = self.by_name.get(node_name)
        self.pods[info.uid] = info
        if node is None:
            self.orphans.setdefault(node_name, {})[info.uid] = info
            return
        info.node = node
        node.pods[info.uid] = info
        self._count(info, node, 1)

    def remove_pod(self, uid: str) -> PodInfo | None:
        info = self.pods.pop(uid, None)
        if info is None:
            return None
        node: NodeInfo | None = info.node
        if node is None:
            for name, pods in list(self.orphans.items()):
                if pods.pop(uid, None) is not None and not pods:
                    del self.orphans[name]
            return info
        del node.pods[uid]
        self._count(info, node, -1)
        info.node = None
        return info

    def _vector(self, info: PodInfo) -> list[tuple[int, int]]:
        vector: list[tuple[int, int]] | None = info.vector
        if vector is None:
            vector = info.vector = [(self.resource(n), a) for n, a in info.requests.items() if n != "pods"]
        return vector

    def complete(self) -> bool:
        """Whether every node has cpu and memory to give, as all real ones do: scores are simpler then."""
        if self._judged != self.generation:
            self._judged = self.generation
            self._complete = bool((self.allocatable[:2, : self.size] > 0).all())
        return self._complete

    def vector(self, info: PodInfo) -> list[tuple[int, int]]:
        """(column, amount) of what the pod asks for; pods themselves are not in it."""
        return self._vector(info)

    def _count(self, info: PodInfo, node: NodeInfo, sign: int) -> None:
        row = node.row
        self._note_row(row)
        for column, amount in self._vector(info):
            self.requested[column, row] += sign * amount
        self.requested[PODS, row] += sign
        cpu, memory = info.nonzero
        self.nonzero[0, row] += sign * cpu
        self.nonzero[1, row] += sign * memory
        for port in info.ports:
            _tally(node.ports, port, sign)
            _tally(self.ports, (port.protocol, port.port), sign)
        for claim in info.claims:
            _tally(node.claims, (info.namespace, claim), sign)
            _tally(self.claims, (info.namespace, claim), sign)
            names = self.claim_nodes.setdefault((info.namespace, claim), {})
            _tally(names, node.name, sign)
            if not names:
                del self.claim_nodes[info.namespace, claim]
        if info.has_affinity:
            self._note_affinity(info, node, sign)
        group = info.group
        if group is None:
            group = info.group = self._group(info)
        count = group.counts.get(node.name, 0) + sign
        if count:
            group.counts[node.name] = count
        else:
            del group.counts[node.name]
        generation = self.generation
        for counter in group.counters:
            counter.array[row] += sign
            for sums in counter.sums.values():
                sums.add(row, sign, generation)
        if sign < 0:
            info.group = None
        if not group.counts:
            if self._groups.pop(group.key, None) is not None:
                self._groups_by.pop(group.labels, group.key)
            group.counters.clear()

    def _note_affinity(self, info: PodInfo, node: NodeInfo, sign: int) -> None:
        for kind in TERM_KINDS:
            table = self.terms[kind]
            for term in getattr(info, kind):
                use = table.get(term)
                if use is None:
                    use = table[term] = TermUse()
                    self._terms_by[kind].put(term.selector, term, use)
                    self.terms_version += 1
                _tally(use.nodes, node.name, sign)
                if use.sums is not None:
                    use.sums.add(node.row, sign, self.generation)
                if not use.nodes:
                    del table[term]
                    self._terms_by[kind].pop(term.selector, term)
                    self.terms_version += 1

    def _group(self, info: PodInfo) -> Group:
        labels = info.labels
        key = (info.namespace, frozenset(labels.items()), info.terminating)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = Group(key, info.namespace, labels, info.terminating)
            self._groups_by.put(labels, key, group)
            group.counters = [c for _, c in self._counters_by.of(labels) if c.covers(group)]
        return group

    def groups(self) -> Iterable[Group]:
        return self._groups.values()

    def count(self, namespace: str, selector: Selector) -> Ids:
        """Per row, the pods of ``counter``."""
        return self.counter(namespace, selector).array[: self.size]

    def counter(self, namespace: str, selector: Selector) -> Counter:
        """Per row, the pods of a namespace that a selector selects and that are not terminating."""

        def covers(group: Group) -> bool:
            return group.namespace == namespace and not group.terminating and selector.matches(group.labels)

        return self._counter(("spread", namespace, selector), selector, covers)

    def count_terms(self, terms: tuple[Term, ...]) -> Counter:
        """Per row, the pods that all of the affinity terms select."""

        def covers(group: Group) -> bool:
            return all(self.term_selects(term, group.namespace, group.labels) for term in terms)

        by_labels = any(term.namespace_selector is not None for term in terms)
        return self._counter(
            ("term", tuple((t.selector, t.namespaces, t.namespace_selector) for t in terms), by_labels),
            terms[0].selector,
            covers,
        )

    def counts_by(self, counter: Counter, key: str) -> Ints:
        """The counter's pods per value of a label, see ``Sums``. Do not write to it."""
        sums = counter.sums.get(key)
        if sums is None or sums.generation != self.generation:
            column = self.labels(key)
            array = self.domains(column, counter.array[: self.size])
            sums = counter.sums[key] = Sums(array, column.ids, self.generation)
        return sums.array

    def uses_by(self, term: Term, use: TermUse) -> Ints:
        """The pods with the term per value of its topology key."""
        sums = use.sums
        if sums is None or sums.generation != self.generation:
            column = self.labels(term.topology_key)
            array = np.zeros(len(column.values) + 1, np.int64)
            for name, count in use.nodes.items():
                place = column.ids[self.by_name[name].row]
                if place >= 0:
                    array[place] += count
            sums = use.sums = Sums(array, column.ids, self.generation)
        return sums.array

    def uses(self, kind: str, info: PodInfo) -> list[tuple[Term, TermUse]]:
        """The terms of a kind, of pods on nodes, that select the pod."""
        table = self.terms[kind]
        if not table:
            return []
        kept = info.memo.get(kind)
        if kept is None or kept[0] != self.terms_version:
            own = info.labels
            may = self._terms_by[kind].of(own)
            found = [(t, use) for t, use in may if self.term_selects(t, info.namespace, own)]
            kept = info.memo[kind] = (self.terms_version, found)
        out: list[tuple[Term, TermUse]] = kept[1]
        return out

    def term_selects(self, term: Term, namespace: str, labels: Mapping[str, str]) -> bool:
        """Whether the term selects a pod of the namespace with these labels."""
        return term.selector.matches(labels) and term.covers(namespace, self.namespace_labels.get(namespace, {}))

    def domains(self, column: LabelColumn, counts: Ints | Ids, among: Mask | None = None) -> Ints:
        """Sums of ``counts`` per value of a label; one place more than values, for the nodes without it: 0."""
        shifted = column.ids[: self.size] + 1  # place 0 is for those without
        if among is not None:
            counts = counts * among
        sums = np.bincount(shifted, weights=counts, minlength=len(column.values) + 1)
        sums[0] = 0
        return np.concatenate((sums[1:], sums[:1])).astype(np.int64)

    def _counter(self, key: Any, selector: Selector, covers: Callable[[Group], bool]) -> Counter:
        """selector: selects all that it covers."""
        counter = self._counters.get(key)
        if counter is None:
            counter = Counter(selector, covers, self._capacity)
            for group in self._groups_by.of(selector):
                if covers(group):
                    group.counters.append(counter)
                    for name, count in group.counts.items():
                        counter.array[self.by_name[name].row] += count
            self._counters[key] = counter
            self._counters_by.put(selector, key, counter)
            if len(self._counters) > max(_COUNTERS, _COUNTERS_BYTES // (4 * self._capacity)):
                self._drop(next(iter(self._counters)))
        else:
            self._counters.move_to_end(key)
        return counter

    def _drop(self, key: Any) -> None:
        gone = self._counters.pop(key)
        gone.live = False
        self._counters_by.pop(gone.selector, key)
        for group in self._groups_by.of(gone.selector):
            if gone in group.counters:
                group.counters.remove(gone)

    def set_namespace(self, name: str, labels: Mapping[str, str] | None) -> None:
        """Counters that depend on namespaces' labels are made anew when these change."""
        if (labels or {}) == self.namespace_labels.get(name, {}):
            return
        self.terms_version += 1
        if labels is None:
            self.namespace_labels.pop(name, None)
        else:
            self.namespace_labels[name] = labels
        for key in [k for k in self._counters if k[0] == "term" and k[2]]:
            self._drop(key)

    # -- nominations

    def nominate(self, info: PodInfo, node_name: str) -> None:
        """A pod that waits for victims to leave a node counts there, for pods of lower or equal priority."""
        self.denominate(info.uid)
        if node_name:
            self.nominated.setdefault(node_name, {})[info.uid] = info
            self._nominee[info.uid] = node_name
            self.nominated_keep_off += bool(info.anti_affinity)
            self._note_nomination(node_name)

    def denominate(self, uid: str) -> None:
        name = self._nominee.pop(uid, None)
        if name is not None:
            pods = self.nominated[name]
            self.nominated_keep_off -= bool(pods.pop(uid).anti_affinity)
            if not pods:
                del self.nominated[name]
            self._note_nomination(name)

    def _note_nomination(self, name: str) -> None:
        node = self.by_name.get(name)
        if node is not None:
            self._note_row(node.row)

    def nominee(self, uid: str) -> str:
        return self._nominee.get(uid, "")


def _tally(table: dict[Any, int], key: Any, by: int) -> None:
    left = table.get(key, 0) + by
    if left:
        table[key] = left
    else:
        table.pop(key, None)


def same_for_scheduling(old: Node, new: Node) -> bool:
    """A heartbeat changes none of what the columns hold."""
    return (
        old.status.allocatable == new.status.allocatable
        and old.metadata.labels == new.metadata.labels
        and old.spec.taints == new.spec.taints
        and old.spec.unschedulable == new.spec.unschedulable
        and old.status.images == new.status.images
    )
