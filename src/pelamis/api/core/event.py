"""Event: something happened to an object. Kept for an hour; ``events.k8s.io/v1`` serves the same objects."""

from __future__ import annotations

from typing import Annotated, Any

from pelamis.api.core.reference import ObjectReference
from pelamis.api.field import F, Int32, MicroTime, Struct, Time, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta
from pelamis.api.table import age
from pelamis.base import names
from pelamis.base.errors import FieldError, invalid, required


class EventSource(Struct, frozen=True):
    """Who reports, in the older form."""

    component: Annotated[str, F(1, "Component.")] = ""
    host: Annotated[str, F(2, "Node.")] = ""


class EventSeries(Struct, frozen=True):
    """Repetitions."""

    count: Annotated[Int32, F(1, "How often so far.")] = 0
    lastObservedTime: Annotated[MicroTime, F(2, "When last.")] = ""


class Event(Struct, frozen=True):
    """Something happened to an object."""

    kind: str = always(lambda: "Event")
    apiVersion: str = always(lambda: "v1")
    metadata: Annotated[ObjectMeta, F(1, "Name, labels and other metadata.", required=True)] = always(ObjectMeta)
    involvedObject: Annotated[ObjectReference, F(2, "The object.", required=True)] = always(ObjectReference)
    reason: Annotated[str, F(3, "One word in CamelCase.")] = ""
    message: Annotated[str, F(4, "Text for people, at most 1024 characters.")] = ""
    source: Annotated[EventSource, F(5, "Who reports, in the older form.")] = always(EventSource)
    firstTimestamp: Annotated[Time, F(6, "When it first happened, in the older form.")] = ""
    lastTimestamp: Annotated[Time, F(7, "When it last happened, in the older form.")] = ""
    count: Annotated[Int32, F(8, "How often, in the older form.")] = 0
    type: Annotated[str, F(9, "Normal or Warning.")] = ""
    eventTime: Annotated[MicroTime, F(10, "When it first happened.")] = ""
    series: Annotated[EventSeries | None, F(11, "Repetitions; null: it happened once.")] = None
    action: Annotated[str, F(12, "What was done or failed.")] = ""
    related: Annotated[ObjectReference | None, F(13, "A second object.")] = None
    reportingComponent: Annotated[str, F(14, "Who reports, such as kubernetes.io/kubelet.")] = always(str)
    reportingInstance: Annotated[str, F(15, "Which instance of it.")] = always(str)


_MISMATCH = "does not match event.namespace"


def validate(obj: Event) -> list[FieldError]:
    return validate_as("reportingComponent", obj, obj.involvedObject.namespace, obj.reportingComponent, obj.message)


def validate_as(shown: str, obj: Any, about: str, reporter: str, text: str) -> list[FieldError]:
    """Only events of the newer form, which have an eventTime, must be complete. ``shown``: the reporter's field.

    ``obj``: also one of events.k8s.io, which has other names for what is passed by itself.
    """
    errors: list[FieldError] = []
    namespace = obj.metadata.namespace
    if not obj.eventTime:
        allowed = (about,) if about else ("", "default")
        if namespace not in allowed:
            errors.append(invalid("involvedObject.namespace", about, _MISMATCH))
    else:
        if not about and namespace not in ("default", "kube-system"):
            errors.append(invalid("involvedObject.namespace", about, _MISMATCH))
        if not reporter:
            errors.append(required(shown))
        errors.extend(invalid(shown, reporter, m) for m in names.is_qualified_name(reporter))
        for name in ("reportingInstance", "action", "reason"):
            value = getattr(obj, name)
            if not value:
                errors.append(required(name))
            if len(value) > 128:
                errors.append(invalid(name, "", "can have at most 128 characters"))
        if len(text.encode()) > 1024:
            errors.append(invalid("message", "", "can have at most 1024 characters"))
    errors.extend(invalid("namespace", namespace, m) for m in names.is_dns1123_subdomain(namespace))
    return errors


def validate_update(obj: Event, old: Event) -> list[FieldError]:
    return validate(obj)


def format_source(component: str, host: str) -> str:
    return f"{component}, {host}" if host else component


def cells(obj: Event, now: float) -> tuple[Any, ...]:
    first = age(obj.firstTimestamp or obj.eventTime, now)
    last = age(obj.lastTimestamp, now) if obj.lastTimestamp else first
    count = obj.count or 1
    if obj.series is not None:
        last, count = age(obj.series.lastObservedTime, now), obj.series.count
    about = obj.involvedObject
    kind = about.kind.lower()
    return (
        last,
        obj.type,
        obj.reason,
        f"{kind}/{about.name}" if about.name else kind,
        about.fieldPath,
        format_source(obj.source.component or obj.reportingComponent, obj.source.host or obj.reportingInstance),
        obj.message.strip(),
        first,
        count,
        obj.metadata.name,
    )


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
    storage_hash="r2yiGXH7wu8=",
    cells=cells,
    validate=validate,
    validate_name=names.is_path_segment,
    validate_update=validate_update,
    selectable={
        "involvedObject.kind": lambda event: event.involvedObject.kind,
        "involvedObject.namespace": lambda event: event.involvedObject.namespace,
        "involvedObject.name": lambda event: event.involvedObject.name,
        "involvedObject.uid": lambda event: event.involvedObject.uid,
        "involvedObject.apiVersion": lambda event: event.involvedObject.apiVersion,
        "involvedObject.resourceVersion": lambda event: event.involvedObject.resourceVersion,
        "involvedObject.fieldPath": lambda event: event.involvedObject.fieldPath,
        "reason": lambda event: event.reason,
        "reportingComponent": lambda event: event.reportingComponent,
        "source": lambda event: event.source.component or event.reportingComponent,
        "type": lambda event: event.type,
    },
)
