"""PodSecurity: the levels privileged, baseline and restricted, chosen by labels of the namespace.

``enforce`` refuses pods; ``warn`` tells the client and ``audit`` the audit log, both also about workloads whose
template would be refused. A level may be pinned to a version. A change of the enforced level warns about the pods that
are there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from pelamis.apiserver.admission.plugin import Plugin
from pelamis.apiserver.admission.podsecuritychecks import LATEST, evaluate, explain
from pelamis.apiserver.write import Objects, Write
from pelamis.base.errors import FieldError, Invalid, invalid

PREFIX = "pod-security.kubernetes.io/"
_LEVELS = ("privileged", "baseline", "restricted")
_VERSION = re.compile(r"v1\.(0|[1-9][0-9]*)")
_MOST_PODS = 1000
_TEMPLATES = {
    "deployments.apps": "spec.template",
    "daemonsets.apps": "spec.template",
    "statefulsets.apps": "spec.template",
    "replicasets.apps": "spec.template",
    "replicationcontrollers": "spec.template",
    "jobs.batch": "spec.template",
    "cronjobs.batch": "spec.jobTemplate.spec.template",
    "podtemplates": "template",
}


class Level(NamedTuple):
    """minor: of the version; LATEST for that of the server."""

    name: str = "privileged"
    minor: int = LATEST

    def __str__(self) -> str:
        return f"{self.name}:{'latest' if self.minor == LATEST else f'v1.{self.minor}'}"


@dataclass(frozen=True, slots=True)
class Exemptions:
    """Whom the levels do not bind."""

    users: frozenset[str] = frozenset()
    namespaces: frozenset[str] = frozenset()
    runtime_classes: frozenset[str] = frozenset()


class Policy(NamedTuple):
    enforce: Level
    audit: Level
    warn: Level


def policy_of(labels: Mapping[str, str], default: Level = Level()) -> tuple[Policy, list[FieldError]]:
    """A level that cannot be read counts as restricted, a version as the latest."""
    errors: list[FieldError] = []
    found: dict[str, Level] = {}
    bad: set[str] = set()
    for mode in ("enforce", "audit", "warn"):
        key = PREFIX + mode
        name, minor = default
        if key in labels:
            name = labels[key]
            if name not in _LEVELS:
                errors.append(invalid(f"metadata.labels[{key}]", name, f"must be one of {', '.join(_LEVELS)}"))
                bad.add(mode)
                name = "restricted"
        text = labels.get(f"{key}-version", "")
        if text:
            match = _VERSION.fullmatch(text)
            minor = LATEST
            if match is not None:
                minor = int(match[1])
            elif text != "latest":
                errors.append(invalid(f"metadata.labels[{key}-version]", text, 'must be "latest" or "v1.x"'))
        found[mode] = Level(name, minor)
    enforce, warn = found["enforce"], found["warn"]
    told = PREFIX + "warn" in labels or PREFIX + "enforce" not in labels or "enforce" in bad
    if not told and _LEVELS.index(enforce.name) > _LEVELS.index(warn.name):
        # Who is told nothing else is told what will be refused.
        pinned = f"{PREFIX}warn-version" in labels
        found["warn"] = Level(enforce.name, warn.minor if pinned else enforce.minor)
    return Policy(enforce, found["audit"], found["warn"]), errors


def _template(obj: Any, resource: str) -> Any:
    if resource == "pods":
        return obj
    for name in _TEMPLATES[resource].split("."):
        obj = getattr(obj, name)
        if obj is None:
            return None
    return obj


def plugin(exempt: Exemptions = Exemptions(), default: Level = Level()) -> Plugin:
    def validate(write: Write, obj: Any, objects: Objects) -> None:
        if write.operation == "DELETE":
            return
        resource = write.hub.resource
        if resource == "namespaces":
            if not write.subresource:
                _namespace(write, obj, objects, exempt, default)
            return
        namespace = objects.get("namespaces", "", write.namespace)
        if namespace is None:
            return
        labels = namespace.metadata.labels
        if default.name == "privileged" and not any(k.startswith(PREFIX) for k in labels):
            return
        policy, errors = policy_of(labels, default)
        is_pod = resource == "pods"
        if all(level.name == "privileged" for level in (policy if is_pod else policy[1:])):
            return
        why = _exempt(exempt, write)
        template = _template(obj, resource)
        if not why and template is not None and template.spec.runtimeClassName in exempt.runtime_classes:
            why = "runtimeClass"
        if why:
            write.audit[PREFIX + "exempt"] = why
            return
        if template is None:
            return
        if is_pod and write.operation == "UPDATE" and write.old is not None and not _matters(write.old.obj, obj):
            return
        if errors:
            write.audit[PREFIX + "error"] = f"Failed to parse policy: {errors[0]}"
        _judge(write, policy, template, is_pod)

    return Plugin(
        "PodSecurity",
        frozenset(("pods", "namespaces", *_TEMPLATES)),
        validate=validate,
        subresources=("ephemeralcontainers", "resize"),
    )


def _exempt(exempt: Exemptions, write: Write) -> str:
    if write.namespace in exempt.namespaces:
        return "namespace"
    return "user" if write.user.name in exempt.users else ""


def _judge(write: Write, policy: Policy, template: Any, enforce: bool) -> None:
    known: dict[Level, str] = {}

    def why(level: Level) -> str:
        if level not in known:
            known[level] = explain(evaluate(level.name, template.metadata, template.spec, level.minor))
        return known[level]

    if enforce:
        write.audit[PREFIX + "enforce-policy"] = str(policy.enforce)
    if why(policy.audit):
        write.audit[PREFIX + "audit-violations"] = f'would violate PodSecurity "{policy.audit}": {why(policy.audit)}'
    if enforce and why(policy.enforce):
        raise write.forbid(f'violates PodSecurity "{policy.enforce}": {why(policy.enforce)}')
    if why(policy.warn):
        write.warnings.append(f'would violate PodSecurity "{policy.warn}": {why(policy.warn)}')


_SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
_SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"


def _matters(old: Any, new: Any) -> bool:
    """Does an update of a pod change what the levels look at? Of what may change, only images and containers do."""
    notes, old_notes = new.metadata.annotations, old.metadata.annotations
    if notes.get(_SECCOMP_POD) != old_notes.get(_SECCOMP_POD):
        return True

    def differs(container: Any, was: Any) -> bool:
        key = _SECCOMP_CONTAINER + container.name
        return bool(container.image != was.image or notes.get(key) != old_notes.get(key))

    for field in ("containers", "initContainers"):
        have, had = getattr(new.spec, field), getattr(old.spec, field)
        if len(have) != len(had) or any(differs(c, o) for c, o in zip(have, had, strict=True)):
            return True
    before = {c.name: c for c in old.spec.ephemeralContainers}
    return any(c.name not in before or differs(c, before[c.name]) for c in new.spec.ephemeralContainers)


def _namespace(write: Write, obj: Any, objects: Objects, exempt: Exemptions, default: Level) -> None:
    """Labels that can be read, and a word about the pods that a stricter level would refuse."""
    policy, errors = policy_of(obj.metadata.labels, default)
    if write.old is None:
        if errors:
            raise Invalid("Namespace", "", write.name, errors)
        return
    before, old_errors = policy_of(write.old.obj.metadata.labels, default)
    if errors and not old_errors:
        raise Invalid("Namespace", "", write.name, errors)
    new, old = policy.enforce, before.enforce
    if new == old or new.name == "privileged" or obj.metadata.name in exempt.namespaces:
        return
    if new.minor == old.minor and _LEVELS.index(new.name) < _LEVELS.index(old.name):
        return
    pods = objects.list("pods", obj.metadata.name)
    reasons: dict[str, list[str]] = {}
    for pod in pods[:_MOST_PODS]:
        if pod.spec.runtimeClassName in exempt.runtime_classes:
            continue
        found = evaluate(new.name, pod.metadata, pod.spec, new.minor)
        if found:
            reasons.setdefault(", ".join(reason for reason, _ in found), []).append(pod.metadata.name)
    if len(pods) > _MOST_PODS:
        write.warnings.append(
            f"new PodSecurity enforce level only checked against the first {_MOST_PODS} of {len(pods)} existing pods"
        )
    if reasons:
        write.warnings.append(
            f'existing pods in namespace "{obj.metadata.name}" violate the new PodSecurity enforce level "{new}"'
        )
        write.warnings.extend(sorted(_named(min(names), len(names) - 1, why) for why, names in reasons.items()))


def _named(name: str, others: int, why: str) -> str:
    if not others:
        return f"{name}: {why}"
    return f"{name} (and {others} other pod{'s' if others > 1 else ''}): {why}"


PLUGIN = plugin()
