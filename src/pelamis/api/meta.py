"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from pelamis.api.field import F, FieldsV1, Int32, Int64, RawJSON, Struct, Time, always


class OwnerReference(Struct, frozen=True):
    apiVersion: Annotated[str, F(5, required=True)] = always(str)
    kind: Annotated[str, F(1, required=True)] = always(str)
    name: Annotated[str, F(3, required=True)] = always(str)
    uid: Annotated[str, F(4, required=True)] = always(str)
    controller: Annotated[bool | None, F(6)] = None
    blockOwnerDeletion: Annotated[bool | None, F(7)] = None


class ManagedFieldsEntry(Struct, frozen=True):
    manager: Annotated[str, F(1)] = ""
    operation: Annotated[
        str,
        F(
            2,
            enum=(
                "Apply",
                "Update",
            ),
        ),
    ] = ""
    apiVersion: Annotated[str, F(3)] = ""
    time: Annotated[Time | None, F(4)] = None
    fieldsType: Annotated[str, F(6)] = ""
    fieldsV1: Annotated[FieldsV1, F(7)] = msgspec.UNSET
    subresource: Annotated[str, F(8)] = ""


class ObjectMeta(Struct, frozen=True):
    name: Annotated[str, F(1)] = ""
    generateName: Annotated[str, F(2)] = ""
    namespace: Annotated[str, F(3)] = ""
    selfLink: Annotated[str, F(4)] = ""
    uid: Annotated[str, F(5)] = ""
    resourceVersion: Annotated[str, F(6)] = ""
    generation: Annotated[Int64, F(7)] = 0
    creationTimestamp: Annotated[Time, F(8)] = ""
    deletionTimestamp: Annotated[Time | None, F(9)] = None
    deletionGracePeriodSeconds: Annotated[Int64 | None, F(10)] = None
    labels: Annotated[dict[str, str], F(11)] = {}
    annotations: Annotated[dict[str, str], F(12)] = {}
    ownerReferences: Annotated[
        tuple[OwnerReference, ...], F(13, merge="merge", key="uid", list="map", keys=("uid",))
    ] = ()
    finalizers: Annotated[tuple[str, ...], F(14, merge="merge", list="set")] = ()
    managedFields: Annotated[tuple[ManagedFieldsEntry, ...], F(17, list="atomic")] = ()


class LabelSelectorRequirement(Struct, frozen=True):
    key: Annotated[str, F(1, required=True)] = always(str)
    operator: Annotated[str, F(2, required=True)] = always(str)
    values: Annotated[tuple[str, ...], F(3, list="atomic")] = ()


class LabelSelector(Struct, frozen=True):
    matchLabels: Annotated[dict[str, str], F(1)] = {}
    matchExpressions: Annotated[tuple[LabelSelectorRequirement, ...], F(2, list="atomic")] = ()


class Condition(Struct, frozen=True):
    type: Annotated[str, F(1, required=True)] = always(str)
    status: Annotated[
        str,
        F(
            2,
            enum=(
                "True",
                "False",
                "Unknown",
            ),
            required=True,
        ),
    ] = always(str)
    observedGeneration: Annotated[Int64, F(3)] = 0
    lastTransitionTime: Annotated[Time, F(4, required=True)] = ""
    reason: Annotated[str, F(5, required=True)] = always(str)
    message: Annotated[str, F(6, required=True)] = always(str)


class FieldSelectorRequirement(Struct, frozen=True):
    key: Annotated[str, F(1, required=True)] = always(str)
    operator: Annotated[str, F(2, required=True)] = always(str)
    values: Annotated[tuple[str, ...], F(3, list="atomic")] = ()


class GroupResource(Struct, frozen=True):
    group: Annotated[str, F(1, required=True)] = always(str)
    resource: Annotated[str, F(2, required=True)] = always(str)


class Preconditions(Struct, frozen=True):
    uid: Annotated[str | None, F(1)] = None
    resourceVersion: Annotated[str | None, F(2)] = None


class DeleteOptions(Struct, frozen=True):
    kind: str = always(lambda: "DeleteOptions")
    apiVersion: str = always(lambda: "v1")
    gracePeriodSeconds: Annotated[Int64 | None, F(1)] = None
    preconditions: Annotated[Preconditions | None, F(2)] = None
    orphanDependents: Annotated[bool | None, F(3)] = None
    propagationPolicy: Annotated[str | None, F(4)] = None
    dryRun: Annotated[tuple[str, ...], F(5, list="atomic")] = ()
    ignoreStoreReadErrorWithClusterBreakingPotential: Annotated[bool | None, F(6)] = None


class ShardInfo(Struct, frozen=True):
    selector: Annotated[str, F(1, required=True)] = always(str)


