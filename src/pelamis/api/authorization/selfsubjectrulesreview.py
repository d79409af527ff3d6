"""SelfSubjectRulesReview: lists what the caller may do in a namespace; never stored.

A missing namespace is refused with 400 by the server, not by validation.
"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.field import F, Struct, always
from pelamis.api.kind import Kind
from pelamis.api.meta import ObjectMeta


class SelfSubjectRulesReviewSpec(Struct, frozen=True):
    namespace: Annotated[str, F(1)] = ""


class ResourceRule(Struct, frozen=True):
    verbs: Annotated[tuple[str, ...], F(1, list="atomic", required=True)] = always(tuple)
    apiGroups: Annotated[tuple[str, ...], F(2, list="atomic")] = ()
    resources: Annotated[tuple[str, ...], F(3, list="atomic")] = ()
    resourceNames: Annotated[tuple[str, ...], F(4, list="atomic")] = ()


class NonResourceRule(Struct, frozen=True):
    verbs: Annotated[tuple[str, ...], F(1, list="atomic", required=True)] = always(tuple)
    nonResourceURLs: Annotated[tuple[str, ...], F(2, list="atomic")] = ()


class SubjectRulesReviewStatus(Struct, frozen=True):
    resourceRules: Annotated[tuple[ResourceRule, ...], F(1, list="atomic", required=True)] = always(tuple)
    nonResourceRules: Annotated[tuple[NonResourceRule, ...], F(2, list="atomic", required=True)] = always(tuple)
    incomplete: Annotated[bool, F(3, required=True)] = always(bool)
    evaluationError: Annotated[str, F(4)] = ""


class SelfSubjectRulesReview(Struct, frozen=True):
    """Lists what the caller may do in a namespace; never stored."""

    kind: str = always(lambda: "SelfSubjectRulesReview")
    apiVersion: str = always(lambda: "authorization.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[SelfSubjectRulesReviewSpec, F(2, required=True)] = always(SelfSubjectRulesReviewSpec)
    status: Annotated[SubjectRulesReviewStatus, F(3)] = always(SubjectRulesReviewStatus)


KIND = Kind(
    group="authorization.k8s.io",
    version="v1",
    type=SelfSubjectRulesReview,
    plural="selfsubjectrulesreviews",
    singular="selfsubjectrulesreview",
    namespaced=False,
    verbs=("create",),
)
