"""Audit policies, audit.k8s.io/v1: what is noted of a request, and at which stages. The first rule that fits decides.

``load`` reads a file; ``Policy.judge`` is pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from pelamis.apiserver.request import RequestInfo
from pelamis.apiserver.user import User

NONE, METADATA, REQUEST, RESPONSE = range(4)
LEVELS = ("None", "Metadata", "Request", "RequestResponse")
STAGES = ("RequestReceived", "ResponseStarted", "ResponseComplete", "Panic")
_VERSIONS = ("audit.k8s.io/v1",)
_TEXTS = ("users", "userGroups", "verbs", "namespaces", "nonResourceURLs", "omitStages")


class PolicyError(ValueError):
    """What is wrong with a policy, all of it."""


class Judgment(NamedTuple):
    level: int
    stages: frozenset[str]
    """That are noted."""
    managed: bool
    """Objects are noted with their managedFields."""


@dataclass(frozen=True, slots=True)
class Rule:
    judgment: Judgment
    users: Sequence[str] = ()
    groups: Sequence[str] = ()
    verbs: Sequence[str] = ()
    resources: Sequence[tuple[str, Sequence[str], Sequence[str]]] = ()
    """(group, resources, names)."""
    namespaces: Sequence[str] = ()
    paths: Sequence[str] = ()

    def applies(self, user: User, info: RequestInfo) -> bool:
        if self.users and user.name not in self.users:
            return False
        if self.groups and not any(group in self.groups for group in user.groups):
            return False
        if self.verbs and info.verb not in self.verbs:
            return False
        if self.namespaces or self.resources:
            return self._covers(info)
        if self.paths:
            return not info.is_resource and any(_path_matches(info.path, path) for path in self.paths)
        return True

    def _covers(self, info: RequestInfo) -> bool:
        if not info.is_resource or (self.namespaces and info.namespace not in self.namespaces):
            return False
        if not self.resources:
            return True
        whole = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
        alike = {whole, "*", f"{info.resource}/*"} | ({f"*/{info.subresource}"} if info.subresource else set())
        return any(
            group == info.group
            and (not resources or ((not names or info.name in names) and not alike.isdisjoint(resources)))
            for group, resources, names in self.resources
        )


def _path_matches(path: str, wanted: str) -> bool:
    return wanted in ("*", path) or (wanted.endswith("*") and path.startswith(wanted.rstrip("*")))


_SILENT = Judgment(NONE, frozenset(), managed=True)


@dataclass(frozen=True, slots=True)
class Policy:
    rules: Sequence[Rule]

    def judge(self, user: User, info: RequestInfo) -> Judgment:
        return next((rule.judgment for rule in self.rules if rule.applies(user, info)), _SILENT)


def parse(tree: Any) -> Policy:
    """Raises PolicyError."""
    problems: list[str] = []
    if not isinstance(tree, dict) or tree.get("kind") != "Policy" or tree.get("apiVersion") not in _VERSIONS:
        raise PolicyError(f"must be a Policy of {_VERSIONS[0]}")
    rules = tree.get("rules") or []
    if not rules:
        raise PolicyError("loaded illegal policy with 0 rules")
    omitted = _stages(tree.get("omitStages"), "omitStages", problems)
    out = []
    for i, rule in enumerate(rules):
        path = f"rules[{i}]"
        if not isinstance(rule, dict):
            problems.append(f"{path}: must be an object")
            continue
        for name in sorted(set(rule) - {"level", "resources", "omitManagedFields", *_TEXTS}):
            problems.append(f'{path}: unknown field "{name}"')
        for name in _TEXTS:
            if not _is_texts(rule.get(name)):
                problems.append(f"{path}.{name}: must be a list of strings")
        level = rule.get("level")
        if level not in LEVELS:
            shown = f'Unsupported value: "{level}"' if level else "Required value"
            problems.append(f"{path}.level: {shown}")
        if rule.get("nonResourceURLs") and (rule.get("resources") or rule.get("namespaces")):
            problems.append(
                f"{path}.nonResourceURLs: rules cannot apply to both regular resources and non-resource URLs"
            )
        problems += _bad_paths(rule.get("nonResourceURLs") or (), f"{path}.nonResourceURLs")
        resources = [
            _resources(r, f"{path}.resources[{j}]", problems) for j, r in enumerate(rule.get("resources") or ())
        ]
        stages = _stages(rule.get("omitStages"), f"{path}.omitStages", problems) | omitted
        managed = rule.get("omitManagedFields")
        if problems:
            continue
        judgment = Judgment(
            LEVELS.index(level), frozenset(STAGES) - stages,
            managed=not (tree.get("omitManagedFields", False) if managed is None else managed),
        )  # fmt: skip
        users, groups, verbs, namespaces, paths = (
            tuple(rule.get(n) or ()) for n in ("users", "userGroups", "verbs", "namespaces", "nonResourceURLs")
        )
        out.append(Rule(judgment, users, groups, verbs, resources, namespaces, paths))
    if problems:
        raise PolicyError("; ".join(problems))
    return Policy(out)


def _is_texts(value: Any) -> bool:
    return value is None or (isinstance(value, list) and all(isinstance(v, str) for v in value))


def _stages(value: Any, path: str, problems: list[str]) -> frozenset[str]:
    found = value if isinstance(value, list) else []
    problems += [f'{path}: "{s}" is no stage: {", ".join(STAGES)}' for s in found if s not in STAGES]
    return frozenset(s for s in found if isinstance(s, str))


def _bad_paths(paths: Sequence[str], path: str) -> list[str]:
    out = []
    for i, url in enumerate(paths):
        if url == "*":
            continue
        if not url.startswith("/"):
            out.append(f"{path}[{i}]: non-resource URL rules must begin with a '/' character")
        elif "*" in url[:-1]:
            out.append(f"{path}[{i}]: non-resource URL wildcards '*' must be the final character of the rule")
    return out


def _resources(value: Any, path: str, problems: list[str]) -> tuple[str, Sequence[str], Sequence[str]]:
    if not isinstance(value, dict):
        problems.append(f"{path}: must be an object")
        return "", (), ()
    resources, names, group = value.get("resources") or (), value.get("resourceNames") or (), value.get("group") or ""
    if "/" in group or (group and group != group.lower()):
        problems.append(f'{path}.group: Invalid value: "{group}"')
    if names and not resources:
        problems.append(f"{path}.resourceNames: using resourceNames requires at least one resource")
    return group, tuple(resources), tuple(names)


def load(text: str) -> Policy:
    """text: YAML. Raises PolicyError."""
    import yaml

    try:
        return parse(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise PolicyError(str(error)) from None
