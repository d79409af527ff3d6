"""Validation of the pod templates that the workload kinds carry, and of the selectors over them."""

from __future__ import annotations

from pelamis.api.check import Errors
from pelamis.api.core.pod.template import PodTemplateSpec
from pelamis.api.core.pod.validate import validate_pod_template
from pelamis.api.meta import LabelSelector
from pelamis.api.metavalidate import validate_label_selector
from pelamis.base import labels
from pelamis.base.errors import forbidden, invalid, not_supported, required

MISMATCH = "`selector` does not match template `labels`"


def validate_selector(selector: LabelSelector | None, path: str, empty: str) -> Errors:
    """The selector must be there and select something; ``empty`` is the message when it selects everything."""
    if selector is None:
        return [required(path)]
    errors = list(validate_label_selector(selector, path))
    if not selector.matchLabels and not selector.matchExpressions:
        errors.append(invalid(path, selector, empty))
    return errors


def compile_selector(selector: LabelSelector | None) -> labels.Selector | None:
    """None when it is not a selector, which validate_selector has reported."""
    try:
        return labels.from_label_selector(selector)
    except labels.SelectorError:
        return None


def validate_match(selector: labels.Selector, template: PodTemplateSpec, path: str) -> Errors:
    if selector.empty or selector.matches(template.metadata.labels):
        return []
    return [invalid(f"{path}.metadata.labels", template.metadata.labels or None, MISMATCH)]


def validate_long_running(template: PodTemplateSpec, path: str, kind: str) -> Errors:
    """Pods that are replaced whenever they end: always restarted, without a deadline."""
    errors: Errors = []
    policy = template.spec.restartPolicy
    if policy != "Always":
        errors.append(not_supported(f"{path}.spec.restartPolicy", policy, ["Always"]))
    if template.spec.activeDeadlineSeconds is not None:
        errors.append(
            forbidden(f"{path}.spec.activeDeadlineSeconds", f"activeDeadlineSeconds in {kind} is not Supported")
        )
    return errors


def validate_shared_disks(template: PodTemplateSpec, path: str) -> Errors:
    """A GCE disk that several pods mount must be read-only."""
    return [
        invalid(
            f"{path}.spec.volumes[{i}].gcePersistentDisk.readOnly",
            False,
            "must be true for replicated pods > 1; GCE PD can only be mounted on multiple machines if it is read-only",
        )
        for i, volume in enumerate(template.spec.volumes)
        if volume.gcePersistentDisk is not None and not volume.gcePersistentDisk.readOnly
    ]


def validate_replicated_template(
    selector: LabelSelector | None, template: PodTemplateSpec, replicas: int, path: str
) -> Errors:
    """The template of a Deployment or ReplicaSet, whose spec is at ``path``."""
    compiled = compile_selector(selector)
    if compiled is None:
        return [invalid(f"{path}.selector", selector, "invalid label selector")]
    where = f"{path}.template"
    errors = validate_match(compiled, template, where)
    errors += validate_pod_template(template, where)
    if replicas > 1:
        errors += validate_shared_disks(template, where)
    errors += validate_long_running(template, where, "ReplicaSet")
    return errors
