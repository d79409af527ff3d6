"""SubjectAccessReview: asks whether somebody may do something; never stored."""

from __future__ import annotations

from typing import Annotated

from pelamis.api.authorization.attributes import (
    SubjectAccessReviewSpec,
    SubjectAccessReviewStatus,
    validate_bare_metadata,
    validate_subject,
)
from pelamis.api.check import Errors
from pelamis.api.field import F, Struct, always
from pelamis.api.kind import Kind
from pelamis.api.meta import ObjectMeta


class SubjectAccessReview(Struct, frozen=True):
    """Asks whether somebody may do something; never stored."""

    kind: str = always(lambda: "SubjectAccessReview")
    apiVersion: str = always(lambda: "authorization.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[SubjectAccessReviewSpec, F(2, required=True)] = always(SubjectAccessReviewSpec)
    status: Annotated[SubjectAccessReviewStatus, F(3)] = always(SubjectAccessReviewStatus)


def validate(obj: SubjectAccessReview) -> Errors:
    errors = validate_subject(obj.spec, "spec")
    return errors + validate_bare_metadata(obj.metadata)


KIND = Kind(
    group="authorization.k8s.io",
    version="v1",
    type=SubjectAccessReview,
    plural="subjectaccessreviews",
    singular="subjectaccessreview",
    namespaced=False,
    verbs=("create",),
    validate=validate,
)
