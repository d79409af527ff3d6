"""SelfSubjectReview: asks who the caller is; never stored."""

from __future__ import annotations

from typing import Annotated

from pelamis.api.authentication.userinfo import UserInfo
from pelamis.api.field import F, Struct, always
from pelamis.api.kind import Kind
from pelamis.api.meta import ObjectMeta


class SelfSubjectReviewStatus(Struct, frozen=True):
    userInfo: Annotated[UserInfo, F(1, "Who makes the request.")] = always(UserInfo)


class SelfSubjectReview(Struct, frozen=True):
    """Asks who the caller is; never stored."""

    kind: str = always(lambda: "SelfSubjectReview")
    apiVersion: str = always(lambda: "authentication.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    status: Annotated[SelfSubjectReviewStatus, F(2)] = always(SelfSubjectReviewStatus)


KIND = Kind(
    group="authentication.k8s.io",
    version="v1",
    type=SelfSubjectReview,
    plural="selfsubjectreviews",
    singular="selfsubjectreview",
    namespaced=False,
    verbs=("create",),
)
