"""The environment of a hollow container, as far as its pod's declaration says it. Pure.

Values of ConfigMaps and Secrets are not among them, nor what is known of the pod only later.
"""

from __future__ import annotations

from typing import Any

from pelamis.kubelet import env


def known(pod: Any, container: Any) -> dict[str, str]:
    out = {"HOSTNAME": pod.spec.hostname or pod.metadata.name}
    for variable in container.env:
        source = variable.valueFrom
        try:
            if source is None:
                out[variable.name] = env.expand(variable.value, out)
            elif source.fieldRef is not None and not source.fieldRef.fieldPath.startswith("status."):
                out[variable.name] = env.field_value(pod, source.fieldRef.fieldPath)
            elif source.resourceFieldRef is not None:
                out[variable.name] = env.resource_field(pod, source.resourceFieldRef, {}, container)
            else:
                out.pop(variable.name, None)
        except env.ConfigError:
            out.pop(variable.name, None)
    return out
