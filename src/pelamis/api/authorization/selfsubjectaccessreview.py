"""SelfSubjectAccessReview: asks whether the caller may do something; never stored."""

from __future__ import annotations

from typing import Annotated

from pelamis.api.authorization.attributes import (
    NonResourceAttributes,
    ResourceAttributes,
    SubjectAccessReviewStatus,
    validate_bare_metadata,
    validate_target,
)
from pelamis.api.check import Errors
from pelamis.api.field import F, Struct, always
from pelamis.api.kind import Kind
from pelamis.api.meta import ObjectMeta


class SelfSubjectAccessReviewSpec(Struct, frozen=True):
    resourceAttributes: Annotated[
        ResourceAttributes | None, F(1, "Access to a resource; excludes nonResourceAttributes.")
    ] = None
    nonResourceAttributes: Annotated[NonResourceAttributes | None, F(2, "Access to a URL path.")] = None


class SelfSubjectAccessReview(Struct, frozen=True):
    """Asks whether the caller may do something; never stored."""

    kind: str = always(lambda: "SelfSubjectAccessReview")
    apiVersion: str = always(lambda: "authorization.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[SelfSubjectAccessReviewSpec, F(2, required=True)] = always(SelfSubjectAccessReviewSpec)
    status: Annotated[SubjectAccessReviewStatus, F(3)] = always(SubjectAccessReviewStatus)


def validate(obj: SelfSubjectAccessReview) -> Errors:
    errors = validate_target(obj.spec, "spec")
    return errors + validate_bare_metadata(obj.metadata)


KIND = Kind(
    group="authorization.k8s.io",
    version="v1",
    type=SelfSubjectAccessReview,
    plural="selfsubjectaccessreviews",
    singular="selfsubjectaccessreview",
    namespaced=False,
    verbs=("create",),
    validate=validate,
)
