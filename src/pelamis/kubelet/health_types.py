"""Messages of the gRPC health checking protocol, v1."""

from __future__ import annotations

from typing import Annotated

from pelamis.kubelet.cri.wire import Message


class HealthCheckRequest(Message, frozen=True):
    service: Annotated[str, 1] = ""


class HealthCheckResponse(Message, frozen=True):
    """status: 0 unknown, 1 serving, 2 not serving, 3 service unknown."""

    status: Annotated[int, 1] = 0
