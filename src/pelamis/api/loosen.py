"""The slow path of reading objects: entered only when the strict decoder has refused an input.

It walks the tree by the declared shape, drops nulls and unknown fields (and names the latter), turns the numbers that
upstream accepts for texts (quantities) into texts, and raises ValueError in the words of Go's decoder where a type
does not fit.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

import msgspec

from pelamis.api.field import Struct, Tree
from pelamis.api.shape import Value, fields_by_name, is_root
from pelamis.base import clock, duration, quantity

_FIELDS: dict[type[Any], dict[str, tuple[Value, bool]]] = {}
_GO = {"double": "float64", "bytes": "[]uint8", "raw": "interface {}", "any": "interface {}", "int": "int"}
_GO |= {"quantity": "resource.Quantity", "time": "v1.Time", "microTime": "v1.MicroTime", "duration": "v1.Duration"}
_GO |= {"intOrString": "intstr.IntOrString", "fieldsV1": "v1.FieldsV1"}
_RANGE = {"int32": 2**31, "int64": 2**63, "int": 2**63}
_ZERO: dict[str, Any] = {"string": "", "bool": False, "double": 0, "int": 0, "int32": 0, "int64": 0, "quantity": "0"}


class _Drop:
    """Returned for a value that is not to be kept."""


_DROP = _Drop()


def json_name(value: Any) -> str:
    """What Go calls the type of a JSON value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    if isinstance(value, int | float):
        return "number"
    return "object" if isinstance(value, dict) else "array"


def _go(value: Value, version: str) -> str:
    """The Go type of a shape, as error messages show it."""
    if value.what == "list" and value.of:
        return "[]" + _go(value.of, version)
    if value.what == "map" and value.of:
        return "map[string]" + _go(value.of, version)
    if value.struct is not None:
        own = not value.struct.__module__.startswith(("pelamis.api.meta", "pelamis.api.core"))
        return f"{version if own else 'v1'}.{value.struct.__name__}"
    return _GO.get(value.what, value.what)


def struct(cls: type[Struct], tree: Tree, path: str, problems: list[str], version: str) -> None:
    """Loosens the tree of a struct in place. path: "" at the root, else where the tree is."""
    _Walk(problems, version).struct(cls, tree, path, tuple(path.split(".")) if path else ())


def _known(cls: type[Any]) -> dict[str, tuple[Value, bool]]:
    found = _FIELDS.get(cls)
    if found is None:
        found = {f.name: (f.value, f.pointer) for f in fields_by_name(cls).values()}
        if is_root(cls):
            found = {"kind": (Value("string"), False), "apiVersion": (Value("string"), False), **found}
        _FIELDS[cls] = found
    return found


