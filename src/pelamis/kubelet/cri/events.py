"""What the runtime reports by itself, so that nothing is polled.

Two sources on the same socket: CRI's ``GetContainerEvents`` (containerd from 1.7, CRI-O), and where that is missing
containerd's own event service, which tells of every task start, exit and OOM. The stream is opened again when it
breaks; each opening yields ``lost``, because nothing is replayed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Annotated, Any

from grpclib.client import Channel
from grpclib.const import Cardinality, Status
from grpclib.exceptions import GRPCError, StreamTerminatedError

from pelamis.kubelet.cri import types as cri
from pelamis.kubelet.cri.runtime import RuntimeEvent
from pelamis.kubelet.cri.wire import Message, decode

RETRY_S = 0.2
RETRY_MAX_S = 5.0


class SubscribeRequest(Message, frozen=True):
    filters: Annotated[tuple[str, ...], 1] = ()


class AnyValue(Message, frozen=True):
    type_url: Annotated[str, 1] = ""
    value: Annotated[bytes, 2] = b""


class Timestamp(Message, frozen=True):
    seconds: Annotated[int, 1] = 0
    nanos: Annotated[int, 2] = 0


class Envelope(Message, frozen=True):
    timestamp: Annotated[Timestamp | None, 1] = None
    namespace: Annotated[str, 2] = ""
    topic: Annotated[str, 3] = ""
    event: Annotated[AnyValue | None, 4] = None


class TaskStart(Message, frozen=True):
    container_id: Annotated[str, 1] = ""
    pid: Annotated[int, 2] = 0


class TaskOOM(Message, frozen=True):
    container_id: Annotated[str, 1] = ""


class TaskExit(Message, frozen=True):
    """``id`` equals ``container_id`` for the main process and differs for an exec."""

    container_id: Annotated[str, 1] = ""
    id: Annotated[str, 2] = ""
    pid: Annotated[int, 3] = 0
    exit_status: Annotated[int, 4] = 0
    exited_at: Annotated[Timestamp | None, 5] = None


_CRI_TYPES: tuple[Any, ...] = ("created", "started", "exited", "deleted")


def from_envelope(envelope: Envelope) -> RuntimeEvent | None:
    if envelope.event is None:
        return None
    if envelope.topic == "/tasks/exit":
        exit_ = decode(envelope.event.value, TaskExit)
        return RuntimeEvent("exited", exit_.container_id) if exit_.id in ("", exit_.container_id) else None
    if envelope.topic == "/tasks/start":
        return RuntimeEvent("started", decode(envelope.event.value, TaskStart).container_id)
    if envelope.topic == "/tasks/oom":
        return RuntimeEvent("oom", decode(envelope.event.value, TaskOOM).container_id)
    return None


async def _from_cri(channel: Channel) -> AsyncIterator[RuntimeEvent]:
    async with channel.request(
        "/runtime.v1.RuntimeService/GetContainerEvents",
        Cardinality.UNARY_STREAM,
        cri.GetEventsRequest,
        cri.ContainerEventResponse,
    ) as stream:
        await stream.send_message(cri.GetEventsRequest(), end=True)
        await stream.recv_initial_metadata()
        yield RuntimeEvent("lost", "")
        async for event in stream:
            yield RuntimeEvent(_CRI_TYPES[event.container_event_type & 3], event.container_id)


async def _from_containerd(channel: Channel) -> AsyncIterator[RuntimeEvent]:
    async with channel.request(
        "/containerd.services.events.v1.Events/Subscribe", Cardinality.UNARY_STREAM, SubscribeRequest, Envelope
    ) as stream:
        filters = tuple(f'namespace==k8s.io,topic=="/tasks/{name}"' for name in ("start", "exit", "oom"))
        await stream.send_message(SubscribeRequest(filters=filters), end=True)
        # containerd sends no header before the first event, so the subscription cannot be awaited; it is in force
        # within the time of the listing that "lost" causes, and the slow relist covers the rest.
        yield RuntimeEvent("lost", "")
        async for envelope in stream:
            event = from_envelope(envelope)
            if event is not None:
                yield event


async def subscribe(channel: Callable[[], Channel]) -> AsyncIterator[RuntimeEvent]:
    source = _from_containerd
    delay = RETRY_S
    known = False
    while True:
        try:
            async with aclosing(source(channel())) as stream:  # type: ignore[type-var]
                async for event in stream:
                    delay, known = RETRY_S, True
                    yield event
        except GRPCError as error:
            if error.status is Status.UNIMPLEMENTED:
                source = _from_cri if source is _from_containerd else _from_containerd
                if not known:
                    continue
        except (StreamTerminatedError, OSError):
            pass
        await asyncio.sleep(delay)
        delay = min(delay * 2, RETRY_MAX_S)
