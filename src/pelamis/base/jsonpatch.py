"""JSON patch (RFC 6902) on trees, with the behaviour and the texts of the Go library that upstream uses.

Beyond the RFC, as there: array indices may be negative (counted from the end, when adding from one past the end), and
``test`` against a missing member succeeds when the expected value is null, ``replace`` makes a member that is missing,
``copy`` of a missing one and operations without a value mean null, and what stands before the first / of a path is
ignored. The target is shared and never changed:
containers are copied when first written to in a call, the rest is the target's own.
"""

from __future__ import annotations

from typing import Any

MAX_OPERATIONS = 10_000
"""The API server refuses longer patches (413)."""


class PatchError(ValueError):
    """The patch cannot be applied to this object. The API server answers 422 Invalid."""


class PatchFormatError(PatchError):
    """The patch itself is malformed. The API server answers 400 BadRequest."""


class _Missing(Exception):
    """A key or index on the way does not exist."""


def decode(patch: Any) -> list[dict[str, Any]]:
    """The operations of a decoded patch body. Raises PatchFormatError."""
    if not isinstance(patch, list):
        kind = {dict: "object", str: "string", bool: "bool", int: "number", float: "number"}.get(type(patch), "null")
        raise PatchFormatError(
            f"error decoding patch: json: cannot unmarshal {kind} into Go value of type []handlers.jsonPatchOp"
        )
    for op in patch:
        if not isinstance(op, dict):
            kind = {list: "array", str: "string", bool: "bool", int: "number", float: "number"}.get(type(op), "null")
            raise PatchFormatError(
                f"error decoding patch: json: cannot unmarshal {kind} into Go value of type handlers.jsonPatchOp"
            )
    return patch


class _Copier:
    """The working tree; containers are copied once, before the first write."""

    def __init__(self, root: Any) -> None:
        self.root = root
        self.own: set[int] = set()
        self.keep: list[Any] = []

    def _fresh(self, node: Any) -> Any:
        if id(node) in self.own:
            return node
        copy: Any = dict(node) if isinstance(node, dict) else list(node)
        self.own.add(id(copy))
        self.keep.append(copy)
        return copy

    def writable(self, tokens: list[str]) -> Any:
        """The container at ``tokens``, made writable. Raises _Missing."""
        self.root = node = self._fresh(self.root)
        for token in tokens:
            key: Any = token
            if isinstance(node, list):
                key = _index(token, len(node))
            elif token not in node:
                raise _Missing
            child = node[key]
            if not isinstance(child, dict | list):
                raise _Missing
            child = self._fresh(child)
            node[key] = child
            node = child
        return node

    def find(self, tokens: list[str]) -> Any:
        """The value at ``tokens``. Raises _Missing."""
        node = self.root
        for token in tokens:
            if isinstance(node, dict):
                if token not in node:
                    raise _Missing
                node = node[token]
            elif isinstance(node, list):
                node = node[_index(token, len(node))]
            else:
                raise _Missing
        return node

    def taken(self, tokens: list[str]) -> Any:
        """As ``find``; a member that is not there is null."""
        node = self.find(tokens[:-1]) if tokens else None
        if isinstance(node, dict):
            return node.get(tokens[-1])
        return self.find(tokens)


def _index(token: str, length: int) -> int:
    try:
        index = int(token)
    except ValueError:
        raise _Missing from None
    if index < -length or index >= length:
        raise _Missing
    return index


def _tokens(path: str) -> list[str]:
    return [t.replace("~1", "/").replace("~0", "~") for t in path.split("/")[1:]]


def _number(token: str) -> int:
    try:
        return int(token)
    except ValueError:
        raise PatchError(f'strconv.Atoi: parsing "{token}": invalid syntax') from None


def _bad_index(index: int) -> PatchError:
    return PatchError(f"Unable to access invalid index: {index}: invalid index referenced")


def _place(tree: _Copier, path: str, op: str) -> tuple[Any, str]:
    """The container that the path ends in, to be written to, and the last part of the path."""
    *above, key = _tokens(path) or (None,)
    try:
        if key is None:
            raise _Missing
        return tree.writable(above), key
    except _Missing:
        raise PatchError(f'{op} operation does not apply: doc is missing path: "{path}": missing value') from None