class ListMeta(Struct, frozen=True):
    selfLink: Annotated[str, F(1)] = ""
    resourceVersion: Annotated[str, F(2)] = ""
    continue_: Annotated[str, F(3)] = msgspec.field(default="", name="continue")
    remainingItemCount: Annotated[Int64 | None, F(4)] = None
    shardInfo: Annotated[ShardInfo | None, F(5)] = None


class StatusCause(Struct, frozen=True):
    reason: Annotated[str, F(1)] = ""
    message: Annotated[str, F(2)] = ""
    field: Annotated[str, F(3)] = ""


class StatusDetails(Struct, frozen=True):
    name: Annotated[str, F(1)] = ""
    group: Annotated[str, F(2)] = ""
    kind: Annotated[str, F(3)] = ""
    uid: Annotated[str, F(6)] = ""
    causes: Annotated[tuple[StatusCause, ...], F(4, list="atomic")] = ()
    retryAfterSeconds: Annotated[Int32, F(5)] = 0


class Status(Struct, frozen=True):
    kind: str = always(lambda: "Status")
    apiVersion: str = always(lambda: "v1")
    metadata: Annotated[ListMeta, F(1)] = always(ListMeta)
    status: Annotated[str, F(2)] = ""
    message: Annotated[str, F(3)] = ""
    reason: Annotated[str, F(4)] = ""
    details: Annotated[StatusDetails | None, F(5)] = None
    code: Annotated[Int32, F(6)] = 0


class TableColumnDefinition(Struct, frozen=True):
    name: Annotated[str, F(None, required=True)] = always(str)
    type: Annotated[str, F(None, required=True)] = always(str)
    format: Annotated[str, F(None, required=True)] = always(str)
    description: Annotated[str, F(None, required=True)] = always(str)
    priority: Annotated[Int32, F(None, required=True)] = always(int)


class TableRowCondition(Struct, frozen=True):
    type: Annotated[str, F(None, required=True)] = always(str)
    status: Annotated[
        str,
        F(
            None,
            enum=(
                "True",
                "False",
                "Unknown",
            ),
            required=True,
        ),
    ] = always(str)
    reason: Annotated[str, F(None)] = ""
    message: Annotated[str, F(None)] = ""


class TableRow(Struct, frozen=True):
    cells: Annotated[tuple[Any, ...], F(None, list="atomic", required=True)] = always(tuple)
    conditions: Annotated[tuple[TableRowCondition, ...], F(None, list="atomic")] = ()
    object: Annotated[RawJSON, F(None)] = msgspec.UNSET


class Table(Struct, frozen=True):
    kind: str = always(lambda: "Table")
    apiVersion: str = always(lambda: "meta.k8s.io/v1")
    metadata: Annotated[ListMeta, F(None)] = always(ListMeta)
    columnDefinitions: Annotated[tuple[TableColumnDefinition, ...], F(None, list="atomic", required=True)] = always(
        tuple
    )
    rows: Annotated[tuple[TableRow, ...], F(None, list="atomic", required=True)] = always(tuple)


