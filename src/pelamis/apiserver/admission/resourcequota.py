"""ResourceQuota: what all objects of a namespace may use together.

For each namespace that has a quota the usage is kept as a running total: counted once, then followed event by event.
A write that passes reserves what it adds until its own event arrives (or it fails), so writes at the same time cannot
overshoot together. With one server nothing here waits.

Where servers share a store, each knows of the others' writes only once they are stored. There a write also adds what it
takes to the quota's ``status.used``, on the condition that nobody changed that meanwhile, before it is stored itself,
as upstream's servers do; what is used is then what the status says. A write that fails takes it back. The same holds
where upstream's quota controller runs in place of ours: it relies on servers that keep the status up.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from pelamis.api.core.resourcequota import KIND, ResourceQuota
from pelamis.api.quota import CLAIMS, COMPUTE, Devices, Usage, amount, in_scope, resources, usage_of
from pelamis.apiserver.user import LOOPBACK_USER
from pelamis.apiserver.write import Write
from pelamis.base import quantity
from pelamis.base.errors import StatusError
from pelamis.client.types import Update

if TYPE_CHECKING:
    from pelamis.apiserver.server import ApiServer

log = logging.getLogger("pelamis.apiserver")
_QUOTAS = "resourcequotas"
_CLASSES = "deviceclasses.resource.k8s.io"
_ATTEMPTS = 20
Key = tuple[str, str, str]


class _Total:
    """The usage that one quota counts. claims: what each ResourceClaim was counted for, which changes without it."""

    def __init__(self, quota: Any) -> None:
        self.quota = quota
        self.used: Usage = Counter()
        self.reserved: dict[Key, Usage] = {}
        self.claims: dict[str, Usage] = {}

    def add(self, resource: str, obj: Any, sign: int) -> None:
        if in_scope(self.quota, resource, obj):
            for name, value in usage_of(resource, obj).items():
                self.used[name] += sign * value

    def count(self, claim: str, usage: Usage | None) -> None:
        """usage None: the claim is gone."""
        if claim in self.claims:
            self.used.subtract(self.claims.pop(claim))
        if usage is not None:
            self.claims[claim] = usage
            self.used.update(usage)

    def taken(self, name: str) -> int:
        return self.used[name] + sum(r[name] for r in self.reserved.values())


class Quotas:
    """``reserve`` is the last step of admission."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self._objects = server.objects
        self._totals: dict[tuple[str, str], _Total] = {}
        self._by_namespace: dict[str, dict[str, _Total]] = {}
        self._followed: set[str] = set()
        self._locks: dict[tuple[str, str], asyncio.Lock] = {}
        """The writes of this server change a quota one after another: only other servers' can come between."""
        objects = server.objects
        self.devices = Devices(
            lambda name: objects.get(_CLASSES, "", name),
            lambda namespace, name: objects.get("pods", namespace, name),
            lambda uid: objects.view(CLAIMS).by_index("owner", uid),
        )
        objects.view(_QUOTAS).subscribe(self._on_quota)

    def _on_quota(self, key: tuple[str, str], old: Any, new: Any) -> None:
        namespace, name = key
        if new is None:
            self._by_namespace.get(namespace, {}).pop(name, None)
            self._locks.pop(key, None)
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
            if resource == CLAIMS:
                self._count_claims(namespace, total)
                continue
            for obj in self._objects.list(resource, namespace):
                total.add(resource, obj, 1)

    def _count_claims(self, namespace: str, total: _Total) -> None:
        if not in_scope(total.quota, CLAIMS, None):
            return
        for claim in self._objects.list(CLAIMS, namespace):
            total.count(claim.metadata.name, usage_of(CLAIMS, claim, self.devices))

    def _on_class(self, key: tuple[str, str], old: Any, new: Any) -> None:
        """What claims of the class take is had by other names now."""
        if old is not None and new is not None and old.spec.extendedResourceName == new.spec.extendedResourceName:
            return
        for namespace, totals in self._by_namespace.items():
            for total in totals.values():
                if total.claims:
                    self._count_claims(namespace, total)

    def _on_claim(self, key: tuple[str, str], new: Any) -> None:
        for total in self._by_namespace.get(key[0], {}).values():
            if CLAIMS in self._resources(total.quota) and in_scope(total.quota, CLAIMS, new):
                total.count(key[1], usage_of(CLAIMS, new, self.devices) if new is not None else None)

    def _on_pod(self, old: Any, new: Any) -> None:
        """A claim for extended resources counts for what its pod does not."""
        if old is None or not any(t.claims for t in self._by_namespace.get(old.metadata.namespace, {}).values()):
            return
        before = (old.status.phase, old.status.extendedResourceClaimStatus)
        if new is None or (new.status.phase, new.status.extendedResourceClaimStatus) != before:
            for claim in self.devices.owned(old.metadata.uid):
                self._on_claim((claim.metadata.namespace, claim.metadata.name), claim)

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
        if resource == CLAIMS:
            self._follow("pods")
            self._objects.view(_CLASSES).subscribe(self._on_class, replay=False)

        def on_change(key: tuple[str, str], old: Any, new: Any) -> None:
            totals = self._by_namespace.get(key[0])
            if not totals:
                return
            if resource == CLAIMS:
                self._on_claim(key, new)
            elif resource == "pods":
                self._on_pod(old, new)
            for total in totals.values():
                total.reserved.pop((resource, *key), None)
                if resource == CLAIMS:
                    continue
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
        new_usage = usage_of(resource, obj, self.devices)
        taken: list[tuple[str, Usage]] = []
        for name, total in totals.items():
            added = self._check(write, total, resource, obj, old, new_usage)
            if added:
                taken.append((name, added))
        if taken and self._server.quota_in_status:
            return self._tell(write, taken)
        return None

    async def _tell(self, write: Write, taken: Sequence[tuple[str, Usage]]) -> None:
        """Adds to the quotas' statuses. Raises Forbidden, and what keeps the store from being written."""
        told: list[tuple[str, Usage]] = []

        def undo() -> None:
            if told:
                self._server._spawn(self._take_back(write.namespace, list(told)), "quota given back")

        write.undo.append(undo)
        for name, added in taken:
            async with self._lock(write.namespace, name):
                await self._change(write, write.namespace, name, added)
            told.append((name, added))

    def _lock(self, namespace: str, name: str) -> asyncio.Lock:
        return self._locks.setdefault((namespace, name), asyncio.Lock())

    async def _take_back(self, namespace: str, told: Sequence[tuple[str, Usage]]) -> None:
        for name, added in told:
            try:
                async with self._lock(namespace, name):
                    await self._change(None, namespace, name, Counter({n: -v for n, v in added.items()}))
            except StatusError as error:
                log.warning("what a failed write took of the quota %s/%s is counted still: %s", namespace, name, error)

    async def _change(self, write: Write | None, namespace: str, name: str, added: Usage) -> None:
        """write: refused when it would take too much; None: the change is none of a write."""
        refreshed = False
        for _ in range(_ATTEMPTS):
            quota: ResourceQuota | None = self._objects.get(_QUOTAS, namespace, name)
            total = self._by_namespace.get(namespace, {}).get(name)
            if quota is None or total is None:
                return
            hard, status = quota.spec.hard, quota.status
            now = Counter(
                {n: amount(status.used[n]) if n in status.used else total.used[n] for n in added if n in hard}
            )
            over = [n for n in sorted(now) if added[n] > 0 and now[n] + added[n] > amount(hard[n])]
            if write is not None and over:
                if not refreshed:  # what is known here may be old
                    refreshed = True
                    await self._server._refresh()
                    continue
                raise write.forbid(self._exceeded(quota, over, added, now))
            shown = {n: str(quantity.Quantity(max(0, now[n] + added[n]), quantity.parse(hard[n]).format)) for n in now}
            changed = msgspec.structs.replace(status, hard=status.hard or hard, used={**status.used, **shown})
            update = Update(KIND, msgspec.structs.replace(quota, status=changed), "status")
            (outcome,) = await self._server.client(LOOPBACK_USER).commit([update])
            if outcome.error is None:
                return
            if outcome.error.reason != "Conflict":
                raise outcome.error
            await self._server._refresh()
        if write is not None:
            raise write.forbid(f"quota {name} is changed by too many at once, please try again")

    def _exceeded(self, quota: Any, over: list[str], added: Usage, used: Usage) -> str:
        hard = quota.spec.hard
        return (
            f"exceeded quota: {quota.metadata.name}, requested: {self._show(over, added, hard)}, "
            f"used: {self._show(over, used, hard)}, limited: {','.join(f'{n}={hard[n]}' for n in over)}"
        )

    def _check(self, write: Write, total: _Total, resource: str, obj: Any, old: Any, usage: Usage) -> Usage | None:
        """What the write takes of the quota, reserved; None: nothing. Raises Forbidden."""
        quota = total.quota
        if not in_scope(quota, resource, obj):
            return None
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
            for name, value in usage_of(resource, old, self.devices).items():
                if name in hard:
                    added[name] -= value
        # Where the quota's status is kept up, it decides about writes under way.
        taken = total.used.__getitem__ if self._server.quota_in_status else total.taken
        over = [n for n in sorted(added) if added[n] > 0 and taken(n) + added[n] > amount(hard[n])]
        if over:
            raise write.forbid(self._exceeded(quota, over, added, Counter({n: taken(n) for n in over})))
        if write.dry_run or not any(v > 0 for v in added.values()):
            return None
        key = (resource, write.namespace, write.name)
        total.reserved[key] = Counter({n: v for n, v in added.items() if v > 0})

        def undo() -> None:
            total.reserved.pop(key, None)

        write.undo.append(undo)
        return total.reserved[key]

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
