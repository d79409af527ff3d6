"""The files that ConfigMaps, Secrets and the downward API put into volumes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pelamis.kubelet.env import ConfigError, field_value, resource_field
from pelamis.kubelet.volumes.atomic import File

DEFAULT_MODE = 0o644


class VolumeError(Exception):
    """A volume cannot be set up now; the message is shown in a FailedMount event."""


def mode_of(declared: int | None) -> int:
    return DEFAULT_MODE if declared is None else declared


def pick(
    content: Mapping[str, bytes], items: Any, mode: int, optional: bool, what: str, user: int | None = None
) -> dict[str, File]:
    """All keys, or those that ``items`` names under the paths it gives them. what: begins the word of a missing key."""
    if not items:
        return {key: File(data, mode, user) for key, data in content.items()}
    out: dict[str, File] = {}
    for item in items:
        if item.key not in content:
            if optional:
                continue
            raise VolumeError(f"{what} key: {item.key}")
        own = mode if item.mode is None else item.mode
        out[item.path] = File(content[item.key], own, user if item.user is None else item.user)
    return out


def configmap(found: Any, items: Any, mode: int, optional: bool, user: int | None = None) -> dict[str, File]:
    content = {key: value.encode("utf-8", "surrogateescape") for key, value in found.data.items()}
    content.update(found.binaryData)
    return pick(content, items, mode, optional, "configmap references non-existent config", user)


def secret(found: Any, items: Any, mode: int, optional: bool, user: int | None = None) -> dict[str, File]:
    return pick(found.data, items, mode, optional, "references non-existent secret", user)


def downward(
    pod: Any,
    items: Any,
    mode: int,
    ips: tuple[str, ...],
    host_ips: tuple[str, ...],
    allocatable: Mapping[str, str],
    user: int | None = None,
) -> dict[str, File]:
    out: dict[str, File] = {}
    for item in items:
        try:
            if item.fieldRef is not None:
                text = field_value(pod, item.fieldRef.fieldPath, ips, host_ips)
            else:
                text = resource_field(pod, item.resourceFieldRef, allocatable)
        except ConfigError as error:
            raise VolumeError(str(error)) from error
        own = mode if item.mode is None else item.mode
        out[item.path] = File(text.encode(), own, user if item.user is None else item.user)
    return out