class PartialObjectMetadata(Struct, frozen=True):
    kind: str = always(lambda: "PartialObjectMetadata")
    apiVersion: str = always(lambda: "meta.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)


class PartialObjectMetadataList(Struct, frozen=True):
    kind: str = always(lambda: "PartialObjectMetadataList")
    apiVersion: str = always(lambda: "meta.k8s.io/v1")
    metadata: Annotated[ListMeta, F(1)] = always(ListMeta)
    items: Annotated[tuple[PartialObjectMetadata, ...], F(2, required=True)] = always(tuple)


class GroupVersionForDiscovery(Struct, frozen=True):
    groupVersion: Annotated[str, F(1, required=True)] = always(str)
    version: Annotated[str, F(2, required=True)] = always(str)


class ServerAddressByClientCIDR(Struct, frozen=True):
    clientCIDR: Annotated[str, F(1, required=True)] = always(str)
    serverAddress: Annotated[str, F(2, required=True)] = always(str)


class APIGroup(Struct, frozen=True):
    kind: str = always(lambda: "APIGroup")
    apiVersion: str = always(lambda: "v1")
    name: Annotated[str, F(1, required=True)] = always(str)
    versions: Annotated[tuple[GroupVersionForDiscovery, ...], F(2, list="atomic", required=True)] = always(tuple)
    preferredVersion: Annotated[GroupVersionForDiscovery, F(3)] = always(GroupVersionForDiscovery)
    serverAddressByClientCIDRs: Annotated[tuple[ServerAddressByClientCIDR, ...], F(4, list="atomic")] = ()


class APIGroupList(Struct, frozen=True):
    kind: str = always(lambda: "APIGroupList")
    apiVersion: str = always(lambda: "v1")
    groups: Annotated[tuple[APIGroup, ...], F(1, list="atomic", required=True)] = always(tuple)


class APIVersions(Struct, frozen=True):
    kind: str = always(lambda: "APIVersions")
    apiVersion: str = always(lambda: "v1")
    versions: Annotated[tuple[str, ...], F(1, list="atomic", required=True)] = always(tuple)
    serverAddressByClientCIDRs: Annotated[tuple[ServerAddressByClientCIDR, ...], F(2, list="atomic", required=True)] = (
        always(tuple)
    )


class APIResource(Struct, frozen=True):
    name: Annotated[str, F(1, required=True)] = always(str)
    singularName: Annotated[str, F(6, required=True)] = always(str)
    namespaced: Annotated[bool, F(2, required=True)] = always(bool)
    group: Annotated[str, F(8)] = ""
    version: Annotated[str, F(9)] = ""
    kind: Annotated[str, F(3, required=True)] = always(str)
    verbs: Annotated[tuple[str, ...], F(1, within=(4,), within_optional=True, required=True)] = always(tuple)
    shortNames: Annotated[tuple[str, ...], F(5, list="atomic")] = ()
    categories: Annotated[tuple[str, ...], F(7, list="atomic")] = ()
    storageVersionHash: Annotated[str, F(10)] = ""


class APIResourceList(Struct, frozen=True):
    kind: str = always(lambda: "APIResourceList")
    apiVersion: str = always(lambda: "v1")
    groupVersion: Annotated[str, F(1, required=True)] = always(str)
    resources: Annotated[tuple[APIResource, ...], F(2, list="atomic", required=True)] = always(tuple)


class GroupVersionKind(Struct, frozen=True):
    group: Annotated[str, F(1, required=True)] = always(str)
    version: Annotated[str, F(2, required=True)] = always(str)
    kind: Annotated[str, F(3, required=True)] = always(str)


class GroupVersionResource(Struct, frozen=True):
    group: Annotated[str, F(1, required=True)] = always(str)
    version: Annotated[str, F(2, required=True)] = always(str)
    resource: Annotated[str, F(3, required=True)] = always(str)


class WatchEvent(Struct, frozen=True):
    kind: str = always(lambda: "WatchEvent")
    apiVersion: str = always(lambda: "v1")
    type: Annotated[str, F(1, required=True)] = always(str)
    object: Annotated[RawJSON, F(2, required=True)] = msgspec.UNSET


class CreateOptions(Struct, frozen=True):
    kind: str = always(lambda: "CreateOptions")
    apiVersion: str = always(lambda: "v1")
    dryRun: Annotated[tuple[str, ...], F(1, list="atomic")] = ()
    fieldManager: Annotated[str, F(3)] = ""
    fieldValidation: Annotated[str, F(4)] = ""


class UpdateOptions(Struct, frozen=True):
    kind: str = always(lambda: "UpdateOptions")
    apiVersion: str = always(lambda: "v1")
    dryRun: Annotated[tuple[str, ...], F(1, list="atomic")] = ()
    fieldManager: Annotated[str, F(2)] = ""
    fieldValidation: Annotated[str, F(3)] = ""


class PatchOptions(Struct, frozen=True):
    kind: str = always(lambda: "PatchOptions")
    apiVersion: str = always(lambda: "v1")
    dryRun: Annotated[tuple[str, ...], F(1, list="atomic")] = ()
    force: Annotated[bool | None, F(2)] = None
    fieldManager: Annotated[str, F(3)] = ""
    fieldValidation: Annotated[str, F(4)] = ""


class GetOptions(Struct, frozen=True):
    kind: str = always(lambda: "GetOptions")
    apiVersion: str = always(lambda: "v1")
    resourceVersion: Annotated[str, F(1)] = ""


class ListOptions(Struct, frozen=True):
    kind: str = always(lambda: "ListOptions")
    apiVersion: str = always(lambda: "v1")
    labelSelector: Annotated[str, F(1)] = ""
    fieldSelector: Annotated[str, F(2)] = ""
    watch: Annotated[bool, F(3)] = False
    allowWatchBookmarks: Annotated[bool, F(9)] = False
    resourceVersion: Annotated[str, F(4)] = ""
    resourceVersionMatch: Annotated[str, F(10)] = ""
    timeoutSeconds: Annotated[Int64 | None, F(5)] = None
    limit: Annotated[Int64, F(7)] = 0
    continue_: Annotated[str, F(8)] = msgspec.field(default="", name="continue")
    sendInitialEvents: Annotated[bool | None, F(11)] = None
    shardSelector: Annotated[str, F(15)] = ""
