"""Which FlowSchema, and so which priority level, a request belongs to. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from pelamis.apiserver.request import RequestInfo
from pelamis.apiserver.user import User
from pelamis.net.headerlines import header_lines


class Flow(NamedTuple):
    """headers: what the answer tells of it; lines: as they are sent. distinguisher: ByUser, ByNamespace or empty."""

    schema: str
    level: str
    distinguisher: str
    headers: tuple[tuple[str, str], ...]
    lines: bytes = b""

    def key(self, user: User, info: RequestInfo) -> str:
        """What tells the flows of a schema apart."""
        if self.distinguisher == "ByUser":
            return f"{self.schema}/{user.name}"
        if self.distinguisher == "ByNamespace":
            return f"{self.schema}/{info.namespace}"
        return self.schema


NONE = Flow("", "", "", ())
_REMEMBERED = 20_000


class Classifier:
    """schemas, levels: the structs of the cluster. A schema of a level that does not exist is passed over."""

    def __init__(self, schemas: Iterable[Any], levels: Iterable[Any]) -> None:
        known = {level.metadata.name: level for level in levels}
        ordered = sorted(schemas, key=lambda s: (s.spec.matchingPrecedence, s.metadata.name))
        self._schemas: list[tuple[Any, Flow]] = []
        for schema in ordered:
            level = known.get(schema.spec.priorityLevelConfiguration.name)
            if level is None:
                continue
            method = schema.spec.distinguisherMethod
            headers = (
                ("X-Kubernetes-PF-FlowSchema-UID", schema.metadata.uid),
                ("X-Kubernetes-PF-PriorityLevel-UID", level.metadata.uid),
            )
            kind = method.type if method is not None else ""
            flow = Flow(schema.metadata.name, level.metadata.name, kind, headers, header_lines(headers))
            self._schemas.append((schema, flow))
        self._found: dict[Any, Flow] = {}

    def classify(self, user: User, info: RequestInfo) -> Flow:
        """Remembers the outcome: one look-up for a request like one before."""
        if info.is_resource:
            key: Any = (user.name, user.groups, info.verb, info.group, info.resource, info.subresource, info.namespace)
        else:
            key = (user.name, user.groups, info.verb, info.path)
        found = self._found.get(key)
        if found is None:
            if len(self._found) >= _REMEMBERED:
                self._found.clear()
            found = self._found[key] = self._search(user, info)
        return found

    def _search(self, user: User, info: RequestInfo) -> Flow:
        for schema, flow in self._schemas:
            if any(_applies(rule, user, info) for rule in schema.spec.rules):
                return flow
        return NONE


def _applies(rule: Any, user: User, info: RequestInfo) -> bool:
    if not any(_is(subject, user) for subject in rule.subjects):
        return False
    if info.is_resource:
        return any(_covers(r, info) for r in rule.resourceRules)
    return any(_has(r.verbs, info.verb) and _covers_path(r, info.path) for r in rule.nonResourceRules)


def _is(subject: Any, user: User) -> bool:
    if subject.kind == "User":
        return subject.user is not None and subject.user.name in ("*", user.name)
    if subject.kind == "Group":
        return subject.group is not None and (subject.group.name == "*" or subject.group.name in user.groups)
    account = user.service_account
    wanted = subject.serviceAccount
    if account is None or wanted is None:
        return False
    return bool(wanted.namespace == account[0] and wanted.name in ("*", account[1]))


def _has(values: Iterable[str], value: str) -> bool:
    return any(v in ("*", value) for v in values)


def _covers(rule: Any, info: RequestInfo) -> bool:
    name = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
    if not (_has(rule.verbs, info.verb) and _has(rule.apiGroups, info.group) and _has(rule.resources, name)):
        return False
    if not info.namespace:
        return bool(rule.clusterScope)
    return _has(rule.namespaces, info.namespace)


def _covers_path(rule: Any, path: str) -> bool:
    return any(
        url in ("*", path) or (url.endswith("/*") and path.startswith(url.rstrip("*"))) for url in rule.nonResourceURLs
    )
