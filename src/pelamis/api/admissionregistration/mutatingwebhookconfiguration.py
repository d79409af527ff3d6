"""MutatingWebhookConfiguration: webhooks that may change a write, called in order of name."""

from __future__ import annotations

from typing import Annotated

from pelamis.api.admissionregistration.hook import cells, default_hooks, validate_hooks
from pelamis.api.admissionregistration.match import MatchCondition, RuleWithOperations, static_suffix_warnings
from pelamis.api.admissionregistration.webhook import WebhookClientConfig
from pelamis.api.check import Errors
from pelamis.api.field import F, Int32, Struct, Tree, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import LabelSelector, ObjectMeta


class MutatingWebhook(Struct, frozen=True):
    name: Annotated[str, F(1, "Full name, such as check.example.com; unique in the object.", required=True)] = always(
        str
    )
    clientConfig: Annotated[WebhookClientConfig, F(2, "Where the webhook is.", required=True)] = always(
        WebhookClientConfig
    )
    rules: Annotated[
        tuple[RuleWithOperations, ...], F(3, "Which requests are sent; any one that matches is enough.", list="atomic")
    ] = ()
    failurePolicy: Annotated[
        str | None,
        F(
            4,
            "Fail or Ignore: what an error in the evaluation or the call means.",
            enum=(
                "Ignore",
                "Fail",
            ),
            default="Fail",
        ),
    ] = None
    matchPolicy: Annotated[
        str | None,
        F(
            9,
            "Exact, or Equivalent: requests for another version of the same resource match too.",
            enum=(
                "Exact",
                "Equivalent",
            ),
            default="Equivalent",
        ),
    ] = None
    namespaceSelector: Annotated[
        LabelSelector | None, F(5, "Namespaces by their labels; empty means all.", default={})
    ] = None
    objectSelector: Annotated[
        LabelSelector | None, F(11, "Objects by their labels, before or after the change; empty means all.", default={})
    ] = None
    sideEffects: Annotated[
        str | None,
        F(
            6,
            "None, or NoneOnDryRun: effects outside of the answer.",
            enum=(
                "Unknown",
                "None",
                "Some",
                "NoneOnDryRun",
            ),
            required=True,
        ),
    ] = None
    timeoutSeconds: Annotated[Int32 | None, F(7, "Seconds to wait for an answer, 1 to 30.", default=10)] = None
    admissionReviewVersions: Annotated[
        tuple[str, ...],
        F(8, "Versions of AdmissionReview that it understands, best first.", list="atomic", required=True),
    ] = always(tuple)
    reinvocationPolicy: Annotated[
        str | None,
        F(
            10,
            "Never, or IfNeeded: called again when a later step changed the object.",
            enum=(
                "Never",
                "IfNeeded",
            ),
            default="Never",
        ),
    ] = None
    matchConditions: Annotated[
        tuple[MatchCondition, ...],
        F(12, "CEL conditions that must all hold; at most 64.", merge="merge", key="name", list="map", keys=("name",)),
    ] = ()


class MutatingWebhookConfiguration(Struct, frozen=True):
    """Webhooks that may change a write, called in order of name."""

    kind: str = always(lambda: "MutatingWebhookConfiguration")
    apiVersion: str = always(lambda: "admissionregistration.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    webhooks: Annotated[
        tuple[MutatingWebhook, ...],
        F(2, "The webhooks, called one after the other.", merge="merge", key="name", list="map", keys=("name",)),
    ] = ()


def default(tree: Tree) -> None:
    default_hooks(tree)
    for hook in tree.get("webhooks") or ():
        if hook.get("reinvocationPolicy") is None:
            hook["reinvocationPolicy"] = "Never"


def validate(obj: MutatingWebhookConfiguration) -> Errors:
    return validate_hooks(obj.webhooks)


def validate_update(obj: MutatingWebhookConfiguration, old: MutatingWebhookConfiguration) -> Errors:
    return validate(obj)


KIND = Kind(
    group="admissionregistration.k8s.io",
    version="v1",
    type=MutatingWebhookConfiguration,
    plural="mutatingwebhookconfigurations",
    singular="mutatingwebhookconfiguration",
    categories=("api-extensions",),
    namespaced=False,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    generation=True,
    unconditional_update=False,
    columns=(
        Column("Name", "string", format="name"),
        Column("Webhooks", "integer"),
        Column("Age", "string"),
    ),
    storage_hash="Sqi0GUgDaX0=",
    cells=cells,
    default=default,
    validate=validate,
    warnings=static_suffix_warnings,
    validate_update=validate_update,
)
