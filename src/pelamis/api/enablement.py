"""Which of the built-in kinds are served: the flag ``--runtime-config``, as upstream's API server has it.

``key=value`` pairs, separated by commas. By falling precedence: ``group/version/resource``, ``group/version`` (the core
group has no name: ``/v1``), ``api/alpha``, ``api/beta`` and ``api/ga``, ``api/all``. By default the generally available
versions are on, all others off. The messages are upstream's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pelamis.api import gates as featuregates
from pelamis.api import registry
from pelamis.api.gates import Gates
from pelamis.api.kind import Kind

_FAMILIES = {
    "api/all": re.compile(r".*"),
    "api/ga": re.compile(r"v\d+"),
    "api/beta": re.compile(r"v\d+beta\d+"),
    "api/alpha": re.compile(r"v\d+alpha\d+"),
}
"""In the order in which they are applied."""

_NO_LONGER_SERVED: Mapping[str, tuple[str, ...]] = {
    "apps": ("v1beta1", "v1beta2"),
    "authentication.k8s.io": ("v1alpha1", "v1beta1"),
    "authorization.k8s.io": ("v1beta1",),
    "batch": ("v1beta1",),
    "certificates.k8s.io": ("v1alpha1",),
    "discovery.k8s.io": ("v1beta1",),
    "events.k8s.io": ("v1beta1",),
    "extensions": ("v1beta1",),
    "flowcontrol.apiserver.k8s.io": ("v1beta1", "v1beta2", "v1beta3"),
    "networking.k8s.io": ("v1beta1",),
    "node.k8s.io": ("v1alpha1", "v1beta1"),
    "policy": ("v1beta1",),
    "rbac.authorization.k8s.io": ("v1alpha1", "v1beta1"),
    "storage.k8s.io": ("v1alpha1", "v1beta1"),
}
"""Versions that may be named although nothing is left of them."""

_BOOLEANS = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
}


class EnablementError(ValueError):
    """The text of the flag is not right; the message is upstream's."""


def parse(text: str) -> dict[str, str]:
    out: dict[str, str] = {}
    for pair in text.split(","):
        key, _, value = pair.strip().partition("=")
        if key.strip():
            out[key.strip()] = value.strip()
    return out


class Enablement:
    """Raises EnablementError when made of a wrong text. ``served(kind)`` answers.

    gates: what a kind's feature gate says counts too; None = as if all of them were on.
    """

    def __init__(self, text: str = "", gates: Gates | None = None) -> None:
        self._gates = gates
        given = parse(text)
        self._families: dict[str, bool] = {}
        self._versions: dict[tuple[str, str], bool] = {}
        self._resources: dict[tuple[str, str, str], bool] = {}
        self._check(given)
        for key, value in given.items():
            if key in _FAMILIES:
                if value not in ("true", "false"):
                    raise EnablementError(f"invalid value {key}={value}")
                self._families[key] = value == "true"
        for key, value in given.items():
            if key not in _FAMILIES:
                self._one(key, value)

    def _check(self, given: Mapping[str, str]) -> None:
        if given == {"api/all": "false"}:
            raise EnablementError("invalid key with only api/all=false")
        groups = []
        for key in given:
            if key in _FAMILIES:
                continue
            parts = key.split("/")
            if len(parts) not in (2, 3):
                raise EnablementError(f"runtime-config invalid key {key}")
            groups.append(parts[0])
        known = {group for group, _, _ in registry.GROUPS} | _NO_LONGER_SERVED.keys()
        unknown = [g for g in groups if g not in known]
        if unknown:
            raise EnablementError(f"unknown api groups {','.join(unknown)}")

    def _one(self, key: str, value: str) -> None:
        group, version, *rest = key.split("/")
        if not self._registered(group, version):
            shown = f"{group}/{version}" if group else version
            raise EnablementError(f"group version {shown} that has not been registered")
        enabled = _BOOLEANS.get(value or "true")
        if enabled is None:
            why = f'strconv.ParseBool: parsing "{value}": invalid syntax'
            raise EnablementError(f"invalid value of {key}: {value}, err: {why}")
        if not rest:
            self._versions[group, version] = enabled
            return
        if rest[0] != rest[0].lower():
            raise EnablementError(
                f'invalid key {key}: group/version/resource and resource is always lowercase plural, not "{rest[0]}"'
            )
        self._resources[group, version, rest[0]] = enabled

    @staticmethod
    def _registered(group: str, version: str) -> bool:
        if version in registry.EARLY.get(group, ()) or version in _NO_LONGER_SERVED.get(group, ()):
            return True
        return any((k.group, k.version) == (group, version) for k in registry.general())

    def served(self, kind: Kind) -> bool:
        return self._enabled(kind.group, kind.version, kind.plural) and not self.missing_gate(kind)

    def missing_gate(self, kind: Kind) -> str:
        """The feature gate that keeps the kind from being served; "" if none does."""
        gate = featuregates.KINDS.get((kind.group, kind.plural), "")
        return gate if gate and self._gates is not None and not self._gates.enabled(gate) else ""

    def kept_back(self) -> list[str]:
        """For people: kinds that this flag switches on and a feature gate keeps off."""
        out: dict[str, None] = {}
        for kind in (*registry.general(), *registry.early(self.groups())):
            gate = self.missing_gate(kind)
            if gate and self._enabled(kind.group, kind.version, kind.plural):
                out[f"{kind.api_version} {kind.plural} needs --feature-gates {gate}=true"] = None
        return list(out)

    def _enabled(self, group: str, version: str, plural: str) -> bool:
        found = self._resources.get((group, version, plural), self._versions.get((group, version)))
        if found is not None:
            return found
        on = _FAMILIES["api/ga"].fullmatch(version) is not None
        for family, pattern in _FAMILIES.items():
            if family in self._families and pattern.fullmatch(version):
                on = self._families[family]
        return on

    def groups(self) -> list[str]:
        """The groups of which something may be served that is off by default."""
        named = {g for g, _ in self._versions} | {g for g, _, _ in self._resources}
        return [
            group
            for group, versions in registry.EARLY.items()
            if group in named or any(self._enabled(group, v, "") for v in versions)
        ]

    def registry(self) -> registry.Registry:
        return registry.builtin(self.served, self.groups())
