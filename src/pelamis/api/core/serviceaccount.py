"""ServiceAccount: an identity for pods. Tokens are issued on request (the ``token`` subresource)."""

from __future__ import annotations

from typing import Annotated, Any

from pelamis.api.core.reference import LocalObjectReference, ObjectReference
from pelamis.api.field import F, Struct, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import ObjectMeta
from pelamis.api.table import age


class ServiceAccount(Struct, frozen=True):
    """An identity for pods."""

    kind: str = always(lambda: "ServiceAccount")
    apiVersion: str = always(lambda: "v1")
    metadata: Annotated[ObjectMeta, F(1, "Name, labels and other metadata.")] = always(ObjectMeta)
    secrets: Annotated[
        tuple[ObjectReference, ...],
        F(2, "Secrets that its pods may mount.", merge="merge", key="name", list="map", keys=("name",)),
    ] = ()
    imagePullSecrets: Annotated[
        tuple[LocalObjectReference, ...], F(3, "Registry credentials for its pods.", list="atomic")
    ] = ()
    automountServiceAccountToken: Annotated[
        bool | None, F(4, "Whether its pods get a token, unless they say otherwise.")
    ] = None


_ENFORCE = "kubernetes.io/enforce-mountable-secrets"


def warnings(obj: ServiceAccount) -> list[str]:
    if _ENFORCE not in obj.metadata.annotations:
        return []
    advice = "prefer separate namespaces to isolate access to mounted secrets"
    return [f"metadata.annotations[{_ENFORCE}]: deprecated in v1.32+; {advice}"]


def cells(obj: ServiceAccount, now: float) -> tuple[Any, ...]:
    return obj.metadata.name, len(obj.secrets), age(obj.metadata.creationTimestamp, now)


KIND = Kind(
    group="",
    version="v1",
    type=ServiceAccount,
    plural="serviceaccounts",
    singular="serviceaccount",
    short_names=("sa",),
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(Subresource("token", "authentication.k8s.io", "v1", "TokenRequest", ("create",)),),
    columns=(
        Column("Name", "string", format="name"),
        Column("Secrets", "string"),
        Column("Age", "string"),
    ),
    storage_hash="pbx9ZvyFpBE=",
    cells=cells,
    warnings=warnings,
)
