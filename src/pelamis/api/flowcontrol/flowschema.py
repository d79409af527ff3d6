"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.field import F, Int32, Struct, Time, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import ObjectMeta


class PriorityLevelConfigurationReference(Struct, frozen=True):
    name: Annotated[str, F(1, required=True)] = always(str)


class FlowDistinguisherMethod(Struct, frozen=True):
    type: Annotated[str, F(1, required=True)] = always(str)


class UserSubject(Struct, frozen=True):
    name: Annotated[str, F(1, required=True)] = always(str)


class GroupSubject(Struct, frozen=True):
    name: Annotated[str, F(1, required=True)] = always(str)


class ServiceAccountSubject(Struct, frozen=True):
    namespace: Annotated[str, F(1, required=True)] = always(str)
    name: Annotated[str, F(2, required=True)] = always(str)


class Subject(Struct, frozen=True):
    kind: Annotated[str, F(1, required=True)] = always(str)
    user: Annotated[UserSubject | None, F(2)] = None
    group: Annotated[GroupSubject | None, F(3)] = None
    serviceAccount: Annotated[ServiceAccountSubject | None, F(4)] = None


class ResourcePolicyRule(Struct, frozen=True):
    verbs: Annotated[tuple[str, ...], F(1, list="set", required=True)] = always(tuple)
    apiGroups: Annotated[tuple[str, ...], F(2, list="set", required=True)] = always(tuple)
    resources: Annotated[tuple[str, ...], F(3, list="set", required=True)] = always(tuple)
    clusterScope: Annotated[bool, F(4)] = False
    namespaces: Annotated[tuple[str, ...], F(5, list="set")] = always(tuple)


class NonResourcePolicyRule(Struct, frozen=True):
    verbs: Annotated[tuple[str, ...], F(1, list="set", required=True)] = always(tuple)
    nonResourceURLs: Annotated[tuple[str, ...], F(6, list="set", required=True)] = always(tuple)


class PolicyRulesWithSubjects(Struct, frozen=True):
    subjects: Annotated[tuple[Subject, ...], F(1, list="atomic", required=True)] = always(tuple)
    resourceRules: Annotated[tuple[ResourcePolicyRule, ...], F(2, list="atomic")] = ()
    nonResourceRules: Annotated[tuple[NonResourcePolicyRule, ...], F(3, list="atomic")] = ()


class FlowSchemaSpec(Struct, frozen=True):
    priorityLevelConfiguration: Annotated[PriorityLevelConfigurationReference, F(1, required=True)] = always(
        PriorityLevelConfigurationReference
    )
    matchingPrecedence: Annotated[Int32, F(2)] = always(int)
    distinguisherMethod: Annotated[FlowDistinguisherMethod | None, F(3)] = None
    rules: Annotated[tuple[PolicyRulesWithSubjects, ...], F(4, list="atomic")] = ()


class FlowSchemaCondition(Struct, frozen=True):
    type: Annotated[str, F(1, required=True)] = ""
    status: Annotated[str, F(2)] = ""
    lastTransitionTime: Annotated[Time, F(3)] = ""
    reason: Annotated[str, F(4)] = ""
    message: Annotated[str, F(5)] = ""


class FlowSchemaStatus(Struct, frozen=True):
    conditions: Annotated[
        tuple[FlowSchemaCondition, ...], F(1, merge="merge", key="type", list="map", keys=("type",))
    ] = ()


class FlowSchema(Struct, frozen=True):
    kind: str = always(lambda: "FlowSchema")
    apiVersion: str = always(lambda: "flowcontrol.apiserver.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[FlowSchemaSpec, F(2, required=True)] = always(FlowSchemaSpec)
    status: Annotated[FlowSchemaStatus, F(3)] = always(FlowSchemaStatus)


KIND = Kind(
    group="flowcontrol.apiserver.k8s.io",
    version="v1",
    type=FlowSchema,
    plural="flowschemas",
    singular="flowschema",
    namespaced=False,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(
        Subresource(
            "status",
            "flowcontrol.apiserver.k8s.io",
            "v1",
            "FlowSchema",
            ("get", "patch", "update"),
            reset=("metadata", "spec"),
        ),
    ),
    reset=("status",),
    generation=True,
    columns=(
        Column("Name", "string", format="name"),
        Column("PriorityLevel", "string"),
        Column("MatchingPrecedence", "string"),
        Column("DistinguisherMethod", "string"),
        Column("Age", "string"),
        Column("MissingPL", "string"),
    ),
    storage_hash="GJVAJZSZBIw=",
)
