"""The objects that pods refer to: ConfigMaps and Secrets through a watched view each, claims and volumes by a read.

A node may watch only single ConfigMaps and Secrets that its pods name; claims and volumes it may only get. ``use``
opens the views of all that a pod refers to; a change of any of them is told with the uids of the pods that use it. When
the last user is gone the view is given up. Claims and volumes are read when a pod is set up, until they are bound: what
matters of them does not change after that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from pelamis.api.certificates.clustertrustbundle import KIND as TRUST_BUNDLE
from pelamis.api.core.configmap import KIND as CONFIGMAP
from pelamis.api.core.persistentvolume import KIND as VOLUME
from pelamis.api.core.persistentvolumeclaim import KIND as CLAIM
from pelamis.api.core.pod.volume import claim_name
from pelamis.api.core.secret import KIND as SECRET
from pelamis.api.kind import Kind
from pelamis.base.errors import StatusError
from pelamis.client.types import Client, Key, View

SYNC_TIMEOUT_S = 10.0
READ = (CLAIM, VOLUME)
OF_SIGNER = "spec.signerName="
"""Begins a reference to all ClusterTrustBundles of a signer, in place of a name, which cannot hold a "="."""
Ref = tuple[Kind, str, str]
"""(kind, namespace, name)."""


class NotSynced(Exception):
    """The object could not be read in time (no connection, or not yet allowed); the message is shown to the user."""


def of_pod(pod: Any) -> set[Ref]:
    """What the pod names itself; volumes behind claims follow when the claims are known."""
    namespace, spec = pod.metadata.namespace, pod.spec
    out: set[Ref] = set()
    for secret in spec.imagePullSecrets:
        out.add((SECRET, namespace, secret.name))
    for volume in spec.volumes:
        if volume.configMap is not None:
            out.add((CONFIGMAP, namespace, volume.configMap.name))
        elif volume.secret is not None:
            out.add((SECRET, namespace, volume.secret.secretName))
        elif claim := claim_name(volume, pod.metadata.name):
            out.add((CLAIM, namespace, claim))
        elif volume.projected is not None:
            for part in volume.projected.sources:
                if part.configMap is not None:
                    out.add((CONFIGMAP, namespace, part.configMap.name))
                elif part.secret is not None:
                    out.add((SECRET, namespace, part.secret.name))
                elif part.clusterTrustBundle is not None:
                    bundle = part.clusterTrustBundle
                    out.add((TRUST_BUNDLE, "", bundle.name or f"{OF_SIGNER}{bundle.signerName or ''}"))
    for container in (*spec.initContainers, *spec.containers, *spec.ephemeralContainers):
        for source in container.envFrom:
            if source.configMapRef is not None:
                out.add((CONFIGMAP, namespace, source.configMapRef.name))
            if source.secretRef is not None:
                out.add((SECRET, namespace, source.secretRef.name))
        for variable in container.env:
            if variable.valueFrom is None:
                continue
            if variable.valueFrom.configMapKeyRef is not None:
                out.add((CONFIGMAP, namespace, variable.valueFrom.configMapKeyRef.name))
            if variable.valueFrom.secretKeyRef is not None:
                out.add((SECRET, namespace, variable.valueFrom.secretKeyRef.name))
    return {ref for ref in out if ref[2]}


class References:
    def __init__(self, client: Client, changed: Callable[[str], None]) -> None:
        self._client = client
        self._changed = changed
        self._views: dict[Ref, View[Any]] = {}
        self._read: dict[Ref, Any] = {}
        self._cancels: dict[Ref, Callable[[], None]] = {}
        self._users: dict[Ref, set[str]] = {}
        self._of: dict[str, set[Ref]] = {}

    def use(self, pod: Any) -> None:
        uid = pod.metadata.uid
        wanted = of_pod(pod) | {ref for ref in self._of.get(uid, set()) if ref[0] is VOLUME}
        for ref in self._of.get(uid, set()) - wanted:
            self._release(ref, uid)
        self._of[uid] = wanted
        for ref in wanted:
            self._open(ref, uid)

    def _open(self, ref: Ref, uid: str) -> None:
        self._users.setdefault(ref, set()).add(uid)
        kind, namespace, name = ref
        if ref in self._views or kind in READ:
            return
        many = name.startswith(OF_SIGNER)
        view = self._client.view(kind, namespace=namespace, field_selector=name if many else f"metadata.name={name}")
        self._views[ref] = view

        def on_change(key: Key, old: Any, new: Any) -> None:
            if many or key == (namespace, name):
                for user in list(self._users.get(ref, ())):
                    self._changed(user)

        self._cancels[ref] = view.subscribe(on_change, replay=False)

    def drop(self, uid: str) -> None:
        for ref in self._of.pop(uid, set()):
            self._release(ref, uid)

    def _release(self, ref: Ref, uid: str) -> None:
        users = self._users.get(ref)
        if users is None:
            return
        users.discard(uid)
        if not users:
            del self._users[ref]
            if ref[0] in READ:
                self._read.pop(ref, None)
                return
            self._cancels.pop(ref)()
            view = self._views.pop(ref)
            self._client.release(view)

    async def synced(self, pod: Any, timeout_s: float = SYNC_TIMEOUT_S) -> None:
        """Wait until all that the pod refers to is known. Raises NotSynced."""
        self.use(pod)
        uid = pod.metadata.uid
        await self._wait(self._of[uid], timeout_s)
        more = set()
        for kind, namespace, name in self._of[uid]:
            if kind is CLAIM:
                claim = self.get(CLAIM, namespace, name)
                if claim is not None and claim.spec.volumeName:
                    more.add((VOLUME, "", claim.spec.volumeName))
        more -= self._of[uid]
        if more:
            self._of[uid] |= more
            for ref in more:
                self._open(ref, uid)
            await self._wait(more, timeout_s)

    async def _wait(self, refs: set[Ref], timeout_s: float) -> None:
        for ref in sorted(refs, key=lambda r: (r[0].kind, r[1], r[2])):
            if ref[0] in READ:
                await self._get(ref)
                continue
            view = self._views[ref]
            if view.synced:
                continue
            done = asyncio.Event()
            view.when_reached(1, done.set)
            try:
                async with asyncio.timeout(timeout_s):
                    await done.wait()
            except TimeoutError as error:
                what = ref[0].singular
                raise NotSynced(f"failed to sync {what} cache: timed out waiting for the condition") from error

    async def _get(self, ref: Ref) -> None:
        known = self._read.get(ref)
        if known is not None and known.status.phase == "Bound":
            return
        kind, namespace, name = ref
        try:
            found = await self._client.get(kind, namespace, name)
        except StatusError as error:
            if error.reason != "NotFound":
                raise NotSynced(error.message) from error
            found = None
        except OSError as error:
            raise NotSynced(f"cannot read {kind.singular} {name}: {error}") from error
        if ref in self._users:
            self._read[ref] = found

    def get(self, kind: Kind, namespace: str, name: str) -> Any:
        if kind in READ:
            return self._read.get((kind, namespace, name))
        view = self._views.get((kind, namespace, name))
        return view.get(namespace, name) if view is not None else None

    def configmap(self, namespace: str, name: str) -> Any:
        return self.get(CONFIGMAP, namespace, name)

    def secret(self, namespace: str, name: str) -> Any:
        return self.get(SECRET, namespace, name)

    def claim(self, namespace: str, name: str) -> Any:
        return self.get(CLAIM, namespace, name)

    def volume(self, namespace: str, name: str) -> Any:
        return self.get(VOLUME, namespace, name)

    def trust_bundles(self, name: str, signer: str) -> Sequence[Any]:
        """The one of that name, or all of the signer."""
        if name:
            found = self.get(TRUST_BUNDLE, "", name)
            return (found,) if found is not None else ()
        view = self._views.get((TRUST_BUNDLE, "", f"{OF_SIGNER}{signer}"))
        # A view may show more than it was asked for where it is shared.
        return [b for b in view.list() if b.spec.signerName == signer] if view is not None else ()
