"""LocalSubjectAccessReview: asks whether somebody may do something in one namespace; never stored."""

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
from pelamis.base.errors import invalid


class LocalSubjectAccessReview(Struct, frozen=True):
    """Asks whether somebody may do something in one namespace; never stored."""

    kind: str = always(lambda: "LocalSubjectAccessReview")
    apiVersion: str = always(lambda: "authorization.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[SubjectAccessReviewSpec, F(2, required=True)] = always(SubjectAccessReviewSpec)
    status: Annotated[SubjectAccessReviewStatus, F(3)] = always(SubjectAccessReviewStatus)


def validate(obj: LocalSubjectAccessReview) -> Errors:
    errors = validate_subject(obj.spec, "spec")
    errors += validate_bare_metadata(obj.metadata, keep=("namespace",))
    resource = obj.spec.resourceAttributes
    if resource is not None and resource.namespace != obj.metadata.namespace:
        detail = "must match metadata.namespace"
        errors.append(invalid("spec.resourceAttributes.namespace", resource.namespace, detail))
    if obj.spec.nonResourceAttributes is not None:
        errors.append(
            invalid("spec.nonResourceAttributes", obj.spec.nonResourceAttributes, "disallowed on this kind of request")
        )
    return errors


KIND = Kind(
    group="authorization.k8s.io",
    version="v1",
    type=LocalSubjectAccessReview,
    plural="localsubjectaccessreviews",
    singular="localsubjectaccessreview",
    namespaced=True,
    verbs=("create",),
    validate=validate,
)
