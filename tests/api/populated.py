"""Fully populated trees of any API type, made by walking its declared shape."""

from __future__ import annotations

from typing import Any

from pelamis.api.shape import Value, shape_of

_PLAIN: dict[str, Any] = {
    "string": "text",
    "int": 7,
    "int32": -32,
    "int64": 2**40,
    "bool": True,
    "double": 2.5,
    "bytes": "aGVsbG8=",
    "quantity": "1500m",
    "time": "2026-01-31T08:00:00Z",
    "microTime": "2026-01-31T08:00:00.123456Z",
    "duration": "1h0m5s",
    "intOrString": "25%",
    "raw": {"any": [1, "two", None]},
    "fieldsV1": {"f:metadata": {}},
    "any": "cell",
}


def tree(cls: type[Any], depth: int = 0) -> dict[str, Any]:
    """Every field set; types that contain themselves stop at the second level."""
    out: dict[str, Any] = {}
    for f in shape_of(cls):
        if depth < 12:
            seen = _nested(f.value, cls)
            if seen and depth >= 2:
                continue
            out[f.name] = value(f.value, depth + 1)
    return out


def _nested(shape: Value, cls: type[Any]) -> bool:
    if shape.of is not None:
        return _nested(shape.of, cls)
    return shape.struct is cls or any(_nested(o, cls) for o in shape.options)


def value(shape: Value, depth: int) -> Any:
    if shape.what == "struct":
        assert shape.struct is not None
        return tree(shape.struct, depth)
    if shape.what == "list":
        assert shape.of is not None
        return [value(shape.of, depth), value(shape.of, depth)]
    if shape.what == "map":
        assert shape.of is not None
        return {"a": value(shape.of, depth), "z": value(shape.of, depth)}
    if shape.what == "union":
        return value(shape.options[-1], depth)
    return _PLAIN[shape.what]
