"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.field import F, Struct, always
from pelamis.api.meta import LabelSelector


class ParamKind(Struct, frozen=True):
    apiVersion: Annotated[str, F(1)] = ""
    kind: Annotated[str, F(2)] = ""


class RuleWithOperations(Struct, frozen=True):
    operations: Annotated[
        tuple[str, ...],
        F(
            1,
            list="atomic",
            enum=(
                "*",
                "CREATE",
                "UPDATE",
                "DELETE",
                "CONNECT",
            ),
        ),
    ] = ()
    apiGroups: Annotated[tuple[str, ...], F(1, within=(2,), list="atomic")] = ()
    apiVersions: Annotated[tuple[str, ...], F(2, within=(2,), list="atomic")] = ()
    resources: Annotated[tuple[str, ...], F(3, within=(2,), list="atomic")] = ()
    scope: Annotated[
        str | None,
        F(
            4,
            within=(2,),
            enum=(
                "Cluster",
                "Namespaced",
                "*",
            ),
            default="*",
        ),
    ] = None


class NamedRuleWithOperations(Struct, frozen=True):
    resourceNames: Annotated[tuple[str, ...], F(1, list="atomic")] = ()
    operations: Annotated[
        tuple[str, ...],
        F(
            1,
            within=(2,),
            list="atomic",
            enum=(
                "*",
                "CREATE",
                "UPDATE",
                "DELETE",
                "CONNECT",
            ),
        ),
    ] = ()
    apiGroups: Annotated[tuple[str, ...], F(1, within=(2, 2), list="atomic")] = ()
    apiVersions: Annotated[tuple[str, ...], F(2, within=(2, 2), list="atomic")] = ()
    resources: Annotated[tuple[str, ...], F(3, within=(2, 2), list="atomic")] = ()
    scope: Annotated[
        str | None,
        F(
            4,
            within=(2, 2),
            enum=(
                "Cluster",
                "Namespaced",
                "*",
            ),
            default="*",
        ),
    ] = None


class MatchResources(Struct, frozen=True):
    namespaceSelector: Annotated[LabelSelector | None, F(1, default={})] = None
    objectSelector: Annotated[LabelSelector | None, F(2, default={})] = None
    resourceRules: Annotated[tuple[NamedRuleWithOperations, ...], F(3, list="atomic")] = ()
    excludeResourceRules: Annotated[tuple[NamedRuleWithOperations, ...], F(4, list="atomic")] = ()
    matchPolicy: Annotated[
        str | None,
        F(
            7,
            enum=(
                "Exact",
                "Equivalent",
            ),
            default="Equivalent",
        ),
    ] = None


class Variable(Struct, frozen=True):
    name: Annotated[str, F(1, required=True)] = always(str)
    expression: Annotated[str, F(2, required=True)] = always(str)


class MatchCondition(Struct, frozen=True):
    name: Annotated[str, F(1, required=True)] = always(str)
    expression: Annotated[str, F(2, required=True)] = always(str)


class ParamRef(Struct, frozen=True):
    name: Annotated[str, F(1)] = ""
    namespace: Annotated[str, F(2)] = ""
    selector: Annotated[LabelSelector | None, F(3)] = None
    parameterNotFoundAction: Annotated[str | None, F(4)] = None
