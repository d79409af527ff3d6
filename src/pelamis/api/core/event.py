"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.core.reference import ObjectReference
from pelamis.api.field import F, Int32, MicroTime, Struct, Time, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta


class EventSource(Struct, frozen=True):
    component: Annotated[str, F(1)] = ""
    host: Annotated[str, F(2)] = ""


class EventSeries(Struct, frozen=True):
    count: Annotated[Int32, F(1)] = 0
    lastObservedTime: Annotated[MicroTime, F(2)] = ""


class Event(Struct, frozen=True):
    kind: str = always(lambda: "Event")
    apiVersion: str = always(lambda: "v1")
    metadata: Annotated[ObjectMeta, F(1, required=True)] = always(ObjectMeta)
    involvedObject: Annotated[ObjectReference, F(2, required=True)] = always(ObjectReference)
    reason: Annotated[str, F(3)] = ""
    message: Annotated[str, F(4)] = ""
    source: Annotated[EventSource, F(5)] = always(EventSource)
    firstTimestamp: Annotated[Time, F(6)] = ""
    lastTimestamp: Annotated[Time, F(7)] = ""
    count: Annotated[Int32, F(8)] = 0
    type: Annotated[str, F(9)] = ""
    eventTime: Annotated[MicroTime, F(10)] = ""
    series: Annotated[EventSeries | None, F(11)] = None
    action: Annotated[str, F(12)] = ""
    related: Annotated[ObjectReference | None, F(13)] = None
    reportingComponent: Annotated[str, F(14)] = always(str)
    reportingInstance: Annotated[str, F(15)] = always(str)


KIND = Kind(
    group="",
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
    # selectable: involvedObject.kind, involvedObject.namespace, involvedObject.name, involvedObject.uid, involvedObject.apiVersion, involvedObject.resourceVersion, involvedObject.fieldPath, reason, reportingComponent, source, type
    storage_hash="r2yiGXH7wu8=",
)
