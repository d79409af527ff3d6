"""The flag ``--feature-gates``, as upstream's components have it: names, defaults, what is locked, and the messages.

``Name=true,Other=false``; a component's prefix (``kube:Name=true``) is understood. ``AllAlpha`` and ``AllBeta`` stand
for every gate of that stage which is not named itself. Most of what a gate guards upstream has no switch here: it is
there always, or not at all. ``EFFECTIVE`` names those that do something.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pelamis.api.gatelist import NEEDS, STAGES

_BOOLEANS = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
}
_ALL = {"AllAlpha": "alpha", "AllBeta": "beta"}
_STAGE = {name: stage for stage, names in STAGES.items() for name in names.split()}

KINDS: Mapping[tuple[str, str], str] = {
    ("certificates.k8s.io", "clustertrustbundles"): "ClusterTrustBundle",
    ("certificates.k8s.io", "podcertificaterequests"): "PodCertificateRequest",
    ("lifecycle.k8s.io", "evictionrequests"): "EvictionRequestAPI",
    ("lifecycle.k8s.io", "evictions"): "EvictionRequestAPI",
    ("scheduling.k8s.io", "compositepodgroups"): "CompositePodGroup",
    ("scheduling.k8s.io", "podgroups"): "GenericWorkload",
    ("scheduling.k8s.io", "workloads"): "GenericWorkload",
    ("storagemigration.k8s.io", "storageversionmigrations"): "StorageVersionMigrator",
}
"""(group, resource) -> the gate that it needs beside ``--runtime-config``."""
CONTROLLERS: Mapping[str, str] = {
    "clustertrustbundle": "ClusterTrustBundle",
    "pcrcleaner": "PodCertificateRequest",
    "storageversionmigrator": "StorageVersionMigrator",
}
"""Name of a controller of ours -> the gate without which it does not run."""
EFFECTIVE = frozenset((*KINDS.values(), *CONTROLLERS.values()))


class GatesError(ValueError):
    """The text of the flag is not right; the message is upstream's."""


def default(name: str) -> bool:
    stage = _STAGE[name]
    return not (stage == "alpha" or " off" in stage)


def parse(text: str) -> dict[str, bool]:
    out: dict[str, bool] = {}
    for pair in text.split(","):
        if not pair.strip():
            continue
        name, equals, value = pair.strip().partition("=")
        name = name.strip().removeprefix("kube:")
        if not equals:
            raise GatesError(f"missing bool value for {name}")
        chosen = _BOOLEANS.get(value.strip())
        if chosen is None:
            why = f'strconv.ParseBool: parsing "{value.strip()}": invalid syntax'
            raise GatesError(f"invalid value of {name}={value.strip()}, err: {why}")
        out[name] = chosen
    return out


class Gates:
    """Raises GatesError when made of a wrong text. ``enabled(name)`` answers."""

    def __init__(self, text: str = "") -> None:
        given = parse(text)
        for name, value in given.items():
            stage = _STAGE.get(name)
            if stage is None:
                if name not in _ALL:
                    raise GatesError(f"unrecognized feature gate: {name}")
            elif stage.endswith("locked") and value != default(name):
                shown = ("false", "true")
                locked = shown[default(name)]
                raise GatesError(f"cannot set feature gate {name} to {shown[value]}, feature is locked to {locked}")
        self._given = given
        self._check_needs()

    def _check_needs(self) -> None:
        for name, needs in NEEDS.items():
            if self.enabled(name):
                off = [need for need in needs if not self.enabled(need)]
                if off:
                    raise GatesError(f"{name} is enabled, but depends on features that are disabled: [{' '.join(off)}]")

    def enabled(self, name: str) -> bool:
        if name in self._given:
            return self._given[name]
        stage = _STAGE[name]
        for every, of in _ALL.items():
            if every in self._given and stage.split()[0] == of:
                return self._given[every]
        return default(name)

    def remarks(self) -> Sequence[str]:
        """What whoever set them should know."""
        out = []
        for name, value in sorted(self._given.items()):
            stage = _STAGE.get(name, "").split(",")[0].split(" ")[0]
            if stage in ("general", "deprecated"):
                word = "GA" if stage == "general" else stage
                out.append(f"{name}: setting {word} feature gate; it will be removed in a future release")
            if name not in EFFECTIVE and value != (name not in _ALL and default(name)):
                out.append(f"{name}: accepted, and without effect here (docs/feature-gates.md)")
        return out