class _Walk:
    __slots__ = ("owner", "problems", "version")

    def __init__(self, problems: list[str], version: str) -> None:
        self.problems = problems
        self.version = version
        self.owner = ""

    def struct(self, cls: type[Any], tree: Tree, path: str, names: tuple[str, ...]) -> None:
        """names: the path without indices, as Go's messages have it."""
        known = _known(cls)
        dot = path + "." if path else ""
        owner = cls.__name__
        for name in list(tree):
            found = known.get(name)
            if found is None:
                self.problems.append(f'unknown field "{dot}{name}"')
                del tree[name]
                continue
            raw = tree[name]
            if raw is None and found[0].what != "raw":
                del tree[name]
                continue
            self.owner = owner
            value = self.value(found[0], raw, dot + name, names + (name,))
            if value is _DROP:
                del tree[name]
            elif value is not raw:
                tree[name] = value

    def wrong(self, value: Value, raw: Any, names: tuple[str, ...]) -> ValueError:
        shown = json_name(raw)
        if shown == "number" and value.what in ("int", "int32", "int64"):
            shown = f"number {raw}"
        return ValueError(
            f"json: cannot unmarshal {shown} into Go struct field {self.owner}.{'.'.join(names)} "
            f"of type {_go(value, self.version)}"
        )

    def value(self, value: Value, raw: Any, path: str, names: tuple[str, ...]) -> Any:
        what = value.what
        if what == "string":
            if type(raw) is not str:
                raise self.wrong(value, raw, names)
            return raw
        if what == "struct":
            if type(raw) is not dict:
                raise self.wrong(value, raw, names)
            assert value.struct is not None
            self.struct(value.struct, raw, path, names)
            return raw
        if what == "list":
            if type(raw) is not list:
                raise self.wrong(value, raw, names)
            return self.list(value, raw, path, names)
        if what == "map":
            if type(raw) is not dict:
                raise self.wrong(value, raw, names)
            return self.map(value, raw, path, names)
        if what in _RANGE:
            limit = _RANGE[what]
            if type(raw) is not int or not -limit <= raw < limit:
                raise self.wrong(value, raw, names)
            return raw
        if what == "bool":
            if type(raw) is not bool:
                raise self.wrong(value, raw, names)
            return raw
        if what in ("raw", "any"):
            return raw
        return self.special(value, raw, path, names)

    def list(self, value: Value, raw: list[Any], path: str, names: tuple[str, ...]) -> list[Any]:
        assert value.of is not None
        owner = self.owner
        for i, item in enumerate(raw):
            self.owner = owner
            raw[i] = self.element(value.of, item, f"{path}[{i}]", names)
        return raw

    def map(self, value: Value, raw: dict[str, Any], path: str, names: tuple[str, ...]) -> dict[str, Any]:
        assert value.of is not None
        owner = self.owner
        for key, item in raw.items():
            self.owner = owner
            raw[key] = self.element(value.of, item, f"{path}.{key}", names)
        return raw

    def element(self, value: Value, raw: Any, path: str, names: tuple[str, ...]) -> Any:
        """A null in a list or map is the zero value of its type."""
        if raw is not None:
            return self.value(value, raw, path, names)
        if value.what in ("struct", "map"):
            return {}
        if value.what == "list":
            return []
        return _ZERO.get(value.what, "" if value.what != "raw" else None)

    def special(self, value: Value, raw: Any, path: str, names: tuple[str, ...]) -> Any:
        what = value.what
        if what == "quantity":
            if isinstance(raw, bool) or not isinstance(raw, str | int | float):
                raise quantity.QuantityError(quantity.FORMAT_WRONG)
            text = raw.strip() if isinstance(raw, str) else str(raw)
            quantity.parse(text)
            return text
        if what in ("time", "microTime", "duration"):
            if not isinstance(raw, str):
                raise ValueError(f"json: cannot unmarshal {json_name(raw)} into Go value of type string")
            if what == "duration":
                duration.parse_nanos(raw)
            else:
                clock.parse_rfc3339(raw)
            return raw
        if what == "intOrString":
            if isinstance(raw, str):
                return raw
            if type(raw) is int and -(2**31) <= raw < 2**31:
                return raw
            shown = f"number {raw}" if json_name(raw) == "number" else json_name(raw)
            raise ValueError(f"json: cannot unmarshal {shown} into Go value of type int32")
        if what == "bytes":
            if not isinstance(raw, str):
                raise self.wrong(value, raw, names)
            return _base64(raw)
        if what == "double":
            if isinstance(raw, bool) or not isinstance(raw, int | float):
                raise self.wrong(value, raw, names)
            return raw
        if what == "fieldsV1":
            return raw
        return self.union(value, raw, path, names)

    def union(self, value: Value, raw: Any, path: str, names: tuple[str, ...]) -> Any:
        for option in value.options:
            if (
                (option.what == "struct" and type(raw) is dict)
                or (option.what == "list" and type(raw) is list)
                or (option.what == "bool" and type(raw) is bool)
            ):
                return self.value(option, raw, path, names)
        raise self.wrong(value, raw, names)


def _base64(text: str) -> str:
    """The same bytes in the strict alphabet; line breaks are allowed, as in Go."""
    flat = text.replace("\n", "").replace("\r", "")
    try:
        base64.b64decode(flat, validate=True)
    except binascii.Error:
        raise ValueError(f"illegal base64 data at input byte {_bad_base64(flat)}") from None
    return flat


def _bad_base64(text: str) -> int:
    for i, c in enumerate(text.rstrip("=")):
        if not (c.isascii() and (c.isalnum() or c in "+/")):
            return i
    return len(text) // 4 * 4


# -- duplicates -------------------------------------------------------------------------------------------------------


class _Marked(dict[str, Any]):
    """An object that had members twice."""

    __slots__ = ("twice",)
    twice: list[str]


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) == len(pairs):
        return out
    marked = _Marked(out)
    seen: set[str] = set()
    marked.twice = []
    for name, _ in pairs:
        if name in seen and name not in marked.twice:
            marked.twice.append(name)
        seen.add(name)
    return marked


def duplicates(body: bytes) -> list[str]:
    """``duplicate field "spec.x"`` for every member that the text has twice."""
    out: list[str] = []
    _report(json.loads(body, object_pairs_hook=_pairs), "", out)
    return out


