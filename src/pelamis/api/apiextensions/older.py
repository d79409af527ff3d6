"""CustomResourceDefinitions as upstream stores them: in v1beta1, a version that is no longer served by anybody.

There, what all versions have in common stands in the spec itself: schema, subresources, columns, selectable fields.
"""

from __future__ import annotations

from typing import Any

from pelamis.api.field import Tree

VERSION = "apiextensions.k8s.io/v1beta1"
_COMMON = ("subresources", "additionalPrinterColumns", "selectableFields")


def to_v1(tree: Tree) -> None:
    """A stored v1beta1 tree into a v1 tree, in place."""
    tree["apiVersion"] = "apiextensions.k8s.io/v1"
    spec = tree.setdefault("spec", {})
    first = spec.pop("version", "")
    versions = spec.get("versions") or ([{"name": first, "served": True, "storage": True}] if first else [])
    common: dict[str, Any] = {name: value for name in _COMMON if (value := spec.pop(name, None))}
    if schema := spec.pop("validation", None):
        common["schema"] = schema
    spec["versions"] = [{**common, **version} for version in versions]
    for version in spec["versions"]:
        if columns := version.get("additionalPrinterColumns"):
            version["additionalPrinterColumns"] = [
                {("jsonPath" if name == "JSONPath" else name): value for name, value in column.items()}
                for column in columns
            ]
    if spec.setdefault("preserveUnknownFields", True) is False:
        del spec["preserveUnknownFields"]
    conversion = spec.get("conversion") or {}
    client = conversion.pop("webhookClientConfig", None)
    reviews = conversion.pop("conversionReviewVersions", None)
    if conversion.get("strategy") == "Webhook":
        webhook = {"clientConfig": client, "conversionReviewVersions": reviews or ["v1beta1"]}
        conversion["webhook"] = {name: value for name, value in webhook.items() if value}
