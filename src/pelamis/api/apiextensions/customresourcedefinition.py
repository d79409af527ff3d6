"""CustomResourceDefinition: adds a resource to the API, with a schema for each of its versions.

Validation is in ``crdvalidation``, the logic of schemas in ``structural``; ``custom`` makes the kind that serves the
resource. The storage version is always listed in ``status.storedVersions``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from pelamis.api.apiextensions import older
from pelamis.api.apiextensions.crdvalidation import validate, validate_status_update, validate_update
from pelamis.api.field import Double, F, Int32, Int64, RawJSON, Struct, Time, Tree, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import ObjectMeta


class CustomResourceDefinitionNames(Struct, frozen=True):
    plural: Annotated[str, F(1, "Plural name in URLs; lower case.", required=True)] = always(str)
    singular: Annotated[str, F(2, "Singular name; kind in lower case by default.")] = ""
    shortNames: Annotated[tuple[str, ...], F(3, "Short names for the command line.", list="atomic")] = ()
    kind: Annotated[str, F(4, "Kind, CamelCase, singular.", required=True)] = always(str)
    listKind: Annotated[str, F(5, "Kind of a list; kind with List by default.")] = ""
    categories: Annotated[
        tuple[str, ...], F(6, "Groups of resources that it belongs to, such as all.", list="atomic")
    ] = ()


class ExternalDocumentation(Struct, frozen=True):
    description: Annotated[str, F(1, "What it is.")] = ""
    url: Annotated[str, F(2, "Where it is.")] = ""


class ValidationRule(Struct, frozen=True):
    rule: Annotated[str, F(1, "CEL over self, and oldSelf for a rule about changes.", required=True)] = always(str)
    message: Annotated[str, F(2, "What a refusal says.")] = ""
    messageExpression: Annotated[str, F(3, "CEL, gives the message.")] = ""
    reason: Annotated[
        str | None,
        F(
            4,
            "Reason of the field error.",
            enum=(
                "FieldValueRequired",
                "FieldValueDuplicate",
                "FieldValueInvalid",
                "FieldValueForbidden",
            ),
        ),
    ] = None
    fieldPath: Annotated[str, F(5, "Path of the field that is blamed.")] = ""
    optionalOldSelf: Annotated[bool | None, F(6, "oldSelf is optional: the rule runs on creation too.")] = None


class JSONSchemaProps(Struct, frozen=True):
    id: Annotated[str, F(1, "Not used.")] = ""
    schema: Annotated[str, F(2, "Not used.")] = msgspec.field(default="", name="$schema")
    ref: Annotated[str | None, F(3, "Not allowed.")] = msgspec.field(default=None, name="$ref")
    description: Annotated[str, F(4, "What it means, for people.")] = ""
    type: Annotated[str, F(5, "object, array, string, integer, number or boolean.")] = ""
    format: Annotated[str, F(6, "Further form of the value, such as date-time or int64.")] = ""
    title: Annotated[str, F(7, "A title, for people.")] = ""
    default: Annotated[RawJSON, F(8, "Value when absent.")] = msgspec.UNSET
    maximum: Annotated[Double | None, F(9, "Largest number.")] = None
    exclusiveMaximum: Annotated[bool, F(10, "Whether maximum itself is too large.")] = False
    minimum: Annotated[Double | None, F(11, "Smallest number.")] = None
    exclusiveMinimum: Annotated[bool, F(12, "Whether minimum itself is too small.")] = False
    maxLength: Annotated[Int64 | None, F(13, "Most characters.")] = None
    minLength: Annotated[Int64 | None, F(14, "Least characters.")] = None
    pattern: Annotated[str, F(15, "Regular expression (RE2) found in the text.")] = ""
    maxItems: Annotated[Int64 | None, F(16, "Most items.")] = None
    minItems: Annotated[Int64 | None, F(17, "Least items.")] = None
    uniqueItems: Annotated[bool, F(18, "Must be false; see x-kubernetes-list-type: set.")] = False
    multipleOf: Annotated[Double | None, F(19, "The number is a multiple of it.")] = None
    enum: Annotated[tuple[RawJSON, ...], F(20, "The allowed values.", list="atomic")] = ()
    maxProperties: Annotated[Int64 | None, F(21, "Most members.")] = None
    minProperties: Annotated[Int64 | None, F(22, "Least members.")] = None
    required: Annotated[tuple[str, ...], F(23, "Members that must be there.", list="atomic")] = ()
    items: Annotated[JSONSchemaProps | tuple[JSONSchemaProps, ...] | None, F(24, "Schema of each item.")] = None
    allOf: Annotated[tuple[JSONSchemaProps, ...], F(25, "All of these hold.", list="atomic")] = ()
    oneOf: Annotated[tuple[JSONSchemaProps, ...], F(26, "Exactly one of these holds.", list="atomic")] = ()
    anyOf: Annotated[tuple[JSONSchemaProps, ...], F(27, "At least one of these holds.", list="atomic")] = ()
    not_: Annotated[JSONSchemaProps | None, F(28, "This does not hold.")] = msgspec.field(default=None, name="not")
    properties: Annotated[dict[str, JSONSchemaProps], F(29, "Schemas of the members, by name.")] = {}
    additionalProperties: Annotated[
        JSONSchemaProps | bool | None, F(30, "Schema of all other members, or whether there may be any.")
    ] = None
    patternProperties: Annotated[dict[str, JSONSchemaProps], F(31, "Not allowed.")] = {}
    dependencies: Annotated[dict[str, JSONSchemaProps | tuple[str, ...]], F(32, "Not allowed.")] = {}
    additionalItems: Annotated[JSONSchemaProps | bool | None, F(33, "Not allowed.")] = None
    definitions: Annotated[dict[str, JSONSchemaProps], F(34, "Not allowed.")] = {}
    externalDocs: Annotated[ExternalDocumentation | None, F(35, "Further documentation.")] = None
    example: Annotated[RawJSON, F(36, "An example, for people.")] = msgspec.UNSET
    nullable: Annotated[bool, F(37, "Whether null is allowed.")] = False
    xKubernetesPreserveUnknownFields: Annotated[bool | None, F(38, "Keep members that the schema does not know.")] = (
        msgspec.field(default=None, name="x-kubernetes-preserve-unknown-fields")
    )
    xKubernetesEmbeddedResource: Annotated[
        bool, F(39, "The value is an object with apiVersion, kind and metadata.")
    ] = msgspec.field(default=False, name="x-kubernetes-embedded-resource")
    xKubernetesIntOrString: Annotated[bool, F(40, "The value is an integer or a text.")] = msgspec.field(
        default=False, name="x-kubernetes-int-or-string"
    )
    xKubernetesListMapKeys: Annotated[
        tuple[str, ...], F(41, "Members that identify an item of a map-like list.", list="atomic")
    ] = msgspec.field(default=(), name="x-kubernetes-list-map-keys")
    xKubernetesListType: Annotated[str | None, F(42, "atomic, set or map: how lists are merged.")] = msgspec.field(
        default=None, name="x-kubernetes-list-type"
    )
    xKubernetesMapType: Annotated[str | None, F(43, "granular or atomic: how maps are merged.")] = msgspec.field(
        default=None, name="x-kubernetes-map-type"
    )
    xKubernetesValidations: Annotated[
        tuple[ValidationRule, ...],
        F(44, "CEL rules that must hold.", merge="merge", key="rule", list="map", keys=("rule",)),
    ] = msgspec.field(default=(), name="x-kubernetes-validations")


class CustomResourceValidation(Struct, frozen=True):
    openAPIV3Schema: Annotated[JSONSchemaProps | None, F(1, "The schema; structural.")] = None


class CustomResourceSubresourceStatus(Struct, frozen=True):
    pass


class CustomResourceSubresourceScale(Struct, frozen=True):
    specReplicasPath: Annotated[str, F(1, "Path of the wanted number under .spec.", required=True)] = always(str)
    statusReplicasPath: Annotated[str, F(2, "Path of the actual number under .status.", required=True)] = always(str)
    labelSelectorPath: Annotated[str | None, F(3, "Path of the selector's text under .spec or .status.")] = None


class CustomResourceSubresources(Struct, frozen=True):
    status: Annotated[CustomResourceSubresourceStatus | None, F(1)] = None
    scale: Annotated[CustomResourceSubresourceScale | None, F(2, "The scale subresource.")] = None


class CustomResourceColumnDefinition(Struct, frozen=True):
    name: Annotated[str, F(1, "Head of the column.", required=True)] = always(str)
    type: Annotated[str, F(2, "integer, number, string, boolean or date.", required=True)] = always(str)
    format: Annotated[str, F(3, "Further form, such as int64.")] = ""
    description: Annotated[str, F(4, "What it shows.")] = ""
    priority: Annotated[Int32, F(5, "0 shows always, more only with -o wide.")] = 0
    jsonPath: Annotated[str, F(6, "Path of the value.", required=True)] = always(str)


class SelectableField(Struct, frozen=True):
    jsonPath: Annotated[str, F(1, "Path of a field with a plain value.", required=True)] = always(str)


class CustomResourceDefinitionVersion(Struct, frozen=True):
    name: Annotated[str, F(1, "Name of the version, such as v1beta1.", required=True)] = always(str)
    served: Annotated[bool, F(2, "Whether it is served.", required=True)] = always(bool)
    storage: Annotated[bool, F(3, "Whether objects are stored in it; true for exactly one.", required=True)] = always(
        bool
    )
    deprecated: Annotated[bool, F(7, "Whether requests for it get a warning.")] = False
    deprecationWarning: Annotated[str | None, F(8, "That warning's text.")] = None
    schema: Annotated[CustomResourceValidation | None, F(4, "Schema of the objects.")] = None
    subresources: Annotated[CustomResourceSubresources | None, F(5, "Which subresources it has.")] = None
    additionalPrinterColumns: Annotated[
        tuple[CustomResourceColumnDefinition, ...], F(6, "Columns of kubectl get.", list="atomic")
    ] = ()
    selectableFields: Annotated[
        tuple[SelectableField, ...], F(9, "Fields for field selectors; at most 8.", list="atomic")
    ] = ()


class ServiceReference(Struct, frozen=True):
    namespace: Annotated[str, F(1, "Namespace of the service.", required=True)] = always(str)
    name: Annotated[str, F(2, "Name of the service.", required=True)] = always(str)
    path: Annotated[str | None, F(3, "URL path of the requests.")] = None
    port: Annotated[Int32 | None, F(4, "Port of the service.", default=443)] = None


class WebhookClientConfig(Struct, frozen=True):
    url: Annotated[str | None, F(3, "https://host:port/path of the server.")] = None
    service: Annotated[ServiceReference | None, F(1, "The service in the cluster that serves it.")] = None
    caBundle: Annotated[
        bytes, F(2, "PEM certificates that its server certificate is checked with; unset means those of the system.")
    ] = b""


class WebhookConversion(Struct, frozen=True):
    clientConfig: Annotated[WebhookClientConfig | None, F(2, "Where the webhook is.")] = None
    conversionReviewVersions: Annotated[
        tuple[str, ...],
        F(3, "Versions of ConversionReview that it understands, best first.", list="atomic", required=True),
    ] = always(tuple)


class CustomResourceConversion(Struct, frozen=True):
    strategy: Annotated[str, F(1, "None: only apiVersion changes. Webhook: it is asked.", required=True)] = always(str)
    webhook: Annotated[WebhookConversion | None, F(2, "The webhook, for that strategy.")] = None


class CustomResourceDefinitionSpec(Struct, frozen=True):
    group: Annotated[str, F(1, "API group that it is served under.", required=True)] = always(str)
    names: Annotated[CustomResourceDefinitionNames, F(3, "Names of the resource and the kind.", required=True)] = (
        always(CustomResourceDefinitionNames)
    )
    scope: Annotated[str, F(4, "Namespaced or Cluster.", required=True)] = always(str)
    versions: Annotated[
        tuple[CustomResourceDefinitionVersion, ...],
        F(7, "Served and stored versions, in any order.", list="atomic", required=True),
    ] = always(tuple)
    conversion: Annotated[
        CustomResourceConversion | None,
        F(9, "How objects get from one version to another.", default={"strategy": "None"}),
    ] = None
    preserveUnknownFields: Annotated[bool, F(10, "Old: keep what no schema knows. Must be false.")] = False


class CustomResourceDefinitionCondition(Struct, frozen=True):
    type: Annotated[str, F(1, "Which condition this is.", required=True)] = always(str)
    status: Annotated[str, F(2, "True, False or Unknown.", required=True)] = always(str)
    lastTransitionTime: Annotated[Time, F(3, "When the status last changed.")] = ""
    reason: Annotated[str, F(4, "One word in CamelCase: why it is so.")] = ""
    message: Annotated[str, F(5, "The same for people.")] = ""
    observedGeneration: Annotated[Int64, F(6, "metadata.generation that the status is about.")] = 0


class CustomResourceDefinitionStatus(Struct, frozen=True):
    conditions: Annotated[
        tuple[CustomResourceDefinitionCondition, ...],
        F(1, "Observations of its state, one of each type.", list="map", keys=("type",)),
    ] = always(tuple)
    acceptedNames: Annotated[CustomResourceDefinitionNames, F(2, "The names in use; spec.names may be taken.")] = (
        always(CustomResourceDefinitionNames)
    )
    storedVersions: Annotated[tuple[str, ...], F(3, "Versions that objects were ever stored in.", list="atomic")] = (
        always(tuple)
    )
    observedGeneration: Annotated[Int64, F(4, "metadata.generation that the status is about.")] = 0


class CustomResourceDefinition(Struct, frozen=True):
    """Adds a resource to the API, with a schema for each of its versions."""

    kind: str = always(lambda: "CustomResourceDefinition")
    apiVersion: str = always(lambda: "apiextensions.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[CustomResourceDefinitionSpec, F(2, required=True)] = always(CustomResourceDefinitionSpec)
    status: Annotated[CustomResourceDefinitionStatus, F(3)] = always(CustomResourceDefinitionStatus)


def default(tree: Tree) -> None:
    spec = tree.setdefault("spec", {})
    names = spec.setdefault("names", {})
    kind = names.get("kind", "")
    if kind and not names.get("singular"):
        names["singular"] = kind.lower()
    if kind and not names.get("listKind"):
        names["listKind"] = f"{kind}List"
    if spec.get("conversion") is None:
        spec["conversion"] = {"strategy": "None"}
    webhook = (spec["conversion"].get("webhook") or {}).get("clientConfig") or {}
    if webhook.get("service") is not None and webhook["service"].get("port") is None:
        webhook["service"]["port"] = 443
    _note_storage_version(tree, only_if_none=True)


def _note_storage_version(tree: Tree, *, only_if_none: bool = False) -> None:
    status = tree.get("status") or {}
    stored = list(status.get("storedVersions") or ())
    for version in tree["spec"].get("versions") or ():
        name = version.get("name", "")
        if version.get("storage") and name not in stored and not (only_if_none and stored):
            stored.append(name)
    # A new one: the status of an update is the old object's own.
    tree["status"] = {**status, "storedVersions": stored}


def prepare_create(tree: Tree) -> None:
    tree["status"] = {"conditions": [], "acceptedNames": {"plural": "", "kind": ""}}
    _note_storage_version(tree)


def prepare_update(tree: Tree, old: Tree) -> None:
    _note_storage_version(tree)


def cells(obj: CustomResourceDefinition, now: float) -> Sequence[Any]:
    return obj.metadata.name, obj.metadata.creationTimestamp


KIND = Kind(
    group="apiextensions.k8s.io",
    version="v1",
    type=CustomResourceDefinition,
    plural="customresourcedefinitions",
    singular="customresourcedefinition",
    short_names=("crd", "crds"),
    categories=("api-extensions",),
    namespaced=False,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(
        Subresource(
            "status",
            "apiextensions.k8s.io",
            "v1",
            "CustomResourceDefinition",
            ("get", "patch", "update"),
            reset=("metadata", "spec"),
        ),
    ),
    reset=("status",),
    generation=True,
    unconditional_update=False,
    columns=(
        Column("Name", "string", format="name"),
        Column("Created At", "date"),
    ),
    storage_hash="M5uH+AlWATY=",
    cells=cells,
    default=default,
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    validate=validate,
    validate_update=validate_update,
    validate_status_update=validate_status_update,
    storage="apiextensions.k8s.io/customresourcedefinitions",
    retired={older.VERSION: older.to_v1},
)
