"""The Pod object. Its behaviour is in the modules beside this one; ``kind`` ties them together."""

from __future__ import annotations

from typing import Annotated

from pelamis.api.core.pod.spec import PodSpec
from pelamis.api.core.pod.status import PodStatus
from pelamis.api.field import F, Struct, always
from pelamis.api.meta import ObjectMeta


class Pod(Struct, frozen=True):
    """A group of containers that run together on one node and share its network address and volumes."""

    kind: str = always(lambda: "Pod")
    apiVersion: str = always(lambda: "v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[PodSpec, F(2, "What should run.")] = always(PodSpec)
    status: Annotated[PodStatus, F(3, "What was last seen; set by the system.")] = always(PodStatus)
