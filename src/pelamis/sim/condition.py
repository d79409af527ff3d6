"""What must hold, as scenario files say it: a CEL expression, or one of a few short forms.

    pods.filter(p, p.status.phase == "Running").size() == 5      # CEL: lists of objects by resource name, and `now`
    {count: pods, selector: app=web, where: ready, is: 5}        # where: ready, or CEL over `object`
    {spread: pods, selector: app=web, is: [2, 2, 1]}             # per node, largest first; by: another field
    {object: deployment/web, field: .status.readyReplicas, atLeast: 3}
    {events: BackOff, atMost: 3}                                 # how often Events of a reason were recorded so far
    {settled: true}                                              # all is as declared, and nothing is left over
    {all: [..., ...]}  {any: [..., ...]}  {not: ...}

Comparisons: ``is``, ``isNot``, ``atLeast``, ``atMost``, ``in`` (a list), ``matches`` (a regular expression) and
``exists``. ``parse`` finds mistakes before anything runs. A condition answers (holds, what there is).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pelamis.api.core.node import KIND as NODE
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.field import Tree
from pelamis.api.kind import Kind
from pelamis.api.registry import Registry
from pelamis.base import jsonpath, labels
from pelamis.base.cel import CompileError, EvaluationError, Program, compile_text
from pelamis.sim import audit
from pelamis.sim.cluster import Cluster

Verdict = tuple[bool, str]
Holds = Callable[[Cluster], Verdict]
_COMPARISONS = ("is", "isNot", "atLeast", "atMost", "in", "matches", "exists")
_WORD = re.compile(r"(?<![\w.\"'])[a-z]\w*")
_TEXT = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'")


class Mistake(ValueError):
    """In what a person wrote. The message says what is wrong and what would be right."""


@dataclass(frozen=True, slots=True)
class Condition:
    """holds(cluster) gives (it holds, what there is); only changes of ``kinds`` can change that."""

    kinds: tuple[Kind, ...]
    holds: Holds


def find_kind(registry: Registry, word: str) -> Kind:
    found = registry.find(word)
    if found is None:
        raise Mistake(f'there is no kind or resource "{word}"; say, for example, pods, deployment or jobs.batch')
    return found.hub or found


def parse(value: Any, registry: Registry) -> Condition:
    """Raises Mistake."""
    if isinstance(value, str):
        return _cel(value, registry)
    if not isinstance(value, Mapping):
        raise Mistake(f"a condition is a CEL expression or a mapping with count, spread or object, not {value!r}")
    for word, make in FORMS.items():
        if word in value:
            return make(value, registry)
    raise Mistake(f"a condition needs one of {', '.join(FORMS)}; this one has {', '.join(map(str, value))}")


def _only(value: Mapping[str, Any], *allowed: str) -> None:
    for key in value:
        if key not in allowed:
            raise Mistake(f'"{key}" is not known here; there are {", ".join(allowed)}')


# -- CEL


def _cel(text: str, registry: Registry) -> Condition:
    words = dict.fromkeys(_WORD.findall(_TEXT.sub('""', text)))
    kinds: dict[str, Kind] = {}
    for kind in registry.stored():
        if kind.plural in words:
            kinds.setdefault(kind.plural, kind)
    program = _compiled(text, (*kinds, "now"))

    def holds(cluster: Cluster) -> Verdict:
        values: dict[str, Any] = {name: cluster.trees(kind) for name, kind in kinds.items()}
        values["now"] = cluster.now
        try:
            return program.evaluate(values) is True, ""
        except EvaluationError as error:
            return False, str(error).partition("\n")[0]

    return Condition(tuple(kinds.values()), holds)


def _compiled(text: str, variables: tuple[str, ...]) -> Program:
    try:
        program = compile_text(text, variables)
    except CompileError as error:
        known = ", ".join(variables)
        raise Mistake(f"the CEL expression {text!r} does not compile ({known} are known): {error}") from None
    if program.type not in ("bool", "dyn"):
        raise Mistake(f"the CEL expression {text!r} gives a {program.type}; it must be true or false")
    return program


# -- short forms


def _compare(value: Mapping[str, Any]) -> Callable[[Any], bool]:
    given = [c for c in _COMPARISONS if c in value]
    if not given:
        raise Mistake(f"say what it is compared with: one of {', '.join(_COMPARISONS)}")
    tests: list[Callable[[Any], bool]] = []
    for word in given:
        tests.append(_test(word, value[word]))
    return lambda found: all(test(found) for test in tests)


def _test(word: str, wanted: Any) -> Callable[[Any], bool]:
    if word == "is":
        return lambda found: bool(found == wanted)
    if word == "isNot":
        return lambda found: bool(found != wanted)
    if word == "in":
        if not isinstance(wanted, list):
            raise Mistake(f"`in` takes a list, not {wanted!r}")
        return lambda found: found in wanted
    if word == "exists":
        return lambda found: (found is not None) is bool(wanted)
    if word == "matches":
        try:
            pattern = re.compile(str(wanted))
        except re.error as error:
            raise Mistake(f"`matches: {wanted}` is not a regular expression: {error}") from None
        return lambda found: found is not None and pattern.search(str(found)) is not None
    if not isinstance(wanted, int | float) or isinstance(wanted, bool):
        raise Mistake(f"`{word}` takes a number, not {wanted!r}")
    if word == "atLeast":
        return lambda found: isinstance(found, int | float) and found >= wanted
    return lambda found: isinstance(found, int | float) and found <= wanted


def _ready(kind: Kind) -> Callable[[Any], bool]:
    if kind not in (POD, NODE):
        raise Mistake(f"`where: ready` is for pods and nodes; for {kind.plural} use CEL over `object`")

    def ready(obj: Any) -> bool:
        if obj.metadata.deletionTimestamp is not None:
            return False
        return any(c.type == "Ready" and c.status == "True" for c in obj.status.conditions)

    return ready


def selected(value: Mapping[str, Any], kind: Kind) -> Callable[[Cluster], Sequence[Any]]:
    """The objects that ``namespace``, ``selector`` and ``where`` leave."""
    namespace = str(value.get("namespace", ""))
    text = value.get("selector", "")
    try:
        selector = labels.parse(str(text)) if text else None
    except ValueError as error:
        raise Mistake(f"`selector: {text}` is no label selector: {error}") from None
    where = value.get("where", "")
    test: Callable[[Any], bool] | None = None
    program: Program | None = None
    if where == "ready":
        test = _ready(kind)
    elif where:
        program = _compiled(str(where), ("object",))

    def find(cluster: Cluster) -> Sequence[Any]:
        found = cluster.objects(kind, namespace)
        if selector is not None:
            found = [o for o in found if selector.matches(o.metadata.labels)]
        if test is not None:
            found = [o for o in found if test(o)]
        if program is not None:
            found = [o for o in found if _is_true(program, cluster, kind, o)]
        return found

    return find


def _is_true(program: Program, cluster: Cluster, kind: Kind, obj: Any) -> bool:
    tree = cluster.tree(kind, obj.metadata.namespace, obj.metadata.name)
    try:
        return tree is not None and program.evaluate({"object": tree}) is True
    except EvaluationError:
        return False


def _count(value: Mapping[str, Any], registry: Registry) -> Condition:
    _only(value, "count", "namespace", "selector", "where", *_COMPARISONS)
    kind = find_kind(registry, str(value["count"]))
    find, compare = selected(value, kind), _compare(value)

    def holds(cluster: Cluster) -> Verdict:
        number = len(find(cluster))
        return compare(number), f"there are {number}"

    return Condition((kind,), holds)


def _spread(value: Mapping[str, Any], registry: Registry) -> Condition:
    _only(value, "spread", "namespace", "selector", "where", "by", *_COMPARISONS)
    kind = find_kind(registry, str(value["spread"]))
    find, compare = selected(value, kind), _compare(value)
    path = _path(value.get("by", ".spec.nodeName"))

    def holds(cluster: Cluster) -> Verdict:
        groups = Counter(
            str(_one(path, cluster.tree(kind, o.metadata.namespace, o.metadata.name))) for o in find(cluster)
        )
        sizes = sorted(groups.values(), reverse=True)
        shown = ", ".join(f"{name}: {groups[name]}" for name in sorted(groups))
        return compare(sizes), f"there are {shown or 'none'}"

    return Condition((kind,), holds)


def _path(text: Any) -> jsonpath.Template:
    shown = str(text)
    try:
        return jsonpath.compile(shown if shown.startswith("{") else "{" + shown + "}")
    except jsonpath.JSONPathError as error:
        raise Mistake(f"`{shown}` is no JSONPath such as .status.readyReplicas: {error}") from None


def _one(path: jsonpath.Template, tree: Tree | None) -> Any:
    if tree is None:
        return None
    try:
        found = [value for part in path.find(tree) for value in part]
    except jsonpath.JSONPathError:
        return None
    return found[0] if len(found) == 1 else found or None


def reference(text: Any, registry: Registry) -> tuple[Kind, str]:
    """``deployment/web``."""
    word, slash, name = str(text).partition("/")
    if not slash or not name:
        raise Mistake(f'an object is named as kind/name, such as deployment/web, not "{text}"')
    return find_kind(registry, word), name


def _object(value: Mapping[str, Any], registry: Registry) -> Condition:
    _only(value, "object", "namespace", "field", *_COMPARISONS)
    kind, name = reference(value["object"], registry)
    namespace = str(value.get("namespace", "default")) if kind.namespaced else ""
    path = _path(value["field"]) if "field" in value else None
    if path is None and "exists" not in value:
        raise Mistake("say which `field` of the object, or `exists: true` or `false`")
    compare = _compare(value)

    def holds(cluster: Cluster) -> Verdict:
        tree = cluster.tree(kind, namespace, name)
        found = tree if path is None else _one(path, tree)
        shown = ("it exists" if tree is not None else "it does not exist") if path is None else f"it is {found!r}"
        return compare(found), shown

    return Condition((kind,), holds)


def _all(value: Mapping[str, Any], registry: Registry) -> Condition:
    _only(value, "all")
    parts = [parse(part, registry) for part in _list(value["all"], "all")]

    def holds(cluster: Cluster) -> Verdict:
        for part in parts:
            verdict = part.holds(cluster)
            if not verdict[0]:
                return verdict
        return True, ""

    return Condition(_kinds(parts), holds)


def _any(value: Mapping[str, Any], registry: Registry) -> Condition:
    _only(value, "any")
    parts = [parse(part, registry) for part in _list(value["any"], "any")]

    def holds(cluster: Cluster) -> Verdict:
        verdicts = [part.holds(cluster) for part in parts]
        return any(v[0] for v in verdicts), "; ".join(v[1] for v in verdicts if v[1])

    return Condition(_kinds(parts), holds)


def _not(value: Mapping[str, Any], registry: Registry) -> Condition:
    _only(value, "not")
    part = parse(value["not"], registry)

    def holds(cluster: Cluster) -> Verdict:
        found, shown = part.holds(cluster)
        return not found, shown

    return Condition(part.kinds, holds)


def _kinds(parts: Sequence[Condition]) -> tuple[Kind, ...]:
    return tuple(dict.fromkeys(kind for part in parts for kind in part.kinds))


def _events(value: Mapping[str, Any], registry: Registry) -> Condition:
    _only(value, "events", *_COMPARISONS)
    reason, compare = str(value["events"]), _compare(value)

    def holds(cluster: Cluster) -> Verdict:
        number = cluster.reasons.get(reason, 0)
        return compare(number), f"there were {number}"

    return Condition((), holds)


def _settled(value: Mapping[str, Any], registry: Registry) -> Condition:
    _only(value, "settled")
    if value["settled"] is not True:
        raise Mistake("write `settled: true`, or leave it out")

    def holds(cluster: Cluster) -> Verdict:
        found = audit.problems(cluster)
        return not found, "; ".join(found[:5]) + (f"; {len(found) - 5} more" if len(found) > 5 else "")

    return Condition((), holds)


def _list(value: Any, word: str) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise Mistake(f"`{word}` takes a list of conditions")
    return value


FORMS: dict[str, Callable[[Mapping[str, Any], Registry], Condition]] = {
    "count": _count,
    "spread": _spread,
    "object": _object,
    "events": _events,
    "settled": _settled,
    "all": _all,
    "any": _any,
    "not": _not,
}
