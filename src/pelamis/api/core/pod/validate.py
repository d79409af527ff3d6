"""Validation of pods and of pod templates on create; the parts are in the validate_* modules beside this one.

``validate_pod_template`` and ``check_pod_spec`` serve all kinds that hold a template.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

import msgspec

from pelamis.api.core.pod.affinity import Toleration
from pelamis.api.core.pod.container import AppArmorProfile, SeccompProfile
from pelamis.api.core.pod.pod import Pod
from pelamis.api.core.pod.spec import PodSpec
from pelamis.api.core.pod.template import PodTemplateSpec
from pelamis.api.core.pod.validate_affinity import check_tolerations
from pelamis.api.core.pod.validate_container import AnyContainer, check_image_padding
from pelamis.api.core.pod.validate_spec import check_pod_spec
from pelamis.api.core.pod.validate_volume import check_descending_path
from pelamis.api.metavalidate import validate_annotations, validate_labels
from pelamis.base.errors import FieldError, forbidden, invalid

Errors = list[FieldError]
MIRROR = "kubernetes.io/config.mirror"
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
APP_ARMOR = "container.apparmor.security.beta.kubernetes.io/"
_SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
_SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"
_TOLERATIONS = "scheduler.alpha.kubernetes.io/tolerations"


def containers_with_path(spec: PodSpec, path: str) -> Iterator[tuple[AnyContainer, str]]:
    """Init, regular and ephemeral containers with the field path of each."""
    for i, init in enumerate(spec.initContainers):
        yield init, f"{path}.initContainers[{i}]"
    for i, container in enumerate(spec.containers):
        yield container, f"{path}.containers[{i}]"
    for i, ephemeral in enumerate(spec.ephemeralContainers):
        yield ephemeral, f"{path}.ephemeralContainers[{i}]"


def validate_pod(pod: Pod) -> list[FieldError]:
    """Errors of a new pod, metadata apart."""
    errors: Errors = []
    check_pod(pod, errors)
    spec = pod.spec
    if spec.ephemeralContainers:
        errors.append(forbidden("spec.ephemeralContainers", "cannot be set on create"))
    if spec.nodeName and spec.schedulingGates:
        errors.append(forbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared"))
    if pod.metadata.annotations:
        _check_profiles_match(pod.metadata.annotations, spec, "spec", errors)
    return errors


def check_pod(pod: Pod, errors: Errors) -> None:
    """What holds of a pod at any time."""
    spec = pod.spec
    if pod.metadata.annotations:
        check_pod_annotations(pod.metadata.annotations, spec, "metadata.annotations", errors)
    check_pod_spec(spec, "spec", errors, pod_name=pod.metadata.name, is_pod=True)
    if not spec.serviceAccountName:
        for i, volume in enumerate(spec.volumes):
            if volume.projected is None:
                continue
            for j, source in enumerate(volume.projected.sources):
                if source.serviceAccountToken is not None:
                    at = f"spec.volumes[{i}].projected.sources[{j}].serviceAccountToken"
                    errors.append(forbidden(at, "must not be specified when serviceAccountName is not set"))
    for field in ("containers", "initContainers"):
        for i, container in enumerate(getattr(spec, field)):
            image = container.image
            if image and (image[0] <= " " or image[-1] <= " "):
                check_image_padding(container, f"spec.{field}[{i}]", errors)


def validate_pod_template(template: PodTemplateSpec, path: str) -> list[FieldError]:
    """Errors of a pod template found at ``path`` (for example ``spec.template``)."""
    errors: Errors = []
    metadata, spec = template.metadata, template.spec
    if metadata.labels:
        errors.extend(validate_labels(metadata.labels, f"{path}.labels"))
    if metadata.annotations:
        errors.extend(validate_annotations(metadata.annotations, f"{path}.annotations"))
        check_pod_annotations(metadata.annotations, spec, f"{path}.annotations", errors)
    check_pod_spec(spec, f"{path}.spec", errors)
    if metadata.annotations:
        _check_profiles_match(metadata.annotations, spec, f"{path}.spec", errors)
    if spec.ephemeralContainers:
        at = f"{path}.spec.ephemeralContainers"
        errors.append(forbidden(at, "ephemeral containers not allowed in pod template"))
    return errors


def check_pod_annotations(annotations: Mapping[str, str], spec: PodSpec, path: str, errors: Errors) -> None:
    """Annotations that have a meaning for pods."""
    if MIRROR in annotations and not spec.nodeName:
        detail = "must set spec.nodeName if mirror pod annotation is set"
        errors.append(invalid(f"{path}[{MIRROR}]", annotations[MIRROR], detail))
    if annotations.get(_TOLERATIONS):
        _check_toleration_annotation(annotations[_TOLERATIONS], path, errors)
    cost = annotations.get(DELETION_COST)
    if cost is not None and deletion_cost(cost) is None:
        errors.append(invalid(f"{path}[{DELETION_COST}]", cost, "must be a 32bit integer"))
    for key, value in annotations.items():
        if key == _SECCOMP_POD or key.startswith(_SECCOMP_CONTAINER):
            _check_seccomp_text(value, f"{path}.{key}", errors)
        elif key.startswith(APP_ARMOR):
            name = key[len(APP_ARMOR) :]
            if not any(c.name == name for c, _ in containers_with_path(spec, "")):
                errors.append(invalid(f"{path}[{key}]", name, "container not found"))
            if value not in ("", "runtime/default", "unconfined") and not value.startswith("localhost/"):
                errors.append(invalid(f"{path}[{key}]", value, f'invalid AppArmor profile name: "{value}"'))


def deletion_cost(text: str) -> int | None:
    """The number of the deletion cost annotation; None if it is not a 32 bit integer in plain notation."""
    digits = text.removeprefix("-")
    plain = digits.isascii() and digits.isdigit() and (digits == "0" or digits[0] != "0") and text != "-0"
    number = int(text) if plain else None
    return number if number is not None and -(1 << 31) <= number < 1 << 31 else None


def _check_toleration_annotation(text: str, path: str, errors: Errors) -> None:
    try:
        tolerations = msgspec.convert(json.loads(text), tuple[Toleration, ...])
    except (ValueError, msgspec.ValidationError) as e:
        errors.append(invalid(path, _TOLERATIONS, str(e)))
        return
    check_tolerations(tolerations, f"{path}.{_TOLERATIONS}", errors)


def _check_seccomp_text(text: str, path: str, errors: Errors) -> None:
    if text in ("runtime/default", "docker/default", "unconfined"):
        return
    if text.startswith("localhost/"):
        check_descending_path(text.removeprefix("localhost/"), path, errors)
    else:
        errors.append(invalid(path, text, "must be a valid seccomp profile"))


def _check_profiles_match(annotations: Mapping[str, str], spec: PodSpec, path: str, errors: Errors) -> None:
    """The old annotations for seccomp and AppArmor may be given beside the fields, but must say the same."""
    if not any("seccomp" in key or "apparmor" in key for key in annotations):
        return
    context = spec.securityContext
    pod_armor: AppArmorProfile | None = None
    if context is not None:
        pod_armor = context.appArmorProfile
        if context.seccompProfile is not None and _SECCOMP_POD in annotations:
            at = f"{path}.securityContext.seccompProfile"
            _match_seccomp(annotations[_SECCOMP_POD], context.seccompProfile, at, errors)
    for container, at in containers_with_path(spec, path):
        own = container.securityContext
        seccomp = own.seccompProfile if own is not None else None
        text = annotations.get(_SECCOMP_CONTAINER + container.name)
        if seccomp is not None and text is not None:
            _match_seccomp(text, seccomp, f"{at}.securityContext.seccompProfile", errors)
    if spec.os is not None and spec.os.name == "windows":
        return
    for container, at in containers_with_path(spec, path):
        own = container.securityContext
        armor = (own.appArmorProfile if own is not None else None) or pod_armor
        text = annotations.get(APP_ARMOR + container.name)
        if armor is not None and text is not None:
            _match_app_armor(text, armor, f"{at}.securityContext.appArmorProfile", errors)


def _match(
    text: str, kind: str, local: str | None, names: Mapping[str, tuple[str, ...]], what: str, at: str, errors: Errors
) -> None:
    if kind in names:
        if text not in names[kind]:
            errors.append(forbidden(f"{at}.type", f"{what} type in annotation and field must match"))
    elif kind == "Localhost":
        if not text.startswith("localhost/"):
            errors.append(forbidden(f"{at}.type", f"{what} type in annotation and field must match"))
        elif local is None or text.removeprefix("localhost/") != local:
            errors.append(forbidden(f"{at}.localhostProfile", f"{what} profile in annotation and field must match"))


def _match_seccomp(text: str, profile: SeccompProfile, at: str, errors: Errors) -> None:
    known = {"Unconfined": ("unconfined",), "RuntimeDefault": ("runtime/default", "docker/default")}
    _match(text, profile.type, profile.localhostProfile, known, "seccomp", at, errors)


def _match_app_armor(text: str, profile: AppArmorProfile, at: str, errors: Errors) -> None:
    known = {"Unconfined": ("unconfined",), "RuntimeDefault": ("runtime/default",)}
    _match(text, profile.type, profile.localhostProfile, known, "apparmor", at, errors)
