"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.core.event import EventSource
from pelamis.api.core.reference import ObjectReference
from pelamis.api.field import F, Int32, MicroTime, Struct, Time, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta


class EventSeries(Struct, frozen=True):
    count: Annotated[Int32, F(1, required=True)] = always(int)
    lastObservedTime: Annotated[MicroTime, F(2, required=True)] = ""


class Event(Struct, frozen=True):
    kind: str = always(lambda: "Event")
    apiVersion: str = always(lambda: "events.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    eventTime: Annotated[MicroTime, F(2, required=True)] = ""
    series: Annotated[EventSeries | None, F(3)] = None
    reportingController: Annotated[str, F(4)] = ""
    reportingInstance: Annotated[str, F(5)] = ""
    action: Annotated[str, F(6)] = ""
    reason: Annotated[str, F(7)] = ""
    regarding: Annotated[ObjectReference, F(8)] = always(ObjectReference)
    related: Annotated[ObjectReference | None, F(9)] = None
    note: Annotated[str, F(10)] = ""
    type: Annotated[str, F(11)] = ""
    deprecatedSource: Annotated[EventSource, F(12)] = always(EventSource)
    deprecatedFirstTimestamp: Annotated[Time, F(13)] = ""
    deprecatedLastTimestamp: Annotated[Time, F(14)] = ""
    deprecatedCount: Annotated[Int32, F(15)] = 0


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
    # selectable: regarding.kind, regarding.namespace, regarding.name, regarding.uid, regarding.apiVersion, regarding.resourceVersion, regarding.fieldPath, reason, reportingController, type
    storage_hash="r2yiGXH7wu8=",
)