def _report(value: Any, path: str, out: list[str]) -> None:
    if isinstance(value, dict):
        dot = path + "." if path else ""
        if isinstance(value, _Marked):
            out.extend(f'duplicate field "{dot}{name}"' for name in value.twice)
        for name, below in value.items():
            _report(below, dot + name, out)
    elif isinstance(value, list):
        for i, below in enumerate(value):
            _report(below, f"{path}[{i}]", out)


# -- YAML -------------------------------------------------------------------------------------------------------------

_LOADER: Any = None


_DEPTH = 500
_EXPANDED = 100_000
"""How many nodes a document may have once its aliases stand for what they name."""


def _check_size(body: bytes) -> None:
    """Refuses documents that are small to send and huge, or too deep, to read. Raises ValueError.

    Only those that could be are looked at, event by event, without making anything of them.
    """
    aliased = b"*" in body and b"&" in body
    if not aliased and body.count(b"[") + body.count(b"{") + body.count(b"- -") + body.count(b"? ?") < _DEPTH:
        return
    import yaml

    sizes: dict[str, int] = {}
    open_nodes: list[tuple[str | None, int]] = []
    size = 0
    aliases = 0
    try:
        for event in yaml.parse(body, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            if isinstance(event, yaml.CollectionStartEvent):
                open_nodes.append((event.anchor, size))
                size += 1
                if len(open_nodes) > _DEPTH:
                    raise ValueError("error converting YAML to JSON: yaml: exceeded max depth")
            elif isinstance(event, yaml.CollectionEndEvent):
                anchor, before = open_nodes.pop()
                if anchor:
                    sizes[anchor] = size - before
            elif isinstance(event, yaml.AliasEvent):
                more = sizes.get(event.anchor or "", 1)
                size += more
                aliases += more
                if aliases > _EXPANDED:
                    raise ValueError("error converting YAML to JSON: yaml: document contains excessive aliasing")
            elif isinstance(event, yaml.ScalarEvent):
                size += 1
    except yaml.YAMLError as error:
        raise ValueError("error converting YAML to JSON: yaml: " + str(error).replace("\n", " ")) from None


_SPACED = (b" :", b"\n:", b"\t:", b"\r:")


def may_repeat(body: bytes, tree: Any) -> bool:
    """Whether JSON may have a member twice, of which ``tree`` knows one."""
    if any(space in body for space in _SPACED):
        return True  # names that do not stand before their colon are not counted
    return body.count(b'":') != msgspec.json.encode(tree).count(b'":')


def read_yaml(body: bytes, problems: list[str]) -> Any:
    """A YAML document as a JSON tree: timestamps stay texts, keys become texts. Raises ValueError.

    Most clients send JSON, which is YAML too, and is read many times faster as what it is.
    """
    if body[:1] == b"{":
        try:
            tree = msgspec.json.decode(body)
        except msgspec.DecodeError:
            pass
        except RecursionError:
            raise ValueError("error converting YAML to JSON: exceeded max depth") from None
        else:
            if not may_repeat(body, tree) or not duplicates(body):
                return tree
    import yaml

    _check_size(body)
    global _LOADER
    if _LOADER is None:
        base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

        class Loader(base):  # type: ignore[misc]
            twice: list[str]

        def mapping(loader: Any, node: Any) -> dict[str, Any]:
            loader.flatten_mapping(node)
            out: dict[str, Any] = {}
            for key_node, value_node in node.value:
                key = loader.construct_object(key_node, deep=True)
                name = _key(key)
                if name in out:
                    line = key_node.start_mark.line + 1
                    loader.twice.append(f'yaml: unmarshal errors:\n  line {line}: key "{name}" already set in map')
                out[name] = loader.construct_object(value_node, deep=True)
            return out

        Loader.add_constructor("tag:yaml.org,2002:map", mapping)
        Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda loader, node: node.value)
        Loader.add_constructor("tag:yaml.org,2002:binary", lambda loader, node: "".join(node.value.split()))
        _LOADER = Loader
    loader = _LOADER(body)
    loader.twice = problems
    try:
        return loader.get_single_data()
    except yaml.YAMLError as e:
        raise ValueError("error converting YAML to JSON: yaml: " + str(e).replace("\n", " ")) from None
    finally:
        loader.dispose()


def _key(key: Any) -> str:
    if isinstance(key, bool):
        return "true" if key else "false"
    return "" if key is None else str(key)
