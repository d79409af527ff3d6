"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.field import F, Int32, Struct, always


class ServiceReference(Struct, frozen=True):
    namespace: Annotated[str, F(1, required=True)] = always(str)
    name: Annotated[str, F(2, required=True)] = always(str)
    path: Annotated[str | None, F(3)] = None
    port: Annotated[Int32 | None, F(4, default=443)] = None


class WebhookClientConfig(Struct, frozen=True):
    url: Annotated[str | None, F(3)] = None
    service: Annotated[ServiceReference | None, F(1)] = None
    caBundle: Annotated[bytes, F(2)] = b""
