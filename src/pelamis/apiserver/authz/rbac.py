"""Role-based access control: who may do what, from the four RBAC kinds.

The index is kept up to date event by event: bindings by subject, rules by role. A decision walks the bindings of the
user and of each group; it is remembered until any RBAC object changes, so a repeated question costs one dict lookup,
whatever object it is about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from pelamis.apiserver.authz.attributes import NO_OPINION, Attributes, Decision
from pelamis.apiserver.user import SERVICE_ACCOUNT_PREFIX, User

GROUP = "rbac.authorization.k8s.io"
_REMEMBERED = 50_000
Key = tuple[str, str]


class Rule(NamedTuple):
    """One PolicyRule as sets."""

    verbs: frozenset[str]
    groups: frozenset[str]
    resources: frozenset[str]
    names: frozenset[str]
    urls: tuple[str, ...]

    def allows(self, a: Attributes) -> bool:
        if a.verb not in self.verbs and "*" not in self.verbs:
            return False
        if not a.resource:
            return any(_url_matches(url, a.path) for url in self.urls)
        if a.group not in self.groups and "*" not in self.groups:
            return False
        if not self._resource(a):
            return False
        return not self.names or a.name in self.names

    def _resource(self, a: Attributes) -> bool:
        resources = self.resources
        if "*" in resources:
            return True
        if not a.subresource:
            return a.resource in resources
        return f"{a.resource}/{a.subresource}" in resources or f"*/{a.subresource}" in resources


def _url_matches(pattern: str, path: str) -> bool:
    return pattern == "*" or pattern == path or (pattern.endswith("*") and path.startswith(pattern.rstrip("*")))


def compile_rules(rules: Iterable[Any]) -> tuple[Rule, ...]:
    """rules: PolicyRule structs."""
    return tuple(
        Rule(
            frozenset(r.verbs),
            frozenset(r.apiGroups),
            frozenset(r.resources),
            frozenset(r.resourceNames),
            tuple(r.nonResourceURLs),
        )
        for r in rules
    )


class View(Protocol):
    def subscribe(self, fn: Callable[[Key, Any, Any], None], *, replay: bool = True) -> Callable[[], None]: ...


def subject_keys(user: User) -> list[str]:
    return ["u:" + user.name, *("g:" + g for g in user.groups)]


def _keys_of(binding: Any, namespace: str) -> list[str]:
    keys = []
    for s in binding.subjects:
        if s.kind == "User":
            keys.append("u:" + s.name)
        elif s.kind == "Group":
            keys.append("g:" + s.name)
        elif s.kind == "ServiceAccount":
            keys.append(f"u:{SERVICE_ACCOUNT_PREFIX}{s.namespace or namespace}:{s.name}")
    return keys


class Rbac:
    """Reads the views of ClusterRole, ClusterRoleBinding, Role and RoleBinding."""

    def __init__(self, cluster_roles: View, cluster_bindings: View, roles: View, bindings: View) -> None:
        self._rules: dict[Key, tuple[Rule, ...]] = {}
        self._policies: dict[Key, Sequence[Any]] = {}
        self._cluster: dict[str, dict[Key, Any]] = {}
        self._local: dict[tuple[str, str], dict[Key, Any]] = {}
        self._decided: dict[Any, Decision] = {}
        self._state = object()
        cluster_roles.subscribe(self._on_role)
        roles.subscribe(self._on_role)
        cluster_bindings.subscribe(self._on_cluster_binding)
        bindings.subscribe(self._on_binding)

    def _changed(self) -> None:
        self._decided.clear()
        self._state = object()

    def _on_role(self, key: Key, old: Any, new: Any) -> None:
        self._changed()
        if new is None:
            self._rules.pop(key, None)
            self._policies.pop(key, None)
        else:
            self._rules[key] = compile_rules(new.rules)
            self._policies[key] = new.rules

    def _on_cluster_binding(self, key: Key, old: Any, new: Any) -> None:
        self._changed()
        if old is not None:
            for subject in _keys_of(old, ""):
                self._cluster.get(subject, {}).pop(key, None)
        if new is not None:
            for subject in _keys_of(new, ""):
                self._cluster.setdefault(subject, {})[key] = new

    def _on_binding(self, key: Key, old: Any, new: Any) -> None:
        self._changed()
        namespace = key[0]
        if old is not None:
            for subject in _keys_of(old, namespace):
                self._local.get((namespace, subject), {}).pop(key, None)
        if new is not None:
            for subject in _keys_of(new, namespace):
                self._local.setdefault((namespace, subject), {})[key] = new

    def state(self, user: User) -> object:
        """What has been decided is forgotten with each change."""
        return self._state

    def _role_key(self, binding: Any, namespace: str) -> Key:
        ref = binding.roleRef
        return (namespace, ref.name) if ref.kind == "Role" else ("", ref.name)

    def _bound(self, user: User, namespace: str) -> Iterator[tuple[Key, Any]]:
        for subject in subject_keys(user):
            found = self._cluster.get(subject)
            if found:
                for binding in found.values():
                    yield ("", binding.roleRef.name), binding
            if namespace:
                found = self._local.get((namespace, subject))
                if found:
                    for binding in found.values():
                        yield self._role_key(binding, namespace), binding

    def authorize(self, user: User, a: Attributes) -> Decision:
        token = (user.name, user.groups, a.verb, a.group, a.resource, a.subresource, a.namespace, a.path)
        known = self._decided.get(token)
        if known is None:
            known = self._learn(token, user, a._replace(name=""))
        if known.allowed or not a.name:
            return known
        # Whom no rule lets at all objects, one may let at this.
        named = (token, a.name)
        return self._decided.get(named) or self._learn(named, user, a)

    def _learn(self, token: Any, user: User, a: Attributes) -> Decision:
        if len(self._decided) >= _REMEMBERED:
            self._decided.clear()
        decision = self._decided[token] = self._decide(user, a)
        return decision

    def _decide(self, user: User, a: Attributes) -> Decision:
        missing: list[str] = []
        for role_key, binding in self._bound(user, a.namespace):
            rules = self._rules.get(role_key)
            if rules is None:
                kind = "role" if role_key[0] else "clusterrole"
                missing.append(f'{kind}.{GROUP} "{role_key[1]}" not found')
                continue
            for rule in rules:
                if rule.allows(a):
                    return Decision(True, f'RBAC: allowed by {binding.kind} "{binding.metadata.name}"')
        if missing:
            text = missing[0] if len(missing) == 1 else "[" + ", ".join(dict.fromkeys(missing)) + "]"
            return Decision(None, f"RBAC: {text}")
        return NO_OPINION

    def rules_for(self, user: User, namespace: str) -> list[Any]:
        """The PolicyRules that apply to the user in the namespace, for reviews and for escalation checks."""
        out: list[Any] = []
        for role_key, _ in self._bound(user, namespace):
            out.extend(self._policies.get(role_key, ()))
        return out

    def role_rules(self, kind: str, namespace: str, name: str) -> Sequence[Any] | None:
        return self._policies.get((namespace, name) if kind == "Role" else ("", name))
