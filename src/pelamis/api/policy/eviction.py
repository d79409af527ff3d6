"""Eviction: the body of a pod's ``eviction`` subresource, a delete that PodDisruptionBudgets may refuse."""

from __future__ import annotations

from typing import Annotated

from pelamis.api.field import F, Struct, always
from pelamis.api.meta import DeleteOptions, ObjectMeta


class Eviction(Struct, frozen=True):
    """The body of a pod's ``eviction`` subresource, a delete that PodDisruptionBudgets may refuse."""

    kind: str = always(lambda: "Eviction")
    apiVersion: str = always(lambda: "policy/v1")
    metadata: Annotated[ObjectMeta, F(1, "Standard object metadata.")] = always(ObjectMeta)
    deleteOptions: Annotated[DeleteOptions | None, F(2, "Options of the delete.")] = None
