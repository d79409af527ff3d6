"""Checks an expression against the types of its variables, as they are declared.

Where expressions run, variables are dynamically typed. Here nothing runs: messages are made of the declared shapes, and
the runtime's own checker is asked in an environment where the variables have those types. It knows upstream's types of
the functions of Kubernetes, and only upstream's libraries. What a message cannot say, such as the elements of lists in
lists, is left dynamic. Then the literals are looked at, as upstream's validators do. Errors are worded as upstream's.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from typing import Any

from pelamis.base import regexp
from pelamis.base.cel.checked import CALL, CONST, LIST, LOOP, MAP, SELECT, Checked, Node, Type, read
from pelamis.base.cel.cost import Shape
from pelamis.base.cel.engine import CompileError, reworded_compilation, wrapped
from pelamis.base.duration import parse_nanos

_LIBRARIES = (("optional", 0), ("strings", 2), ("sets", 0), ("two-var-comprehensions", 0), ("bindings", 0))
_SCALARS = {"int": 3, "uint": 4, "double": 1, "bool": 8, "string": 9, "bytes": 12}
_WELL_KNOWN = {
    "timestamp": ".google.protobuf.Timestamp",
    "duration": ".google.protobuf.Duration",
    "list": ".google.protobuf.ListValue",
    "map": ".google.protobuf.Struct",
}
_DYN = ".google.protobuf.Value"
_MESSAGE, _REPEATED, _OPTIONAL = 11, 3, 1
_EXEMPT = frozenset(("format",))
"""Functions whose lists may have elements of several types."""


class Checker:
    """variables: what is known of each, by name. An opaque type is a shape of the kind of its name."""

    def __init__(
        self, variables: Mapping[str, Shape], root: str = "object", *, messages: Mapping[str, Shape] | None = None
    ) -> None:
        """root: begins the names of types that errors mention. messages: types that expressions may make, by name."""
        self._variables = variables
        self._messages = messages or {}
        self._root = root
        self._shapes: dict[str, Shape] = {}
        self._environment: Any = None

    def check(self, text: str, optional: str = "") -> Type:
        """The type of the result. optional: the variable among them that is an optional. Raises CompileError."""
        source, before = wrapped(text, optional)
        try:
            expression = self._env().compile(source)
        except RuntimeError as error:
            raise CompileError(reworded_compilation(str(error), text, before)) from None
        checked = read(expression.serialize())
        issues = [_issue(checked, text, before, node, what) for node, what in _literals(checked)]
        if issues:
            raise CompileError("\n".join(issues))
        return checked.full.get(checked.root.id, Type("dyn"))

    def shape(self, found: Type) -> Shape:
        """What is known of a value of this type."""
        declared = self._shapes.get(found.name)
        if declared is not None:
            return declared
        below = self.shape(found.parts[-1]) if found.parts else None
        return Shape(found.name, elem=below, key=Shape("string") if found.name == "map" else None)

    def _env(self) -> Any:
        if self._environment is None:
            from cel_expr_python import cel

            from pelamis.base.cel.library import extension

            files = _Files()
            types = {}
            for name, shape in self._messages.items():
                files.declare(shape, name, self._shapes)
            for name, shape in self._variables.items():
                types[name] = self._type(cel, files, shape, f"{self._root}.{name}" if self._root else name)
            pool = files.pool()
            libraries = "".join(f"- name: {n}\n" + (f"  version: {v}\n" if v else "") for n, v in _LIBRARIES)
            config = cel.NewEnvConfigFromYaml(f"name: kubernetes\nextensions:\n{libraries}")
            self._environment = cel.NewEnv(
                descriptor_pool=pool, config=config, variables=types, extensions=[extension(cel, typed=True)]
            )
        return self._environment

    def _type(self, cel: Any, files: _Files, shape: Shape, name: str) -> Any:
        """The runtime's type of a variable."""
        t = cel.Type
        if shape.members is not None:
            return t(files.declare(shape, name.replace(".", "_"), self._shapes))
        if shape.kind in ("list", "map"):
            elem = self._type(cel, files, shape.elem, f"{name}.item") if shape.elem is not None else t.DYN
            return t.List(elem) if shape.kind == "list" else t.Map(t.STRING, elem)
        return t(shape.kind) if "." in shape.kind else getattr(t, shape.kind.upper(), t.DYN)


