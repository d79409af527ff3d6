"""CDI: what a device's name (``vendor.com/class=name``) means for a container, by the specifications that drivers put
into ``/etc/cdi`` and ``/var/run/cdi``.

Runtimes know this by themselves; containerd before 1.7, which distributions still have, does not. For it the edits that
CRI can express are made here: variables, device nodes and mounts. Hooks and what else there is cannot be.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from pelamis.kubelet.cri import types as cri

FOLDERS = ("/etc/cdi", "/var/run/cdi")
"""The later one counts where both have a device."""


class CdiError(Exception):
    pass


@dataclass(slots=True)
class Edits:
    env: dict[str, str] = field(default_factory=dict)
    devices: list[cri.Device] = field(default_factory=list)
    mounts: list[cri.Mount] = field(default_factory=list)


def understood_by(runtime: str, version: str) -> bool:
    """Whether the runtime makes the edits."""
    found = re.match(r"v?(\d+)\.(\d+)", version)
    return runtime != "containerd" or found is None or (int(found[1]), int(found[2])) >= (1, 7)


def edits(names: Sequence[str], folders: Sequence[str] = FOLDERS) -> Edits:
    """Raises CdiError."""
    found: dict[str, tuple[Any, Any]] = {}
    for spec in _specs(folders):
        for device in spec.get("devices") or ():
            found[f"{spec.get('kind')}={device.get('name')}"] = spec, device
    missing = [name for name in names if name not in found]
    if missing:
        raise CdiError(f"CDI device injection failed: unresolvable CDI devices {', '.join(missing)}")
    out = Edits()
    general: list[int] = []
    for name in names:
        spec, device = found[name]
        if id(spec) not in general:
            general.append(id(spec))
            _apply(spec.get("containerEdits") or {}, out)
        _apply(device.get("containerEdits") or {}, out)
    return out


def _specs(folders: Sequence[str]) -> Iterator[Any]:
    for folder in folders:
        for path in sorted(Path(folder).glob("*")) if os.path.isdir(folder) else ():
            try:
                text = path.read_text(encoding="utf-8")
                spec = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
            except (OSError, ValueError, yaml.YAMLError):
                continue  # one that cannot be read hides no other, as in the runtimes
            if path.suffix in (".json", ".yaml") and isinstance(spec, dict):
                yield spec


def _apply(given: Any, out: Edits) -> None:
    for variable in given.get("env") or ():
        name, _, value = variable.partition("=")
        out.env[name] = value
    for node in given.get("deviceNodes") or ():
        out.devices += _nodes(node)
    for mount in given.get("mounts") or ():
        options = mount.get("options") or ()
        out.mounts.append(
            cri.Mount(
                container_path=mount["containerPath"],
                host_path=mount["hostPath"],
                readonly="ro" in options,
                propagation=cri.PRIVATE,
            )
        )


def _nodes(node: Any) -> Iterator[cri.Device]:
    path = node["path"]
    host = node.get("hostPath") or path
    try:
        mode = os.stat(host).st_mode
    except OSError as error:
        raise CdiError(f"CDI device injection failed: failed to stat CDI host device {host!r}: {error}") from error
    if not (stat.S_ISCHR(mode) or stat.S_ISBLK(mode)):
        raise CdiError(f"CDI device injection failed: {host!r} is not a device node")
    yield cri.Device(container_path=path, host_path=host, permissions=node.get("permissions") or "rwm")
