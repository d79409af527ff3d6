"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.field import F, Struct, always
from pelamis.api.meta import FieldSelectorRequirement, LabelSelectorRequirement


class FieldSelectorAttributes(Struct, frozen=True):
    rawSelector: Annotated[str, F(1)] = ""
    requirements: Annotated[tuple[FieldSelectorRequirement, ...], F(2, list="atomic")] = ()


class LabelSelectorAttributes(Struct, frozen=True):
    rawSelector: Annotated[str, F(1)] = ""
    requirements: Annotated[tuple[LabelSelectorRequirement, ...], F(2, list="atomic")] = ()


class ResourceAttributes(Struct, frozen=True):
    namespace: Annotated[str, F(1)] = ""
    verb: Annotated[str, F(2)] = ""
    group: Annotated[str, F(3)] = ""
    version: Annotated[str, F(4)] = ""
    resource: Annotated[str, F(5)] = ""
    subresource: Annotated[str, F(6)] = ""
    name: Annotated[str, F(7)] = ""
    fieldSelector: Annotated[FieldSelectorAttributes | None, F(8)] = None
    labelSelector: Annotated[LabelSelectorAttributes | None, F(9)] = None


class NonResourceAttributes(Struct, frozen=True):
    path: Annotated[str, F(1)] = ""
    verb: Annotated[str, F(2)] = ""


class SubjectAccessReviewSpec(Struct, frozen=True):
    resourceAttributes: Annotated[ResourceAttributes | None, F(1)] = None
    nonResourceAttributes: Annotated[NonResourceAttributes | None, F(2)] = None
    user: Annotated[str, F(3)] = ""
    groups: Annotated[tuple[str, ...], F(4, list="atomic")] = ()
    extra: Annotated[dict[str, tuple[str, ...]], F(5)] = {}
    uid: Annotated[str, F(6)] = ""


class SubjectAccessReviewStatus(Struct, frozen=True):
    allowed: Annotated[bool, F(1, required=True)] = always(bool)
    denied: Annotated[bool, F(4)] = False
    reason: Annotated[str, F(2)] = ""
    evaluationError: Annotated[str, F(3)] = ""
