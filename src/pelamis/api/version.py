"""Further versions of a kind: the same struct under another version's names, derived instead of declared twice.

``reversion(KIND, "v1beta1")`` gives the Kind of a version that has the same fields; its objects are those of ``KIND``,
which stays the hub: the version that is stored. Where a version does differ, ``swap`` names the structs that take the
place of the hub's, ``drop`` the fields that it lacks, and ``to_hub`` and ``from_hub`` convert.

The derived classes name a module of their own (``pelamis.api.resource.v1beta2.device``), which does not exist: from it
follow the names of their OpenAPI definitions. They are made when a version is asked for, not at import.
"""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from pelamis.api.field import Struct, Tree
from pelamis.api.kind import Kind
from pelamis.api.shape import annotations_of

CURRENT_MINOR = 37
_VERSION = re.compile(r"v\d+((alpha|beta)\d+)?")
_SHARED = ("meta", "core")
"""Packages whose types have one version only."""

Swap = Mapping[type[Struct], type[Struct]]
Drop = Mapping[type[Struct], Sequence[str]]


def version_of(cls: type[Any]) -> str:
    """The version that a derived class was made for; "" for a class that is declared in a file."""
    parts = cls.__module__.split(".")
    return parts[3] if len(parts) > 4 and _VERSION.fullmatch(parts[3]) else ""


def _nothing(tree: Tree) -> None:
    return None


def deprecation(
    api_version: str, kind: str, introduced: int | None, deprecated: int | None = None, instead: str = ""
) -> str:
    """The warning that requests for a version get; "" while it is fresh. Minor versions of Kubernetes.

    Unless stated, a version ages three releases after its introduction, and goes three after that.
    """
    if introduced is None:
        return ""
    since = deprecated or introduced + 3
    if since > CURRENT_MINOR:
        return ""
    text = f"{api_version} {kind} is deprecated in v1.{since}+, unavailable in v1.{since + 3}+"
    return f"{text}; use {instead}" if instead else text


def reversion(
    kind: Kind,
    version: str,
    *,
    introduced: int | None = None,
    deprecated: int | None = None,
    instead: str = "",
    swap: Swap | None = None,
    drop: Drop | None = None,
    to_hub: Callable[[Tree], None] = _nothing,
    from_hub: Callable[[Tree], None] = _nothing,
    **facts: Any,
) -> Kind:
    """The kind in another version, stored as ``kind``. facts: what else differs, by the names of ``Kind``."""
    api_version = f"{kind.group}/{version}"
    subresources = tuple(
        dataclasses.replace(s, version=version) if s.group == kind.group and s.version == kind.version else s
        for s in kind.subresources
    )
    facts = {**_through(kind, to_hub), **facts}
    return dataclasses.replace(
        kind,
        version=version,
        type=derive(kind.type, version, api_version, swap, drop),
        subresources=subresources,
        hub=kind,
        to_hub=to_hub,
        from_hub=from_hub,
        indexes=None,
        deprecated=deprecation(api_version, kind.kind, introduced, deprecated, instead),
        **facts,
    )


def _through(kind: Kind, to_hub: Callable[[Tree], None]) -> dict[str, Any]:
    """What the hub's kind does with objects, for those of another version."""

    def hub(obj: Any) -> Any:
        tree = msgspec.json.decode(msgspec.json.encode(obj))
        to_hub(tree)
        tree.update(kind=kind.kind, apiVersion=kind.api_version)
        return msgspec.json.decode(msgspec.json.encode(tree), type=kind.type)

    def single(fn: Callable[..., Any]) -> Callable[..., Any]:
        return lambda obj, *rest: fn(hub(obj), *rest)

    def pair(fn: Callable[..., Any]) -> Callable[..., Any]:
        return lambda obj, old: fn(hub(obj), hub(old))

    out: dict[str, Any] = {name: pair(getattr(kind, name)) for name in ("validate_update", "validate_status_update")}
    for name in ("validate", "cells", "warnings"):
        fn = getattr(kind, name)
        out[name] = single(fn) if fn is not None else None
    if kind.selectable is not None:
        out["selectable"] = {label: single(fn) for label, fn in kind.selectable.items()}
    return out


def derive(
    cls: type[Struct], version: str, api_version: str, swap: Swap | None = None, drop: Drop | None = None
) -> type[Struct]:
    """The struct class of a version, made once; so are those that it leads to within its package."""
    dropped = tuple((c, tuple(names)) for c, names in (drop or {}).items())
    return _Derivation(version, api_version, tuple((swap or {}).items()), dropped).of(cls)


_made: dict[tuple[type[Struct], _Derivation], type[Struct]] = {}


@dataclasses.dataclass(frozen=True)
class _Derivation:
    version: str
    api_version: str
    swap: tuple[tuple[type[Struct], type[Struct]], ...] = ()
    drop: tuple[tuple[type[Struct], tuple[str, ...]], ...] = ()

    def of(self, cls: type[Struct]) -> type[Struct]:
        cls = dict(self.swap).get(cls, cls)
        if cls.__module__.split(".")[2] in _SHARED:
            return cls
        return _made.get((cls, self)) or self._make(cls)

    def _make(self, cls: type[Struct]) -> type[Struct]:
        _, _, package, *rest = cls.__module__.split(".")
        dropped = dict(self.drop).get(cls, ())
        infos = [info for info in msgspec.structs.fields(cls) if info.name not in dropped]
        made: type[Any] = msgspec.defstruct(
            cls.__name__,
            [(info.name, Any, self._default(info)) for info in infos],
            bases=(Struct,),
            module=".".join(("pelamis.api", package, self.version, *rest)),
            namespace={"__doc__": cls.__doc__},
            frozen=True,
            kw_only=True,
        )
        _made[cls, self] = made
        # The types come later, and are read later still: a struct may hold itself.
        hints = annotations_of(cls)
        made.__annotations__.update({info.name: self._hint(hints[info.name]) for info in infos})
        return made

    def _hint(self, hint: Any) -> Any:
        origin = typing.get_origin(hint)
        if origin is typing.Annotated:
            return typing.Annotated[(self._hint(hint.__origin__), *hint.__metadata__)]
        if origin in (typing.Union, types.UnionType):
            return typing.Union[tuple(self._hint(o) for o in typing.get_args(hint))]  # noqa: UP007
        if origin is tuple:
            return tuple[self._hint(typing.get_args(hint)[0]), ...]  # type: ignore[misc]
        if origin is dict:
            key, value = typing.get_args(hint)
            return dict[key, self._hint(value)]  # type: ignore[misc,valid-type]
        if isinstance(hint, type) and issubclass(hint, Struct):
            return self.of(hint)
        return hint

    def _default(self, info: msgspec.structs.FieldInfo) -> Any:
        name = info.encode_name if info.encode_name != info.name else None
        if info.name == "apiVersion" and info.default_factory is not msgspec.NODEFAULT:
            return msgspec.field(default_factory=lambda: self.api_version, name=name)
        if info.default_factory is msgspec.NODEFAULT:
            return msgspec.field(default=info.default, name=name)
        example = info.default_factory()
        if isinstance(example, Struct):
            return msgspec.field(default_factory=self._maker(type(example)), name=name)
        return msgspec.field(default_factory=info.default_factory, name=name)

    def _maker(self, cls: type[Struct]) -> Callable[[], Struct]:
        return lambda: self.of(cls)()
