"""Event of events.k8s.io: the newer view of the core Event, of which it is a conversion; both share one storage.

The renamed fields: regarding = involvedObject, note = message, reportingController = reportingComponent, and the
``deprecated*`` ones hold what the core Event calls source, firstTimestamp, lastTimestamp and count.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pelamis.api.check import Errors, check_text
from pelamis.api.core.event import KIND as CORE_EVENT
from pelamis.api.core.event import EventSource, validate_as
from pelamis.api.core.reference import ObjectReference
from pelamis.api.field import F, Int32, MicroTime, Struct, Time, Tree, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta
from pelamis.api.table import age
from pelamis.base import names
from pelamis.base.errors import invalid, required


class EventSeries(Struct, frozen=True):
    count: Annotated[Int32, F(1, "How often so far.", required=True)] = always(int)
    lastObservedTime: Annotated[MicroTime, F(2, "When it was last seen.", required=True)] = ""


class Event(Struct, frozen=True):
    """The newer view of the core Event, of which it is a conversion; both share one storage."""

    kind: str = always(lambda: "Event")
    apiVersion: str = always(lambda: "events.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    eventTime: Annotated[MicroTime, F(2, "When it was first seen.", required=True)] = ""
    series: Annotated[EventSeries | None, F(3, "How often since, if more than once.")] = None
    reportingController: Annotated[str, F(4, "Who reports, such as kubernetes.io/kubelet.")] = ""
    reportingInstance: Annotated[str, F(5, "Which instance of it.")] = ""
    action: Annotated[str, F(6, "What was done or failed; CamelCase.")] = ""
    reason: Annotated[str, F(7, "Why; CamelCase.")] = ""
    regarding: Annotated[ObjectReference, F(8, "The object that it is about.")] = always(ObjectReference)
    related: Annotated[ObjectReference | None, F(9, "A second object that takes part.")] = None
    note: Annotated[str, F(10, "The text for people; at most 1 KiB.")] = ""
    type: Annotated[str, F(11, "Normal or Warning.")] = ""
    deprecatedSource: Annotated[EventSource, F(12, "source of the core version.")] = always(EventSource)
    deprecatedFirstTimestamp: Annotated[Time, F(13, "firstTimestamp of the core version.")] = ""
    deprecatedLastTimestamp: Annotated[Time, F(14, "lastTimestamp of the core version.")] = ""
    deprecatedCount: Annotated[Int32, F(15, "count of the core version.")] = 0


_RENAMED = (
    ("regarding", "involvedObject"),
    ("note", "message"),
    ("reportingController", "reportingComponent"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
)


_OLD = (
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
)


def to_hub(tree: Tree) -> None:
    """Into a core Event."""
    for mine, theirs in _RENAMED:
        if mine in tree:
            tree[theirs] = tree.pop(mine)
    tree.setdefault("involvedObject", {})
    tree.setdefault("reportingComponent", "")
    tree.setdefault("reportingInstance", "")


def from_hub(tree: Tree) -> None:
    """From a core Event."""
    for mine, theirs in _RENAMED:
        if theirs in tree:
            tree[mine] = tree.pop(theirs)
    for name in ("reportingController", "reportingInstance"):
        if tree.get(name) == "":
            del tree[name]


def _as_core(obj: Event) -> Errors:
    """What a core Event is held to as well."""
    return validate_as("reportingController", obj, obj.regarding.namespace, obj.reportingController, obj.note)


def _validate_series(obj: Event) -> Errors:
    errors: Errors = []
    if obj.series is not None:
        if obj.series.count < 2:
            errors.append(invalid("series.count", "", "should be at least 2"))
        if not obj.series.lastObservedTime:
            errors.append(required("series.lastObservedTime"))
    return errors


def validate(obj: Event) -> Errors:
    """On create."""
    errors = _as_core(obj)
    if obj.metadata.name:
        errors += check_text(names.is_dns1123_subdomain, obj.metadata.name, "metadata.name")
    errors += _validate_series(obj)
    if not obj.eventTime:
        errors.append(required("eventTime"))
    if obj.type not in ("Normal", "Warning"):
        errors.append(invalid("type", "", f"has invalid value: {obj.type}"))
    for name, shown in _OLD:
        if getattr(obj, name):
            errors.append(invalid(shown, "", "needs to be unset"))
    source = obj.deprecatedSource
    return [*errors, invalid("source", "", "needs to be unset")] if source.component or source.host else errors


def validate_update(obj: Event, old: Event) -> Errors:
    """Everything but the series may not change."""
    errors = _as_core(obj)
    if obj.series != old.series:
        errors += _validate_series(obj)
    for name in (
        "regarding",
        "reason",
        "note",
        "deprecatedSource",
        "deprecatedFirstTimestamp",
        "deprecatedLastTimestamp",
        "deprecatedCount",
        "type",
        "eventTime",
        "action",
        "related",
        "reportingController",
        "reportingInstance",
    ):
        if getattr(obj, name) != getattr(old, name):
            shown = name if name == "reportingController" else dict(_RENAMED).get(name, name)
            errors.append(invalid(shown, getattr(obj, name), "field is immutable"))
    return errors


def cells(obj: Event, now: float) -> Sequence[Any]:
    first = age(obj.deprecatedFirstTimestamp or obj.eventTime, now)
    last, count = first, obj.deprecatedCount
    if obj.deprecatedLastTimestamp:
        last = age(obj.deprecatedLastTimestamp, now)
    if obj.series is not None:
        last, count = age(obj.series.lastObservedTime, now), obj.series.count
    target = obj.regarding.kind.lower()
    source = obj.deprecatedSource.component or obj.reportingController
    host = obj.deprecatedSource.host or obj.reportingInstance
    return (
        last,
        obj.type,
        obj.reason,
        f"{target}/{obj.regarding.name}" if obj.regarding.name else target,
        obj.regarding.fieldPath,
        f"{source}, {host}" if host else source,
        obj.note.strip(),
        first,
        count or 1,
        obj.metadata.name,
    )


def _of_regarding(name: str) -> Any:
    return lambda obj: getattr(obj.regarding, name)


KIND = Kind(
    group="events.k8s.io",
    version="v1",
    type=Event,
    plural="events",
    singular="event",
    short_names=("ev",),
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    create_on_update=True,
    columns=(
        Column("Last Seen", "string"),
        Column("Type", "string"),
        Column("Reason", "string"),
        Column("Object", "string"),
        Column("Subobject", "string", priority=1),
        Column("Source", "string", priority=1),
        Column("Message", "string"),
        Column("First Seen", "string", priority=1),
        Column("Count", "string", priority=1),
        Column("Name", "string", format="name", priority=1),
    ),
    storage_hash="r2yiGXH7wu8=",
    cells=cells,
    validate=validate,
    validate_update=validate_update,
    validate_name=names.is_path_segment,
    selectable={
        **{
            f"regarding.{name}": _of_regarding(name)
            for name in ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
        },
        "reason": lambda obj: obj.reason,
        "reportingController": lambda obj: obj.deprecatedSource.component or obj.reportingController,
        "type": lambda obj: obj.type,
    },
    hub=CORE_EVENT,
    own_rules=True,
    to_hub=to_hub,
    from_hub=from_hub,
)