def _add(tree: _Copier, path: str, value: Any, op: str) -> None:
    node, key = _place(tree, path, op)
    if isinstance(node, dict):
        node[key] = value
        return
    if key == "-":
        node.append(value)
        return
    try:
        index = _number(key)
        if index < 0:
            if index < -len(node) - 1:
                raise _bad_index(index)
            index += len(node) + 1
        if index > len(node):
            raise _bad_index(index)
    except PatchError as error:
        raise PatchError(f"error in {op} for path: '{path}': {error}") from None
    node.insert(index, value)


def _remove(tree: _Copier, path: str, op: str) -> None:
    node, key = _place(tree, path, op)
    try:
        if isinstance(node, dict):
            if key not in node:
                raise PatchError(f"unable to remove nonexistent key: {key}: missing value")
            del node[key]
            return
        index = _number(key)
        if index >= len(node) or index < -len(node):
            raise _bad_index(index)
        del node[index]
    except PatchError as error:
        raise PatchError(f"error in {op} for path: '{path}': {error}") from None


def _replace(tree: _Copier, path: str, value: Any) -> None:
    tokens = _tokens(path)
    if not tokens:
        if not isinstance(value, dict | list):
            raise PatchError("replace operation hit doc root but value was not a container")
        tree.root = value
        return
    try:
        node = tree.writable(tokens[:-1])
    except _Missing:
        raise PatchError(f"replace operation does not apply: doc is missing path: {path}: missing value") from None
    key = tokens[-1]
    try:
        node[key if isinstance(node, dict) else _index(key, len(node))] = value  # a new member too, as there
    except _Missing:
        raise PatchError(f"replace operation does not apply: doc is missing key: {path}: missing value") from None


def equal(a: Any, b: Any) -> bool:
    """JSON equality: true is not 1, and 1 is 1.0."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(equal(v, b[k]) for k, v in a.items())
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(map(equal, a, b))
    return (type(a) is type(b) and a == b) or (isinstance(a, int | float) and isinstance(b, int | float) and a == b)


def _test(tree: _Copier, path: str, value: Any) -> None:
    try:
        found = tree.find(_tokens(path))
    except _Missing:
        if value is None:
            return
        raise PatchError(f"error in test for path: '{path}': missing value") from None
    if not equal(found, value):
        raise PatchError(f"testing value {path} failed: test failed")


def _clone(value: Any) -> Any:
    """A copy apart: later operations of the same patch must not reach the value through its other place."""
    if isinstance(value, dict):
        return {k: _clone(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_clone(v) for v in value]
    return value


def _member(op: dict[str, Any], name: str) -> str:
    value = op.get(name)
    if not isinstance(value, str):
        raise PatchError(f"{op.get('op')} operation failed to decode {name}: missing value")
    return value


def apply(target: Any, patch: Any) -> Any:
    """``target`` with all operations applied in order. Raises PatchError, PatchFormatError."""
    tree = _Copier(target)
    for op in decode(patch):
        kind = op.get("op")
        if kind not in ("add", "remove", "replace", "move", "copy", "test"):
            raise PatchError(f"Unexpected kind: {kind if isinstance(kind, str) else 'unknown'}")
        path = _member(op, "path")
        if kind == "remove":
            _remove(tree, path, "remove")
        elif kind in ("move", "copy"):
            source = _member(op, "from")
            try:
                value = tree.taken(_tokens(source))
            except _Missing:
                raise PatchError(
                    f"{kind} operation does not apply: doc is missing from path: {source}: missing value"
                ) from None
            if kind == "move":
                _remove(tree, source, "move")
                _add(tree, path, value, "move")
            else:
                _add(tree, path, _clone(value), "copy")
        elif kind == "test":
            _test(tree, path, op.get("value"))
        else:
            if kind == "add":
                _add(tree, path, op.get("value"), "add")
            else:
                _replace(tree, path, op.get("value"))
    return tree.root
