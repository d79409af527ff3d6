"""Nobody grants permissions that they do not hold.

Writing a role needs all of its rules, or the verb ``escalate`` on it; binding a role needs all of its rules, or the
verb ``bind`` on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any

import msgspec

from pelamis.apiserver.authz.attributes import Attributes, Authorizer
from pelamis.apiserver.authz.rbac import GROUP, Rbac
from pelamis.apiserver.user import MASTERS, User
from pelamis.base.errors import Forbidden, NotFound, StatusError


class _Simple(msgspec.Struct, frozen=True):
    """One verb on one thing: what a PolicyRule breaks down into."""

    verb: str
    group: str = ""
    resource: str = ""
    name: str = ""
    url: str = ""


def _break_down(rule: Any) -> Iterable[_Simple]:
    for verb, group, resource in product(rule.verbs, rule.apiGroups, rule.resources):
        for name in rule.resourceNames or ("",):
            yield _Simple(verb, group, resource, name)
    for verb, url in product(rule.verbs, rule.nonResourceURLs):
        yield _Simple(verb, url=url)


def _covers(rule: Any, s: _Simple) -> bool:
    if s.verb not in rule.verbs and "*" not in rule.verbs:
        return False
    if s.url:
        return any(
            u == s.url or u == "*" or (u.endswith("*") and s.url.startswith(u.rstrip("*")))
            for u in rule.nonResourceURLs
        )
    if s.group not in rule.apiGroups and "*" not in rule.apiGroups:
        return False
    resources = rule.resources
    _, _, sub = s.resource.partition("/")
    if not ("*" in resources or s.resource in resources or (sub and f"*/{sub}" in resources)):
        return False
    return not rule.resourceNames or (bool(s.name) and s.name in rule.resourceNames)


def uncovered(held: Sequence[Any], wanted: Sequence[Any]) -> list[_Simple]:
    """The parts of ``wanted`` that no rule of ``held`` grants, without repetition, in order."""
    out: dict[_Simple, None] = {}
    for rule in wanted:
        for simple in _break_down(rule):
            if simple not in out and not any(_covers(h, simple) for h in held):
                out[simple] = None
    return list(out)


def _show(simples: Sequence[_Simple]) -> str:
    """Compacted by thing, one line each, in upstream's notation."""
    verbs: dict[tuple[str, str, str, str], list[str]] = {}
    for s in simples:
        verbs.setdefault((s.group, s.resource, s.name, s.url), []).append(s.verb)
    lines = []
    for (group, resource, name, url), found in verbs.items():
        shown = ", ".join(f'"{v}"' for v in found)
        if url:
            lines.append(f'{{NonResourceURLs:["{url}"], Verbs:[{shown}]}}')
            continue
        names = f', ResourceNames:["{name}"]' if name else ""
        lines.append(f'{{APIGroups:["{group}"], Resources:["{resource}"]{names}, Verbs:[{shown}]}}')
    return "\n".join(sorted(lines))


class Escalation:
    """Checks a write of one of the four RBAC kinds. ``old`` None = create."""

    def __init__(self, rbac: Rbac, authorizer: Authorizer) -> None:
        self._rbac = rbac
        self._authorizer = authorizer

    def check(self, user: User, plural: str, obj: Any, old: Any) -> StatusError | None:
        if MASTERS in user.groups:
            return None
        namespace = obj.metadata.namespace
        if plural in ("roles", "clusterroles"):
            if (
                old is not None
                and old.rules == obj.rules
                and getattr(old, "aggregationRule", 0) == getattr(obj, "aggregationRule", 0)
            ):
                return None
            if self._may(user, "escalate", plural, namespace, obj.metadata.name):
                return None
            return self._refuse(user, plural, obj.metadata.name, namespace, self._wanted(obj))
        if old is not None and old.roleRef == obj.roleRef and old.subjects == obj.subjects:
            return None
        ref = obj.roleRef
        resource = "roles" if ref.kind == "Role" else "clusterroles"
        if self._may(user, "bind", resource, namespace, ref.name):
            return None
        rules = self._rbac.role_rules(ref.kind, namespace, ref.name)
        if rules is None:
            return NotFound(resource, GROUP, ref.name)
        return self._refuse(user, plural, obj.metadata.name, namespace, rules)

    def _wanted(self, obj: Any) -> Sequence[Any]:
        if getattr(obj, "aggregationRule", None) is not None:
            # An aggregated role may come to hold anything.
            return (_Everything(), _EveryPath())
        rules: Sequence[Any] = obj.rules
        return rules

    def _may(self, user: User, verb: str, resource: str, namespace: str, name: str) -> bool:
        a = Attributes(verb, GROUP, "*", resource, "", namespace, name)
        return self._authorizer.authorize(user, a).allowed is True

    def _refuse(self, user: User, plural: str, name: str, namespace: str, wanted: Sequence[Any]) -> StatusError | None:
        missing = uncovered(self._rbac.rules_for(user, namespace), wanted)
        if not missing:
            return None
        groups = " ".join(f'"{g}"' for g in user.groups)
        text = (
            f'user "{user.name}" (groups=[{groups}]) is attempting to grant RBAC permissions not currently held:\n'
            + _show(missing)
        )
        return Forbidden(plural, GROUP, name, text)


class _Everything(msgspec.Struct, frozen=True):
    verbs: tuple[str, ...] = ("*",)
    apiGroups: tuple[str, ...] = ("*",)
    resources: tuple[str, ...] = ("*",)
    resourceNames: tuple[str, ...] = ()
    nonResourceURLs: tuple[str, ...] = ()


class _EveryPath(msgspec.Struct, frozen=True):
    verbs: tuple[str, ...] = ("*",)
    apiGroups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    resourceNames: tuple[str, ...] = ()
    nonResourceURLs: tuple[str, ...] = ("*",)
