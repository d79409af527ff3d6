"""TokenRequest: the body of a service account's ``token`` subresource, asks for a bound token; never stored."""

from __future__ import annotations

from typing import Annotated

from pelamis.api.check import Errors
from pelamis.api.field import F, Int64, Struct, Time, always
from pelamis.api.meta import ObjectMeta
from pelamis.base.errors import invalid, required


class BoundObjectReference(Struct, frozen=True):
    kind: Annotated[str, F(1)] = ""
    apiVersion: Annotated[str, F(2)] = ""
    name: Annotated[str, F(3)] = ""
    uid: Annotated[str, F(4)] = ""


class TokenRequestSpec(Struct, frozen=True):
    audiences: Annotated[tuple[str, ...], F(1, list="atomic")] = always(tuple)
    expirationSeconds: Annotated[Int64 | None, F(4, default=3600)] = None
    boundObjectRef: Annotated[BoundObjectReference | None, F(3)] = None
    attestations: Annotated[dict[str, tuple[str, ...]], F(5)] = {}


class TokenRequestStatus(Struct, frozen=True):
    token: Annotated[str, F(1)] = always(str)
    expirationTimestamp: Annotated[Time, F(2)] = ""


class TokenRequest(Struct, frozen=True):
    """The body of a service account's ``token`` subresource, asks for a bound token; never stored."""

    kind: str = always(lambda: "TokenRequest")
    apiVersion: str = always(lambda: "authentication.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[TokenRequestSpec, F(2)] = always(TokenRequestSpec)
    status: Annotated[TokenRequestStatus, F(3)] = always(TokenRequestStatus)


SHORTEST_S, LONGEST_S = 600, 1 << 32


def validate(obj: TokenRequest) -> Errors:
    path, lifetime = "spec.expirationSeconds", obj.spec.expirationSeconds
    errors: Errors = []
    if lifetime is not None and lifetime < SHORTEST_S:
        errors.append(invalid(path, lifetime, "may not specify a duration less than 10 minutes"))
    if lifetime is not None and lifetime > LONGEST_S:
        errors.append(invalid(path, lifetime, "may not specify a duration larger than 2^32 seconds"))
    ref = obj.spec.boundObjectRef
    if ref is not None and not ref.name:
        errors.append(required("spec.boundObjectRef.name"))
    return errors
