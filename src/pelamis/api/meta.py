"""Types that all API groups share: object and list metadata, selectors, conditions, options, Status, Table, discovery.

Source: ``k8s.io/apimachinery/pkg/apis/meta/v1``.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from pelamis.api.field import F, FieldsV1, Int32, Int64, RawJSON, Struct, Time, always


class OwnerReference(Struct, frozen=True):
    """An object that this one belongs to; when all owners are gone, the garbage collector deletes it."""

    apiVersion: Annotated[str, F(5, "Group and version of the owner.", required=True)] = always(str)
    kind: Annotated[str, F(1, "Kind of the owner.", required=True)] = always(str)
    name: Annotated[str, F(3, "Name of the owner.", required=True)] = always(str)
    uid: Annotated[str, F(4, "UID of the owner.", required=True)] = always(str)
    controller: Annotated[bool | None, F(6, "True for the one owner that manages the object.")] = None
    blockOwnerDeletion: Annotated[
        bool | None, F(7, "True: a foreground deletion of the owner waits until this object is gone.")
    ] = None


class ManagedFieldsEntry(Struct, frozen=True):
    """The fields that one manager set by one kind of request."""

    manager: Annotated[str, F(1, "Name of the workflow that manages the fields.")] = ""
    operation: Annotated[
        str,
        F(
            2,
            "Apply or Update.",
            enum=(
                "Apply",
                "Update",
            ),
        ),
    ] = ""
    apiVersion: Annotated[str, F(3, "Version of the resource that fieldsV1 is written in.")] = ""
    time: Annotated[Time | None, F(4, "When the entry was made, or last changed its fields.")] = None
    fieldsType: Annotated[str, F(6, "Format of the field set: FieldsV1.")] = ""
    fieldsV1: Annotated[FieldsV1, F(7, "The set of fields, in the FieldsV1 format.")] = msgspec.UNSET
    subresource: Annotated[str, F(8, "Subresource that was written through; empty for the main resource.")] = ""


class ObjectMeta(Struct, frozen=True):
    """What every stored object carries."""

    name: Annotated[str, F(1, "Name, unique within the namespace for its kind. Cannot be changed.")] = ""
    generateName: Annotated[str, F(2, "Prefix of a name that the server completes when name is empty.")] = ""
    namespace: Annotated[
        str, F(3, "Namespace the object is in; empty for cluster-scoped kinds. Cannot be changed.")
    ] = ""
    selfLink: Annotated[str, F(4, "No longer set by the system.")] = ""
    uid: Annotated[str, F(5, "Unique in time and space; set by the server on creation.")] = ""
    resourceVersion: Annotated[str, F(6, "Opaque version of the object, for optimistic concurrency and watches.")] = ""
    generation: Annotated[Int64, F(7, "Grows by one with every change of the desired state.")] = 0
    creationTimestamp: Annotated[
        Time, F(8, "CreationTimestamp is a timestamp: when the server created the object.")
    ] = ""
    deletionTimestamp: Annotated[
        Time | None, F(9, "When the object is to be gone; set by the server on a graceful deletion.")
    ] = None
    deletionGracePeriodSeconds: Annotated[
        Int64 | None, F(10, "Seconds that the object has for terminating, once deletionTimestamp is set.")
    ] = None
    labels: Annotated[dict[str, str], F(11, "Keys and values to select objects by.")] = {}
    annotations: Annotated[dict[str, str], F(12, "Keys and values for tools; not for selecting. 256 KiB at most.")] = {}
    ownerReferences: Annotated[
        tuple[OwnerReference, ...],
        F(13, "Objects that this one depends on.", merge="merge", key="uid", list="map", keys=("uid",)),
    ] = ()
    finalizers: Annotated[
        tuple[str, ...],
        F(
            14,
            "Must be empty before the object is removed; each entry is removed by its component.",
            merge="merge",
            list="set",
        ),
    ] = ()
    managedFields: Annotated[
        tuple[ManagedFieldsEntry, ...], F(17, "Which manager set which fields; kept by the server.", list="atomic")
    ] = ()


class LabelSelectorRequirement(Struct, frozen=True):
    """A condition on one label."""

    key: Annotated[str, F(1, "The label key.", required=True)] = always(str)
    operator: Annotated[str, F(2, "In, NotIn, Exists or DoesNotExist.", required=True)] = always(str)
    values: Annotated[tuple[str, ...], F(3, "Values for In and NotIn; empty for the others.", list="atomic")] = ()


class LabelSelector(Struct, frozen=True):
    """Selects objects by their labels; all conditions must hold. Empty selects everything, absent nothing."""

    matchLabels: Annotated[dict[str, str], F(1, "Labels that must be present with these values.")] = {}
    matchExpressions: Annotated[tuple[LabelSelectorRequirement, ...], F(2, "Conditions on labels.", list="atomic")] = ()


class Condition(Struct, frozen=True):
    """One aspect of the current state of an object."""

    type: Annotated[
        str, F(1, "Name of the condition, in CamelCase or as foo.example.com/CamelCase.", required=True)
    ] = always(str)
    status: Annotated[
        str,
        F(
            2,
            "True, False or Unknown.",
            enum=(
                "True",
                "False",
                "Unknown",
            ),
            required=True,
        ),
    ] = always(str)
    observedGeneration: Annotated[Int64, F(3, "metadata.generation that the condition was computed for.")] = 0
    lastTransitionTime: Annotated[Time, F(4, "When the status last changed.", required=True)] = ""
    reason: Annotated[str, F(5, "Why the status last changed, as a word for programs.", required=True)] = always(str)
    message: Annotated[str, F(6, "Why the status last changed, as a text for people.", required=True)] = always(str)


class FieldSelectorRequirement(Struct, frozen=True):
    key: Annotated[str, F(1, "The field's label.", required=True)] = always(str)
    operator: Annotated[str, F(2, "In, NotIn, Exists or DoesNotExist.", required=True)] = always(str)
    values: Annotated[tuple[str, ...], F(3, "Values, for In and NotIn.", list="atomic")] = ()


class GroupResource(Struct, frozen=True):
    group: Annotated[str, F(1, "API group.", required=True)] = always(str)
    resource: Annotated[str, F(2, "Resource.", required=True)] = always(str)


class Preconditions(Struct, frozen=True):
    """What must hold for an operation to be carried out."""

    uid: Annotated[str | None, F(1, "The UID that the object must have.")] = None
    resourceVersion: Annotated[str | None, F(2, "The resourceVersion that the object must have.")] = None


class DeleteOptions(Struct, frozen=True):
    """How an object is deleted."""

    kind: str = always(lambda: "DeleteOptions")
    apiVersion: str = always(lambda: "v1")
    gracePeriodSeconds: Annotated[
        Int64 | None, F(1, "Seconds until the object is deleted; 0 = at once; absent = the default of the kind.")
    ] = None
    preconditions: Annotated[Preconditions | None, F(2, "Must hold before the deletion is carried out, else 409.")] = (
        None
    )
    orphanDependents: Annotated[bool | None, F(3, "Deprecated: use propagationPolicy.")] = None
    propagationPolicy: Annotated[
        str | None, F(4, "Orphan, Background or Foreground: what becomes of the dependents.")
    ] = None
    dryRun: Annotated[tuple[str, ...], F(5, "All: nothing is persisted.", list="atomic")] = ()
    ignoreStoreReadErrorWithClusterBreakingPotential: Annotated[
        bool | None, F(6, "True: delete even if the stored object cannot be read.")
    ] = None


class ShardInfo(Struct, frozen=True):
    selector: Annotated[str, F(1, required=True)] = always(str)


class ListMeta(Struct, frozen=True):
    """Metadata of a list."""

    selfLink: Annotated[str, F(1, "No longer set by the system.")] = ""
    resourceVersion: Annotated[str, F(2, "Version of the list, to start a watch from.")] = ""
    continue_: Annotated[str, F(3, "Token to get the next part of the list with; empty at the end.")] = msgspec.field(
        default="", name="continue"
    )
    remainingItemCount: Annotated[Int64 | None, F(4, "Number of objects after this part, where it is known.")] = None
    shardInfo: Annotated[ShardInfo | None, F(5, "Which shard of the collection the list holds.")] = None


class StatusCause(Struct, frozen=True):
    """One cause of a failure."""

    reason: Annotated[str, F(1, "Machine-readable cause.")] = ""
    message: Annotated[str, F(2, "Text for people.")] = ""
    field: Annotated[str, F(3, "Path of the field, such as spec.containers[0].image.")] = ""


class StatusDetails(Struct, frozen=True):
    """Data about what a Status is about."""

    name: Annotated[str, F(1, "Name of the object.")] = ""
    group: Annotated[str, F(2, "API group of the object.")] = ""
    kind: Annotated[str, F(3, "Kind or resource of the object.")] = ""
    uid: Annotated[str, F(6, "UID of the object.")] = ""
    causes: Annotated[tuple[StatusCause, ...], F(4, "Single causes of the failure.", list="atomic")] = ()
    retryAfterSeconds: Annotated[Int32, F(5, "Seconds after which to try again.")] = 0


class Status(Struct, frozen=True):
    """The outcome of a request that returns no object."""

    kind: str = always(lambda: "Status")
    apiVersion: str = always(lambda: "v1")
    metadata: Annotated[ListMeta, F(1, "List metadata.")] = always(ListMeta)
    status: Annotated[str, F(2, "Success or Failure.")] = ""
    message: Annotated[str, F(3, "Text for people.")] = ""
    reason: Annotated[str, F(4, "Machine-readable cause of the failure.")] = ""
    details: Annotated[StatusDetails | None, F(5, "Further data about the reason.")] = None
    code: Annotated[Int32, F(6, "HTTP status code.")] = 0


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
    reason: Annotated[str, F(None, "One word in CamelCase for the last transition.")] = ""
    message: Annotated[str, F(None, "The last transition, for people.")] = ""


class TableRow(Struct, frozen=True):
    cells: Annotated[tuple[Any, ...], F(None, list="atomic", required=True)] = always(tuple)
    conditions: Annotated[tuple[TableRowCondition, ...], F(None, list="atomic")] = ()
    object: Annotated[RawJSON, F(None)] = msgspec.UNSET


class Table(Struct, frozen=True):
    kind: str = always(lambda: "Table")
    apiVersion: str = always(lambda: "meta.k8s.io/v1")
    metadata: Annotated[ListMeta, F(None, "Standard object metadata.")] = always(ListMeta)
    columnDefinitions: Annotated[tuple[TableColumnDefinition, ...], F(None, list="atomic", required=True)] = always(
        tuple
    )
    rows: Annotated[tuple[TableRow, ...], F(None, list="atomic", required=True)] = always(tuple)


class PartialObjectMetadata(Struct, frozen=True):
    kind: str = always(lambda: "PartialObjectMetadata")
    apiVersion: str = always(lambda: "meta.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1, "Standard object metadata.")] = always(ObjectMeta)


class PartialObjectMetadataList(Struct, frozen=True):
    kind: str = always(lambda: "PartialObjectMetadataList")
    apiVersion: str = always(lambda: "meta.k8s.io/v1")
    metadata: Annotated[ListMeta, F(1, "Standard object metadata.")] = always(ListMeta)
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
