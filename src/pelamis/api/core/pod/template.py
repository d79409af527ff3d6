"""The pod template that workload kinds hold: metadata and spec of the pods they make."""

from __future__ import annotations

from typing import Annotated

from pelamis.api.core.pod.spec import PodSpec
from pelamis.api.field import F, Struct, always
from pelamis.api.meta import ObjectMeta


class PodTemplateSpec(Struct, frozen=True):
    """The pods that a workload makes."""

    metadata: Annotated[ObjectMeta, F(1, "Labels and annotations of the pods.")] = always(ObjectMeta)
    spec: Annotated[PodSpec, F(2, "What the pods run.")] = always(PodSpec)
