"""TokenReview: asks whom a bearer token stands for; never stored.

An empty token is refused with 400 by the server, not by validation.
"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.authentication.userinfo import UserInfo
from pelamis.api.field import F, Struct, always
from pelamis.api.kind import Kind
from pelamis.api.meta import ObjectMeta


class TokenReviewSpec(Struct, frozen=True):
    token: Annotated[str, F(1, "The token.", required=True)] = ""
    audiences: Annotated[
        tuple[str, ...], F(2, "Whom it should be meant for; unset means this server.", list="atomic")
    ] = ()


class TokenReviewStatus(Struct, frozen=True):
    authenticated: Annotated[bool, F(1, "Whether it is valid.")] = False
    user: Annotated[UserInfo, F(2, "Whom it stands for.")] = always(UserInfo)
    audiences: Annotated[tuple[str, ...], F(4, "For whom of those asked it is meant.", list="atomic")] = ()
    error: Annotated[str, F(3, "Why it could not be checked.")] = ""


class TokenReview(Struct, frozen=True):
    """Asks whom a bearer token stands for; never stored."""

    kind: str = always(lambda: "TokenReview")
    apiVersion: str = always(lambda: "authentication.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[TokenReviewSpec, F(2, required=True)] = always(TokenReviewSpec)
    status: Annotated[TokenReviewStatus, F(3)] = always(TokenReviewStatus)


KIND = Kind(
    group="authentication.k8s.io",
    version="v1",
    type=TokenReview,
    plural="tokenreviews",
    singular="tokenreview",
    namespaced=False,
    verbs=("create",),
)