class _Files:
    """Messages for shapes, nested as those are, and for opaque types."""

    def __init__(self) -> None:
        from google.protobuf import descriptor_pb2, duration_pb2, struct_pb2, timestamp_pb2

        from pelamis.base.cel.library import OPAQUE

        known = [m.DESCRIPTOR for m in (timestamp_pb2, duration_pb2, struct_pb2)]
        self._files = [d.serialized_pb for d in known]
        self._new = descriptor_pb2.FileDescriptorProto
        names = [d.name for d in known]
        for package in sorted({name.rpartition(".")[0] for name in OPAQUE}):
            file = self._new(name=f"{package}.proto", package=package, syntax="proto2")
            for name in OPAQUE:
                if name.rpartition(".")[0] == package:
                    message = file.message_type.add(name=name.rpartition(".")[2])
                    if message.name == "Authorizer":
                        check = f".{package}.ResourceCheck"
                        message.field.add(
                            name="requestResource", number=1, label=_OPTIONAL, type=_MESSAGE, type_name=check
                        )
            self._files.append(file.SerializeToString())
            names.append(file.name)
        self._names: dict[int, str] = {}
        """The message of each shape, by its id."""
        self._file = self._new(name="declared.proto", syntax="proto2", dependency=names)

    def declare(self, shape: Shape, name: str, made: dict[str, Shape]) -> str:
        """The name of the message for a shape: one of before, or ``name``. Fills ``made`` with all that are new."""
        if id(shape) not in self._names:
            self._fill(self._file.message_type.add(name=name), shape, name, made)
        return self._names[id(shape)]

    def _fill(self, message: Any, shape: Shape, name: str, made: dict[str, Shape]) -> None:
        made[name] = shape
        self._names[id(shape)] = name
        members = shape.members or {}
        message.options.deprecated_legacy_json_field_conflicts = True
        for number, (member, below) in enumerate(members.items(), 1):
            field = message.field.add(name=member, number=number, label=_OPTIONAL, json_name=f"f{number}")
            if below.kind == "list" and below.elem is not None:
                field.label = _REPEATED
                self._type(field, message, below.elem, name, number, made, members)
            elif below.kind == "map" and below.elem is not None and self._is_free(message, shape, _entry(member)):
                entry = message.nested_type.add(name=_entry(member))
                entry.options.map_entry = True
                entry.field.add(name="key", number=1, label=_OPTIONAL, type=_SCALARS["string"])
                value = entry.field.add(name="value", number=2, label=_OPTIONAL)
                self._type(value, message, below.elem, name, number, made, members)
                field.label, field.type, field.type_name = _REPEATED, _MESSAGE, f".{name}.{entry.name}"
            else:
                self._type(field, message, below, name, number, made, members)

    @staticmethod
    def _is_free(message: Any, shape: Shape, name: str) -> bool:
        """Two members may ask for entries of one name, or be named so: then the map's values are left dynamic."""
        return name not in (shape.members or {}) and all(t.name != name for t in message.nested_type)

    def _type(
        self,
        field: Any,
        message: Any,
        shape: Shape,
        name: str,
        number: int,
        made: dict[str, Shape],
        members: Container[str],
    ) -> None:
        """members: of the message, whose names share their scope with those of its nested types."""
        if shape.kind in _SCALARS:
            field.type = _SCALARS[shape.kind]
            return
        field.type = _MESSAGE
        if shape.members is not None:
            known = self._names.get(id(shape))
            if known is not None:
                field.type_name = f".{known}"
                return
            nested = message.nested_type.add(name=_unused(f"{field.name}_type{number}", members))
            self._fill(nested, shape, f"{name}.{nested.name}", made)
            field.type_name = f".{name}.{nested.name}"
        else:
            field.type_name = f".{shape.kind}" if "." in shape.kind else _WELL_KNOWN.get(shape.kind, _DYN)

    def pool(self) -> Any:
        from google.protobuf.descriptor_pool import DescriptorPool

        pool = DescriptorPool()
        for one in (*self._files, self._file.SerializeToString()):
            pool.AddSerializedFile(one)
        return pool


def _unused(name: str, members: Container[str]) -> str:
    while name in members:
        name += "_"
    return name


def _entry(member: str) -> str:
    """As protoc names the entries of a map."""
    return "".join(part[:1].upper() + part[1:] for part in member.split("_")) + "Entry"


# -- literals ---------------------------------------------------------------------------------------------------------


def _issue(checked: Checked, text: str, before: int, node: Node, what: str) -> str:
    line, column = checked.place(node.id)
    column -= before if line == 1 else 0
    shown = text.split("\n")[line - 1]
    return f"ERROR: <input>:{line}:{column + 1}: {what}\n | {shown}\n | {'.' * column}^"


def _literals(checked: Checked) -> Iterator[tuple[Node, str]]:
    """(node, what is wrong with it): constants that no function takes, lists and maps of several types."""
    for node, exempt in _nodes(checked.root, False):
        if node.kind == CALL:
            what = _argument(node)
            if what:
                yield (node.args[0] if node.args else node), what
        elif node.kind in (LIST, MAP) and not exempt and not _is_message(checked, node):
            sets = (node.args,) if node.kind == LIST else (node.args[::2], node.args[1::2])
            for elements in sets:
                mixed = _mixed(checked, elements)
                if mixed is not None:
                    yield mixed
                    break


def _is_message(checked: Checked, node: Node) -> bool:
    """The members of a message have types of their own."""
    return node.kind == MAP and checked.full.get(node.id, Type("map")).name != "map"


def _mixed(checked: Checked, elements: list[Node]) -> tuple[Node, str] | None:
    first: Type | None = None
    for element in elements:
        found = checked.full.get(element.id, Type("dyn"))
        if first is None:
            first = found
        elif found != first:
            return element, f"expected type '{first}' but found '{found}'"
    return None


def _argument(node: Node) -> str:
    if len(node.args) != 1 or node.args[0].kind != CONST or node.args[0].name != "string":
        return ""
    value = node.args[0].value
    try:
        if node.name == "duration" and node.target is None:
            parse_nanos(value)
        elif node.name == "timestamp" and node.target is None:
            from google.protobuf.timestamp_pb2 import Timestamp

            Timestamp().FromJsonString(value)
        elif node.name == "matches":
            regexp.check(value)
    except ValueError:
        return f"invalid {node.name} argument"
    return ""


def _nodes(node: Node, exempt: bool) -> Iterator[tuple[Node, bool]]:
    """(node, it is within what an exempt function is given)."""
    yield node, exempt
    exempt = exempt or (node.kind == CALL and node.name in _EXEMPT)
    if node.target is not None and node.kind in (CALL, SELECT, LOOP):
        yield from _nodes(node.target, exempt)
    for child in node.args:
        yield from _nodes(child, exempt)
