"""Checks that the expressions of webhooks and policies compile, and to what they evaluate.

The variables have upstream's types: the object and the parameters are dynamic, since what they are shows with each
write; the request, the namespace and the authorizer are declared; a policy's own variables have the types of their
expressions.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from pelamis.api.check import Errors
from pelamis.base.cel import CompileError, compile_text, mutation
from pelamis.base.cel.cost import Shape
from pelamis.base.cel.literal import rewrite
from pelamis.base.cel.typed import Checker
from pelamis.base.errors import invalid

POLICY = ("object", "oldObject", "request", "params", "namespaceObject", "authorizer", "variables")

_DYN, _TEXT, _BOOL, _TIME = Shape("dyn"), Shape("string"), Shape("bool"), Shape("timestamp")
_TEXTS, _LABELS = Shape("list", elem=_TEXT), Shape("map", elem=_TEXT)


def _object(**members: Shape) -> Shape:
    return Shape("object", members=members)


_GVK = _object(group=_TEXT, version=_TEXT, kind=_TEXT)
_GVR = _object(group=_TEXT, version=_TEXT, resource=_TEXT)
_REQUEST = _object(
    kind=_GVK,
    resource=_GVR,
    subResource=_TEXT,
    requestKind=_GVK,
    requestResource=_GVR,
    requestSubResource=_TEXT,
    name=_TEXT,
    namespace=_TEXT,
    operation=_TEXT,
    userInfo=_object(username=_TEXT, uid=_TEXT, groups=_TEXTS, extra=Shape("map", elem=_TEXTS)),
    dryRun=_BOOL,
    options=_DYN,
)
_CONDITION = _object(status=_TEXT, type=_TEXT, lastTransitionTime=_TIME, message=_TEXT, reason=_TEXT)
_NAMESPACE = _object(
    metadata=_object(
        name=_TEXT,
        generateName=_TEXT,
        namespace=_TEXT,
        labels=_LABELS,
        annotations=_LABELS,
        UID=_TEXT,
        creationTimestamp=_TIME,
        deletionGracePeriodSeconds=Shape("int"),
        deletionTimestamp=_TIME,
        generation=Shape("int"),
        resourceVersion=_TEXT,
        finalizers=_TEXTS,
    ),
    spec=_object(finalizers=_TEXTS),
    status=_object(conditions=Shape("list", elem=_CONDITION), phase=_TEXT),
)


def shapes(
    *, params: bool = True, variables: Mapping[str, Shape] | None = None, written: Shape = _DYN, given: Shape = _DYN
) -> dict[str, Shape]:
    """Of what expressions may name. written: of the object; given: of the parameters; variables: None = there are no
    such expressions."""
    out = {
        "object": written,
        "oldObject": written,
        "request": _REQUEST,
        "namespaceObject": _NAMESPACE,
        "authorizer": Shape("kubernetes.authorization.Authorizer"),
    }
    if params:
        out["params"] = given
    if variables is not None:
        out["variables"] = Shape("object", members=variables)
    return out


@lru_cache(maxsize=2)
def condition_checker(params: bool) -> Checker:
    """For match conditions."""
    return Checker(shapes(params=params), "")


RESERVED = frozenset(
    "true false null in as break const continue else for function if import let loop package namespace return var void "
    "while".split()
)
"""Words of CEL that name no variable."""


class Scope:
    """What the expressions of a policy may name: each variable sees those before it."""

    def __init__(self, params: bool, written: Shape = _DYN, given: Shape = _DYN, *, variables: bool = True) -> None:
        """variables: whether there are any at all; without them their name means nothing."""
        self._variables = variables
        self._known: dict[str, Shape] = {}
        self._params, self._written, self._given = params, written, given
        self._checker: Checker | None = None

    @property
    def shapes(self) -> dict[str, Shape]:
        variables = self._known if self._variables else None
        return shapes(params=self._params, variables=variables, written=self._written, given=self._given)

    @property
    def checker(self) -> Checker:
        if self._checker is None:
            self._checker = Checker(self.shapes, "")
        return self._checker

    def add(self, variable: Any) -> str:
        """What is wrong with its expression, if anything; then it is dynamic."""
        wrong, shape = "", _DYN
        try:
            shape = self.checker.shape(self.checker.check(variable.expression.strip()))
        except CompileError as error:
            wrong = str(error)
        if variable.name.isidentifier() and variable.name not in RESERVED:
            self._known[variable.name] = shape
            self._checker = None
        return wrong


def check_expression(text: str, path: str, checker: Checker, types: tuple[str, ...] = ()) -> Errors:
    """types: those that the result may have, () = any."""
    text = text.strip()
    if not text:
        return []
    try:
        found = checker.check(text)
    except CompileError as error:
        return [invalid(path, text, f"compilation failed: {error}")]
    if types and str(found) not in types:
        if len(types) == 1:
            return [invalid(path, text, f"must evaluate to {types[0]} but got {found}")]
        return [invalid(path, text, f"must evaluate to one of [{' '.join(types)}]")]
    return []


def check_mutation(text: str, path: str, scope: Scope, wanted: str) -> Errors:
    """An expression that may make objects of the types of what is written."""
    text = text.strip()
    try:
        found = mutation.check(text, scope.shapes)
        if found == wanted:
            compile_text(rewrite(text), POLICY)
    except CompileError as error:
        return [invalid(path, text, f"compilation failed: {error}")]
    return [] if found == wanted else [invalid(path, text, f"must evaluate to {wanted} but got {found}")]
