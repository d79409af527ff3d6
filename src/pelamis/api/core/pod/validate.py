"""Validation of pods and pod templates; the parts are in validate_spec, validate_container and validate_volume."""

from __future__ import annotations

from pelamis.api.core.pod.template import PodTemplateSpec
from pelamis.base.errors import FieldError


def validate_pod_template(template: PodTemplateSpec, path: str) -> list[FieldError]:
    """Errors of a pod template found at ``path`` (for example ``spec.template``)."""
    errors: list[FieldError] = []
    return errors
