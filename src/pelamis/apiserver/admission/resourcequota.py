"""ResourceQuota: what all objects of a namespace may use together.

For each namespace that has a quota the usage is kept as a running total: counted once, then followed event by event.
A write that passes reserves what it adds until its own event arrives (or it fails), so writes at the same time cannot
overshoot together. Nothing here waits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from pelamis.api.quota import COMPUTE, Usage, amount, in_scope, resources, usage_of
from pelamis.apiserver.write import Write
from pelamis.base import quantity

if TYPE_CHECKING:
    from pelamis.apiserver.server import ApiServer

_QUOTAS = "resourcequotas"
Key = tuple[str, str, str]


class _Total:
    """The usage that one quota counts."""

    def __init__(self, quota: Any) -> None:
        self.quota = quota
        self.used: Usage = Counter()
        self.reserved: dict[Key, Usage] = {}

    def add(self, resource: str, obj: Any, sign: int) -> None:
        if in_scope(self.quota, resource, obj):
            for name, value in usage_of(resource, obj).items():
                self.used[name] += sign * value

    def taken(self, name: str) -> int:
        return self.used[name] + sum(r[name] for r in self.reserved.values())


class Quotas:
    """``reserve`` is the last step of admission."""

    def __init__(self, server: ApiServer) -> None:
        self._objects = server.objects
        self._totals: dict[tuple[str, str], _Total] = {}
        self._by_namespace: dict[str, dict[str, _Total]] = {}
        self._followed: set[str] = set()
        server.objects.view(_QUOTAS).subscribe(self._on_quota)

    def _on_quota(self, key: tuple[str, str], old: Any, new: Any) -> None:
        namespace, name = key
        if new is None:
            self._by_namespace.get(namespace, {}).pop(name, None)
            if not self._by_namespace.get(namespace):
                self._by_namespace.pop(namespace, None)
            return
        have = self._by_namespace.get(namespace, {}).get(name)
        if have is not None and have.quota.spec == new.spec:
            have.quota = new
            return
        total = _Total(new)
        self._by_namespace.setdefault(namespace, {})[name] = total
        for resource in self._resources(new):
            self._follow(resource)
            for obj in self._objects.list(resource, namespace):
                total.add(resource, obj, 1)

    def _resources(self, quota: Any) -> set[str]:
        """Those of the resources whose objects the quota has to look at that are served."""
        return {r for r in resources(quota) if self._known(r)}

    def _known(self, resource: str) -> bool:
        try:
            self._objects.view(resource)
        except KeyError:
            return False
        return True

    def _follow(self, resource: str) -> None:
        if resource in self._followed:
            return
        self._followed.add(resource)

        def on_change(key: tuple[str, str], old: Any, new: Any) -> None:
            totals = self._by_namespace.get(key[0])
            if not totals:
                return
            for total in totals.values():
                total.reserved.pop((resource, *key), None)
                if resource in self._resources(total.quota):
                    if old is not None:
                        total.add(resource, old, -1)
                    if new is not None:
                        total.add(resource, new, 1)

        self._objects.view(resource).subscribe(on_change, replay=False)

    def used(self, namespace: str, name: str) -> dict[str, str]:
        """What a quota's ``status.used`` should say."""
        total = self._by_namespace.get(namespace, {}).get(name)
        if total is None:
            return {}
        return {
            n: str(quantity.Quantity(total.used[n], quantity.parse(h).format)) for n, h in total.quota.spec.hard.items()
        }

    def reserve(self, write: Write, obj: Any) -> Awaitable[None] | None:
        totals = self._by_namespace.get(write.namespace) if write.namespace else None
        if not totals or write.operation == "DELETE" or write.subresource not in ("", "resize"):
            return None
        resource = write.hub.resource
        old = write.old.obj if write.old is not None else None
        new_usage = usage_of(resource, obj)
        for total in totals.values():
            self._check(write, total, resource, obj, old, new_usage)
        return None

    def _check(self, write: Write, total: _Total, resource: str, obj: Any, old: Any, usage: Usage) -> None:
        quota = total.quota
        if not in_scope(quota, resource, obj):
            return
        hard = quota.spec.hard
        if resource == "pods" and old is None:
            missing = [
                n
                for n in hard
                if n not in usage
                and n not in ("pods", "count/pods")
                and n.removeprefix("limits.").removeprefix("requests.") in COMPUTE
            ]
            if missing:
                raise write.forbid(self._unset(quota, obj, missing))
        added: Usage = Counter({n: usage[n] for n in hard if n in usage})
        if old is not None and in_scope(quota, resource, old):
            for name, value in usage_of(resource, old).items():
                if name in hard:
                    added[name] -= value
        over = [n for n in sorted(added) if added[n] > 0 and total.taken(n) + added[n] > amount(hard[n])]
        if over:
            raise write.forbid(
                f"exceeded quota: {quota.metadata.name}, requested: {self._show(over, added, hard)}, "
                f"used: {self._show(over, Counter({n: total.taken(n) for n in over}), hard)}, "
                f"limited: {','.join(f'{n}={hard[n]}' for n in over)}"
            )
        if write.dry_run or not any(v > 0 for v in added.values()):
            return
        key = (resource, write.namespace, write.name)
        total.reserved[key] = Counter({n: v for n, v in added.items() if v > 0})

        def undo() -> None:
            total.reserved.pop(key, None)

        write.undo.append(undo)

    @staticmethod
    def _show(names: list[str], values: Usage, hard: dict[str, str]) -> str:
        return ",".join(f"{n}={quantity.Quantity(values[n], quantity.parse(hard[n]).format)}" for n in names)

    @staticmethod
    def _unset(quota: Any, pod: Any, missing: list[str]) -> str:
        parts = []
        for name in sorted(missing):
            field = "limits" if name.startswith("limits.") else "requests"
            bare = name.removeprefix("limits.").removeprefix("requests.")
            who = sorted(c.name for c in pod.spec.containers if bare not in getattr(c.resources, field))
            parts.append(f"{name} for: {','.join(who)}")
        return f"failed quota: {quota.metadata.name}: must specify {'; '.join(parts)}"
