"""PodTemplate: a pod template kept as an object of its own."""

from __future__ import annotations

from typing import Annotated, Any

from pelamis.api.cell import format_containers, format_labels
from pelamis.api.core.pod.default import default_pod_template
from pelamis.api.core.pod.template import PodTemplateSpec
from pelamis.api.core.pod.validate import validate_pod_template
from pelamis.api.core.pod.warnings import pod_template_warnings
from pelamis.api.field import F, Struct, Tree, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta
from pelamis.base.errors import FieldError


class PodTemplate(Struct, frozen=True):
    """A pod template as an object."""

    kind: str = always(lambda: "PodTemplate")
    apiVersion: str = always(lambda: "v1")
    metadata: Annotated[ObjectMeta, F(1, "Name, labels and other metadata.")] = always(ObjectMeta)
    template: Annotated[PodTemplateSpec, F(2, "The template.")] = always(PodTemplateSpec)


def default(tree: Tree) -> None:
    template = tree.get("template")
    if template:
        default_pod_template(template)


def validate(obj: PodTemplate) -> list[FieldError]:
    return validate_pod_template(obj.template, "template")


def validate_update(obj: PodTemplate, old: PodTemplate) -> list[FieldError]:
    return validate(obj)


def warnings(obj: PodTemplate) -> list[str]:
    return pod_template_warnings(obj.template, "template")


def cells(obj: PodTemplate, now: float) -> tuple[Any, ...]:
    containers, images = format_containers(obj.template.spec)
    return obj.metadata.name, containers, images, format_labels(obj.template.metadata.labels)


KIND = Kind(
    group="",
    version="v1",
    type=PodTemplate,
    plural="podtemplates",
    singular="podtemplate",
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    generation=True,
    columns=(
        Column("Name", "string", format="name"),
        Column("Containers", "string"),
        Column("Images", "string"),
        Column("Pod Labels", "string"),
    ),
    storage_hash="LIXB2x4IFpk=",
    cells=cells,
    default=default,
    validate=validate,
    validate_update=validate_update,
    warnings=warnings,
)
