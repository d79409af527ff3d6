"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.core.pod.template import PodTemplateSpec
from pelamis.api.field import F, Struct, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta


class PodTemplate(Struct, frozen=True):
    kind: str = always(lambda: "PodTemplate")
    apiVersion: str = always(lambda: "v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    template: Annotated[PodTemplateSpec, F(2)] = always(PodTemplateSpec)


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
)
