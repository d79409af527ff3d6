"""CustomResourceDefinition: adds a resource to the API, with a schema for each of its versions.

Validation is in ``crdvalidation``, the logic of schemas in ``structural``; ``custom`` makes the kind that serves the
resource. The storage version is always listed in ``status.storedVersions``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from pelamis.api.apiextensions.crdvalidation import validate, validate_status_update, validate_update
from pelamis.api.field import Double, F, Int32, Int64, RawJSON, Struct, Time, Tree, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import ObjectMeta


class CustomResourceDefinitionNames(Struct, frozen=True):
    plural: Annotated[str, F(1, required=True)] = always(str)
    singular: Annotated[str, F(2)] = ""
    shortNames: Annotated[tuple[str, ...], F(3, list="atomic")] = ()
    kind: Annotated[str, F(4, required=True)] = always(str)
    listKind: Annotated[str, F(5)] = ""
    categories: Annotated[tuple[str, ...], F(6, list="atomic")] = ()


class ExternalDocumentation(Struct, frozen=True):
    description: Annotated[str, F(1)] = ""
    url: Annotated[str, F(2)] = ""


class ValidationRule(Struct, frozen=True):
    rule: Annotated[str, F(1, required=True)] = always(str)
    message: Annotated[str, F(2)] = ""
    messageExpression: Annotated[str, F(3)] = ""
    reason: Annotated[
        str | None,
        F(
            4,
            enum=(
                "FieldValueRequired",
                "FieldValueDuplicate",
                "FieldValueInvalid",
                "FieldValueForbidden",
            ),
        ),
    ] = None
    fieldPath: Annotated[str, F(5)] = ""
    optionalOldSelf: Annotated[bool | None, F(6)] = None


class JSONSchemaProps(Struct, frozen=True):
    id: Annotated[str, F(1)] = ""
    schema: Annotated[str, F(2)] = msgspec.field(default="", name="$schema")
    ref: Annotated[str | None, F(3)] = msgspec.field(default=None, name="$ref")
    description: Annotated[str, F(4)] = ""
    type: Annotated[str, F(5)] = ""
    format: Annotated[str, F(6)] = ""
    title: Annotated[str, F(7)] = ""
    default: Annotated[RawJSON, F(8)] = msgspec.UNSET
    maximum: Annotated[Double | None, F(9)] = None
    exclusiveMaximum: Annotated[bool, F(10)] = False
    minimum: Annotated[Double | None, F(11)] = None
    exclusiveMinimum: Annotated[bool, F(12)] = False
    maxLength: Annotated[Int64 | None, F(13)] = None
    minLength: Annotated[Int64 | None, F(14)] = None
    pattern: Annotated[str, F(15)] = ""
    maxItems: Annotated[Int64 | None, F(16)] = None
    minItems: Annotated[Int64 | None, F(17)] = None
    uniqueItems: Annotated[bool, F(18)] = False
    multipleOf: Annotated[Double | None, F(19)] = None
    enum: Annotated[tuple[RawJSON, ...], F(20, list="atomic")] = ()
    maxProperties: Annotated[Int64 | None, F(21)] = None
    minProperties: Annotated[Int64 | None, F(22)] = None
    required: Annotated[tuple[str, ...], F(23, list="atomic")] = ()
    items: Annotated[JSONSchemaProps | tuple[JSONSchemaProps, ...] | None, F(24)] = None
    allOf: Annotated[tuple[JSONSchemaProps, ...], F(25, list="atomic")] = ()
    oneOf: Annotated[tuple[JSONSchemaProps, ...], F(26, list="atomic")] = ()
    anyOf: Annotated[tuple[JSONSchemaProps, ...], F(27, list="atomic")] = ()
    not_: Annotated[JSONSchemaProps | None, F(28)] = msgspec.field(default=None, name="not")
    properties: Annotated[dict[str, JSONSchemaProps], F(29)] = {}
    additionalProperties: Annotated[JSONSchemaProps | bool | None, F(30)] = None
    patternProperties: Annotated[dict[str, JSONSchemaProps], F(31)] = {}
    dependencies: Annotated[dict[str, JSONSchemaProps | tuple[str, ...]], F(32)] = {}
    additionalItems: Annotated[JSONSchemaProps | bool | None, F(33)] = None
    definitions: Annotated[dict[str, JSONSchemaProps], F(34)] = {}
    externalDocs: Annotated[ExternalDocumentation | None, F(35)] = None
    example: Annotated[RawJSON, F(36)] = msgspec.UNSET
    nullable: Annotated[bool, F(37)] = False
    xKubernetesPreserveUnknownFields: Annotated[bool | None, F(38)] = msgspec.field(
        default=None, name="x-kubernetes-preserve-unknown-fields"
    )
    xKubernetesEmbeddedResource: Annotated[bool, F(39)] = msgspec.field(
        default=False, name="x-kubernetes-embedded-resource"
    )
    xKubernetesIntOrString: Annotated[bool, F(40)] = msgspec.field(default=False, name="x-kubernetes-int-or-string")
    xKubernetesListMapKeys: Annotated[tuple[str, ...], F(41, list="atomic")] = msgspec.field(
        default=(), name="x-kubernetes-list-map-keys"
    )
    xKubernetesListType: Annotated[str | None, F(42)] = msgspec.field(default=None, name="x-kubernetes-list-type")
    xKubernetesMapType: Annotated[str | None, F(43)] = msgspec.field(default=None, name="x-kubernetes-map-type")
    xKubernetesValidations: Annotated[
        tuple[ValidationRule, ...], F(44, merge="merge", key="rule", list="map", keys=("rule",))
    ] = msgspec.field(default=(), name="x-kubernetes-validations")


class CustomResourceValidation(Struct, frozen=True):
    openAPIV3Schema: Annotated[JSONSchemaProps | None, F(1)] = None


class CustomResourceSubresourceStatus(Struct, frozen=True):
    pass


class CustomResourceSubresourceScale(Struct, frozen=True):
    specReplicasPath: Annotated[str, F(1, required=True)] = always(str)
    statusReplicasPath: Annotated[str, F(2, required=True)] = always(str)
    labelSelectorPath: Annotated[str | None, F(3)] = None


class CustomResourceSubresources(Struct, frozen=True):
    status: Annotated[CustomResourceSubresourceStatus | None, F(1)] = None
    scale: Annotated[CustomResourceSubresourceScale | None, F(2)] = None


class CustomResourceColumnDefinition(Struct, frozen=True):
    name: Annotated[str, F(1, required=True)] = always(str)
    type: Annotated[str, F(2, required=True)] = always(str)
    format: Annotated[str, F(3)] = ""
    description: Annotated[str, F(4)] = ""
    priority: Annotated[Int32, F(5)] = 0
    jsonPath: Annotated[str, F(6, required=True)] = always(str)


class SelectableField(Struct, frozen=True):
    jsonPath: Annotated[str, F(1, required=True)] = always(str)


class CustomResourceDefinitionVersion(Struct, frozen=True):
    name: Annotated[str, F(1, required=True)] = always(str)
    served: Annotated[bool, F(2, required=True)] = always(bool)
    storage: Annotated[bool, F(3, required=True)] = always(bool)
    deprecated: Annotated[bool, F(7)] = False
    deprecationWarning: Annotated[str | None, F(8)] = None
    schema: Annotated[CustomResourceValidation | None, F(4)] = None
    subresources: Annotated[CustomResourceSubresources | None, F(5)] = None
    additionalPrinterColumns: Annotated[tuple[CustomResourceColumnDefinition, ...], F(6, list="atomic")] = ()
    selectableFields: Annotated[tuple[SelectableField, ...], F(9, list="atomic")] = ()


class ServiceReference(Struct, frozen=True):
    namespace: Annotated[str, F(1, required=True)] = always(str)
    name: Annotated[str, F(2, required=True)] = always(str)
    path: Annotated[str | None, F(3)] = None
    port: Annotated[Int32 | None, F(4, default=443)] = None


class WebhookClientConfig(Struct, frozen=True):
    url: Annotated[str | None, F(3)] = None
    service: Annotated[ServiceReference | None, F(1)] = None
    caBundle: Annotated[bytes, F(2)] = b""


class WebhookConversion(Struct, frozen=True):
    clientConfig: Annotated[WebhookClientConfig | None, F(2)] = None
    conversionReviewVersions: Annotated[tuple[str, ...], F(3, list="atomic", required=True)] = always(tuple)


class CustomResourceConversion(Struct, frozen=True):
    strategy: Annotated[str, F(1, required=True)] = always(str)
    webhook: Annotated[WebhookConversion | None, F(2)] = None


class CustomResourceDefinitionSpec(Struct, frozen=True):
    group: Annotated[str, F(1, required=True)] = always(str)
    names: Annotated[CustomResourceDefinitionNames, F(3, required=True)] = always(CustomResourceDefinitionNames)
    scope: Annotated[str, F(4, required=True)] = always(str)
    versions: Annotated[tuple[CustomResourceDefinitionVersion, ...], F(7, list="atomic", required=True)] = always(tuple)
    conversion: Annotated[CustomResourceConversion | None, F(9, default={"strategy": "None"})] = None
    preserveUnknownFields: Annotated[bool, F(10)] = False


class CustomResourceDefinitionCondition(Struct, frozen=True):
    type: Annotated[str, F(1, required=True)] = always(str)
    status: Annotated[str, F(2, required=True)] = always(str)
    lastTransitionTime: Annotated[Time, F(3)] = ""
    reason: Annotated[str, F(4)] = ""
    message: Annotated[str, F(5)] = ""
    observedGeneration: Annotated[Int64, F(6)] = 0


class CustomResourceDefinitionStatus(Struct, frozen=True):
    conditions: Annotated[tuple[CustomResourceDefinitionCondition, ...], F(1, list="map", keys=("type",))] = always(
        tuple
    )
    acceptedNames: Annotated[CustomResourceDefinitionNames, F(2)] = always(CustomResourceDefinitionNames)
    storedVersions: Annotated[tuple[str, ...], F(3, list="atomic")] = always(tuple)
    observedGeneration: Annotated[Int64, F(4)] = 0


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
    status = tree.setdefault("status", {})
    stored = list(status.get("storedVersions") or ())
    for version in tree["spec"].get("versions") or ():
        name = version.get("name", "")
        if version.get("storage") and name not in stored and not (only_if_none and stored):
            stored.append(name)
    status["storedVersions"] = stored


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
)
