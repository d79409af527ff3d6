"""SelfSubjectRulesReview: lists what the caller may do in a namespace; never stored.

A missing namespace is refused with 400 by the server, not by validation.
"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.field import F, Struct, always
from pelamis.api.kind import Kind
from pelamis.api.meta import ObjectMeta


class SelfSubjectRulesReviewSpec(Struct, frozen=True):
    namespace: Annotated[str, F(1, "Where; required.")] = ""


class ResourceRule(Struct, frozen=True):
    verbs: Annotated[tuple[str, ...], F(1, "Verbs, such as get or list; * for all.", list="atomic", required=True)] = (
        always(tuple)
    )
    apiGroups: Annotated[tuple[str, ...], F(2, "API groups; * for all.", list="atomic")] = ()
    resources: Annotated[
        tuple[str, ...],
        F(
            3,
            "Resources, pods/log for a subresource; * for all resources, */* for all subresources too.",
            list="atomic",
        ),
    ] = ()
    resourceNames: Annotated[
        tuple[str, ...], F(4, "Only objects with these names; empty means all.", list="atomic")
    ] = ()


class NonResourceRule(Struct, frozen=True):
    verbs: Annotated[tuple[str, ...], F(1, "Verbs, such as get or list; * for all.", list="atomic", required=True)] = (
        always(tuple)
    )
    nonResourceURLs: Annotated[tuple[str, ...], F(2, "URL paths; a trailing * matches the rest.", list="atomic")] = ()


class SubjectRulesReviewStatus(Struct, frozen=True):
    resourceRules: Annotated[
        tuple[ResourceRule, ...], F(1, "What may be done to resources, in no order.", list="atomic", required=True)
    ] = always(tuple)
    nonResourceRules: Annotated[
        tuple[NonResourceRule, ...], F(2, "What may be done to URL paths.", list="atomic", required=True)
    ] = always(tuple)
    incomplete: Annotated[bool, F(3, "Whether there may be more than is listed.", required=True)] = always(bool)
    evaluationError: Annotated[str, F(4, "What went wrong on the way; a decision can stand in spite of it.")] = ""


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
