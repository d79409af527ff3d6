"""Secret: sensitive data that pods read as files or environment variables.

``stringData`` is for writing only: it is folded into ``data`` and never kept.
"""

from __future__ import annotations

import base64
import json
from typing import Annotated, Any

from pelamis.api.core.mapdata import check_size
from pelamis.api.field import F, Struct, Tree, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta
from pelamis.api.table import age
from pelamis.base import names
from pelamis.base.errors import FieldError, forbidden, invalid, required


class Secret(Struct, frozen=True):
    """Sensitive data, as small files."""

    kind: str = always(lambda: "Secret")
    apiVersion: str = always(lambda: "v1")
    metadata: Annotated[ObjectMeta, F(1, "Name, labels and other metadata.")] = always(ObjectMeta)
    immutable: Annotated[bool | None, F(5, "Whether the data can never change again.")] = None
    data: Annotated[dict[str, bytes], F(2, "Bytes by key, at most 1 MiB together.")] = {}
    stringData: Annotated[dict[str, str], F(4, "Texts by key, for writing: they end up in data.")] = {}
    type: Annotated[str, F(3, "What keys there are: Opaque, kubernetes.io/tls, ...; fixed.", default="Opaque")] = ""


TOKEN = "kubernetes.io/service-account-token"
TOKEN_ACCOUNT = "kubernetes.io/service-account.name"
_DOCKER = {
    "kubernetes.io/dockercfg": ".dockercfg",
    "kubernetes.io/dockerconfigjson": ".dockerconfigjson",
}


def fold_string_data(tree: Tree) -> None:
    """Moves ``stringData`` into ``data``; it wins where both have a key."""
    texts = tree.pop("stringData", None)
    if texts:
        data = tree.get("data")
        if data is None:
            data = tree["data"] = {}
        for key, text in texts.items():
            data[key] = base64.b64encode(text.encode()).decode()


def prepare_update(tree: Tree, old: Tree) -> None:
    fold_string_data(tree)
    if not tree.get("type") and old.get("type"):
        tree["type"] = old["type"]


def validate(obj: Secret) -> list[FieldError]:
    errors: list[FieldError] = []
    data = obj.data
    for key in data:
        errors.extend(invalid(f"data[{key}]", key, m) for m in names.is_config_map_key(key))
    check_size(data.values(), "data", errors)
    kind = obj.type
    if kind == TOKEN:
        if not obj.metadata.annotations.get(TOKEN_ACCOUNT):
            errors.append(required(f"metadata.annotations[{TOKEN_ACCOUNT}]"))
    elif kind in _DOCKER:
        _check_docker(data, _DOCKER[kind], errors)
    elif kind == "kubernetes.io/basic-auth":
        if "username" not in data and "password" not in data:
            errors += [required("data[username]"), required("data[password]")]
    elif kind == "kubernetes.io/ssh-auth":
        if not data.get("ssh-privatekey"):
            errors.append(required("data[ssh-privatekey]"))
    elif kind == "kubernetes.io/tls":
        errors += [required(f"data[{key}]") for key in ("tls.crt", "tls.key") if key not in data]
    return errors


def _check_docker(data: dict[str, bytes], key: str, errors: list[FieldError]) -> None:
    if key not in data:
        errors.append(required(f"data[{key}]"))
        return
    problem = ""
    try:
        if not isinstance(json.loads(data[key] or b" "), dict | None):
            problem = "json: cannot unmarshal value into Go value of type map[string]interface {}"
    except ValueError as e:
        problem = "unexpected end of JSON input" if not data[key].strip() else str(e)
    if problem:
        errors.append(invalid(f"data[{key}]", "<secret contents redacted>", problem))


def validate_update(obj: Secret, old: Secret) -> list[FieldError]:
    """The type never changes; an immutable Secret stays as it is, and stays immutable."""
    errors: list[FieldError] = []
    if obj.type != old.type:
        errors.append(invalid("type", obj.type, "field is immutable"))
    if old.immutable:
        detail = "field is immutable when `immutable` is set"
        if not obj.immutable:
            errors.append(forbidden("immutable", detail))
        if obj.data != old.data:
            errors.append(forbidden("data", detail))
    return errors + validate(obj)


def warnings(obj: Secret) -> list[str]:
    """A TLS secret whose halves are not even PEM."""
    if obj.type != "kubernetes.io/tls":
        return []
    for key, shown in (("tls.crt", "certificate"), ("tls.key", "key")):
        if b"-----BEGIN " not in obj.data.get(key, b""):
            return [f"tls: failed to find any PEM data in {shown} input"]
    return []


def cells(obj: Secret, now: float) -> tuple[Any, ...]:
    return obj.metadata.name, obj.type, len(obj.data), age(obj.metadata.creationTimestamp, now)


KIND = Kind(
    group="",
    version="v1",
    type=Secret,
    plural="secrets",
    singular="secret",
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    columns=(
        Column("Name", "string", format="name"),
        Column("Type", "string"),
        Column("Data", "string"),
        Column("Age", "string"),
    ),
    storage_hash="S6u1pOWzb84=",
    cells=cells,
    default=fold_string_data,  # before ownership is noted: upstream folds when it decodes
    prepare_create=fold_string_data,
    prepare_update=prepare_update,
    validate=validate,
    validate_update=validate_update,
    warnings=warnings,
    selectable={"type": lambda secret: secret.type},
    indexes={
        "type": lambda secret: (secret.type,),
        "account": lambda secret: (secret.metadata.annotations.get(TOKEN_ACCOUNT, ""),) if secret.type == TOKEN else (),
    },
)
