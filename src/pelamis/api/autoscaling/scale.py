"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.field import F, Int32, Struct, always
from pelamis.api.meta import ObjectMeta


class ScaleSpec(Struct, frozen=True):
    replicas: Annotated[Int32, F(1, default=0, shown=True)] = 0


class ScaleStatus(Struct, frozen=True):
    replicas: Annotated[Int32, F(1, required=True)] = always(int)
    selector: Annotated[str, F(2)] = ""


class Scale(Struct, frozen=True):
    kind: str = always(lambda: "Scale")
    apiVersion: str = always(lambda: "autoscaling/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[ScaleSpec, F(2)] = always(ScaleSpec)
    status: Annotated[ScaleStatus, F(3)] = always(ScaleStatus)
