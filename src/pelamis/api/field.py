"""How a field of an API type is declared.

Every API type is a frozen msgspec struct whose attribute names are the JSON names. Each field is
``Annotated[T, F(tag, ...)]``: ``F`` returns a ``msgspec.Meta`` whose ``extra`` carries the facts that the codec,
OpenAPI, strategic merge patch, server-side apply and defaulting are derived from.

Whether a zero value is written follows Go's encoding of the upstream type: a plain default (``= ""``) is dropped from
the JSON when unset; one of the ``always`` factories below is written even when zero.
"""

from collections.abc import Callable
from typing import Annotated, Any

import msgspec

Tree = dict[str, Any]
"""A decoded JSON object. The write path (defaults, admission, strategies, patches) works on trees; see kind.Kind."""

UNSET_DEFAULT: Any = object()


class Struct(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, forbid_unknown_fields=True):
    """Base of every API type. Unknown fields fail at decode: the slow path that names or drops them is the codec's."""


def F(
    tag: int | None,
    doc: str = "",
    *,
    within: tuple[int, ...] = (),
    within_optional: bool = False,
    merge: str = "",
    key: str = "",
    list: str = "",
    keys: tuple[str, ...] = (),
    map: str = "",
    struct: str = "",
    enum: tuple[str, ...] = (),
    required: bool = False,
    default: Any = UNSET_DEFAULT,
    shown: bool = False,
) -> msgspec.Meta:
    """The facts of one field.

    tag: protobuf field number (None: not on the wire). within: numbers of the embedded protobuf messages that
    hold the field, outermost first, where Go inlines a struct; within_optional: that message is a pointer.
    merge, key: strategic-merge ``patchStrategy`` and ``patchMergeKey``. list, keys, map, struct: server-side-apply
    ``listType``, ``listMapKeys``, ``mapType``, ``structType``. enum: the closed set of values, as OpenAPI shows it.
    required: listed as required in OpenAPI. default: constant set when the field is absent. shown: OpenAPI shows it.
    """
    extra: dict[str, Any] = {"tag": tag}
    if within:
        extra["within"] = within
    if within_optional:
        extra["within_optional"] = True
    for name, value in (("merge", merge), ("key", key), ("list", list), ("map", map), ("struct", struct)):
        if value:
            extra[name] = value
    if keys:
        extra["keys"] = keys
    if enum:
        extra["enum"] = enum
    if required:
        extra["required"] = True
    if default is not UNSET_DEFAULT:
        extra["default"] = default
        extra["shown"] = shown
    if doc:
        extra["doc"] = doc
    return msgspec.Meta(extra=extra)


def always(make: Callable[[], Any], name: str | None = None) -> Any:
    """A field written even when it holds its zero value, as Go writes a field without ``omitempty``."""
    return msgspec.field(default_factory=lambda: make(), name=name)


def _special(name: str) -> msgspec.Meta:
    return msgspec.Meta(extra={"special": name})


Int32 = Annotated[int, _special("int32"), msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
Int64 = Annotated[int, _special("int64"), msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Double = Annotated[float, _special("double")]
Quantity = Annotated[str, _special("quantity")]
"""A resource amount in canonical form (see base.quantity)."""
Time = Annotated[str, _special("time")]
"""RFC 3339, whole seconds, UTC: ``2026-01-31T08:00:00Z``; empty when unset."""
MicroTime = Annotated[str, _special("microTime")]
"""RFC 3339 with six decimals, UTC; empty when unset."""
Duration = Annotated[str, _special("duration")]
"""Go's duration notation: ``1h0m0s``."""
IntOrString = Annotated[Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)] | str, _special("intOrString")]
RawJSON = Annotated[msgspec.Raw | msgspec.UnsetType, _special("raw")]
"""Any JSON value, kept as its bytes; UNSET when absent."""
FieldsV1 = Annotated[msgspec.Raw | msgspec.UnsetType, _special("fieldsV1")]
