"""Whether what a hollow pod refers to is there: Secrets, ConfigMaps, its token's account, claims and their volumes.

Nothing is mounted, so nothing is followed: an object is read once, by the node's own identity, when the pod's volumes
are to be set up or a container is to start, and again when the pod machine tries anew. A pod that refers to nothing
but its service account and the cluster's root certificates, as nearly all do, costs two look-ups in views that all
nodes of the process share. The messages are those of the kubelet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pelamis.api.certificates.clustertrustbundle import KIND as TRUST_BUNDLE
from pelamis.api.core.configmap import KIND as CONFIGMAP
from pelamis.api.core.persistentvolume import KIND as VOLUME
from pelamis.api.core.persistentvolumeclaim import KIND as CLAIM
from pelamis.api.core.pod.volume import claim_name
from pelamis.api.core.secret import KIND as SECRET
from pelamis.api.core.serviceaccount import KIND as ACCOUNT
from pelamis.api.kind import Kind
from pelamis.api.resource.resourceclaim import KIND as DEVICE_CLAIM
from pelamis.api.storage.csidriver import KIND as DRIVER
from pelamis.base.errors import NotFound, StatusError
from pelamis.client.types import Client, View
from pelamis.kubelet import deviceclaims, env
from pelamis.kubelet.volumes import payload

if TYPE_CHECKING:
    from pelamis.kubelet.hollow.pod import HollowPod

ROOT_CA = "kube-root-ca.crt"
PROTECTED = "kubernetes.io/pvc-protection"
Ref = tuple[Kind, str, str]


class Unreadable(Exception):
    """The object could not be read; the message is shown to the user."""


@dataclass(frozen=True, slots=True)
class Mounts:
    """What came of a pod's volumes. message: why they cannot be mounted; waits: not yet attached; attached: by name,
    as the node's status lists them."""

    message: str = ""
    waits: bool = False
    attached: tuple[str, ...] = ()


def needed(pod: Any) -> Iterator[Any]:
    """Volumes that a container mounts and whose source is an object of the API."""
    volumes = pod.spec.volumes
    if not volumes:
        return
    spec = pod.spec
    used: set[str] | None = None
    for volume in volumes:
        if (
            volume.projected is None
            and volume.configMap is None
            and volume.secret is None
            and volume.persistentVolumeClaim is None
            and volume.ephemeral is None
        ):
            continue
        if used is None:
            everyone = (*spec.initContainers, *spec.containers, *spec.ephemeralContainers)
            used = {m.name for c in everyone for m in c.volumeMounts}
            used.update(d.name for c in everyone for d in getattr(c, "volumeDevices", ()))
        if volume.name in used:
            yield volume


def refers(container: Any) -> bool:
    """Whether the container's environment comes from ConfigMaps or Secrets."""
    if container.envFrom:
        return True
    for variable in container.env:
        source = variable.valueFrom
        if source is not None and (source.configMapKeyRef is not None or source.secretKeyRef is not None):
            return True
    return False


def _of_env(pod: Any, container: Any) -> Iterator[Ref]:
    namespace = pod.metadata.namespace
    for source in container.envFrom:
        if source.configMapRef is not None:
            yield CONFIGMAP, namespace, source.configMapRef.name
        if source.secretRef is not None:
            yield SECRET, namespace, source.secretRef.name
    for variable in container.env:
        value = variable.valueFrom
        if value is not None and value.configMapKeyRef is not None:
            yield CONFIGMAP, namespace, value.configMapKeyRef.name
        if value is not None and value.secretKeyRef is not None:
            yield SECRET, namespace, value.secretKeyRef.name


class Lookups:
    """client: reads what all nodes share. failed: told when a look-up raised what it should not."""

    def __init__(self, client: Client, failed: Callable[[BaseException], None]) -> None:
        self._failed = failed
        self.roots: View[Any] = client.view(CONFIGMAP, field_selector=f"metadata.name={ROOT_CA}")
        self.accounts: View[Any] = client.view(ACCOUNT)
        self._release = client.release
        self._tasks: set[asyncio.Task[None]] = set()

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._release(self.roots)
        self._release(self.accounts)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed(error)

    # --- volumes ------------------------------------------------------------------------------------------------------

    def at_hand(self, pod: Any, volume: Any) -> bool:
        """The volume is a projection of what the shared views show to be there."""
        if volume.projected is None:
            return False
        namespace = pod.metadata.namespace
        for part in volume.projected.sources:
            if part.serviceAccountToken is not None:
                if self.accounts.get(namespace, pod.spec.serviceAccountName or "default") is None:
                    return False
            elif part.configMap is not None:
                ref = part.configMap
                found = self.roots.get(namespace, ref.name) if ref.name == ROOT_CA else None
                if found is None or any(item.key not in found.data for item in ref.items):
                    return False
            elif part.downwardAPI is None:
                return False
        return True

    async def mounts(self, held: HollowPod, volumes: list[Any]) -> Mounts:
        """volumes: those that are not at hand."""
        pod, read = held.pod, _Reader(held)
        failed: list[str] = []
        attached: list[str] = []
        for volume in volumes:  # claims first: until all are bound nothing is mounted
            if volume.persistentVolumeClaim is not None or volume.ephemeral is not None:
                try:
                    name = await _claimed(pod, volume, read)
                except Unreadable as error:
                    failed.append(volume.name)
                    text = str(error)
                    continue
                if name:
                    attached.append(name)
        if failed:
            names = " ".join(failed)
            where = f"unmounted volumes=[{names}], unattached volumes=[{names}], failed to process volumes=[{names}]"
            return Mounts(f"Unable to attach or mount volumes: {where}: {text}")
        for volume in volumes:
            try:
                await self._content(pod, volume, read)
            except (Unreadable, payload.VolumeError) as error:
                return Mounts(f'MountVolume.SetUp failed for volume "{volume.name}" : {error}')
        given = {one.name for one in held.kubelet.obj.status.volumesAttached} if held.kubelet.obj is not None else set()
        return Mounts(waits=not given.issuperset(attached), attached=tuple(attached))

    async def _content(self, pod: Any, volume: Any, read: _Reader) -> None:
        """Raises when the volume's files cannot be made."""
        namespace = pod.metadata.namespace
        if volume.configMap is not None:
            await _configmap(volume.configMap, volume.configMap.name, namespace, read)
        elif volume.secret is not None:
            await _secret(volume.secret, volume.secret.secretName, namespace, read)
        elif volume.projected is not None:
            for part in volume.projected.sources:
                if part.configMap is not None:
                    await _configmap(part.configMap, part.configMap.name, namespace, read)
                elif part.secret is not None:
                    await _secret(part.secret, part.secret.name, namespace, read)
                elif part.serviceAccountToken is not None:
                    await self._token(pod, part.serviceAccountToken, read)
                elif part.clusterTrustBundle is not None and not part.clusterTrustBundle.optional:
                    name = part.clusterTrustBundle.name
                    if name and await read(TRUST_BUNDLE, "", name) is None:
                        raise Unreadable(f'clustertrustbundle "{name}" not found')

    async def _token(self, pod: Any, source: Any, read: _Reader) -> None:
        account = pod.spec.serviceAccountName or "default"
        if self.accounts.get(pod.metadata.namespace, account) is None:
            await read.token(account, source)

    async def devices(self, held: HollowPod) -> str:
        """Why the pod may not use the devices of its claims; "" = it may. Any driver is taken to be there."""
        namespace, reader = held.pod.metadata.namespace, _Reader(held)

        async def read(name: str) -> Any:
            found = await reader(DEVICE_CLAIM, namespace, name)
            if found is None:
                raise NotFound("resourceclaims", "resource.k8s.io", name)
            return found

        try:
            return await deviceclaims.hindrance(held.pod, read, None)
        except Unreadable as error:
            return str(error)

    # --- the environment ----------------------------------------------------------------------------------------------

    async def environment(self, held: HollowPod, container: Any) -> str:
        """Why the container's environment cannot be made; "" when it can."""
        read = _Reader(held)
        try:
            for kind, namespace, name in _of_env(held.pod, container):
                await read(kind, namespace, name)
        except Unreadable as error:
            return str(error)
        sources = env.Sources(
            configmap=lambda namespace, name: read.known.get((CONFIGMAP, namespace, name)),
            secret=lambda namespace, name: read.known.get((SECRET, namespace, name)),
        )
        return env.missing(held.pod, container, sources)


class _Reader:
    """Reads with the node's identity, each object once."""

    def __init__(self, held: HollowPod) -> None:
        self._held = held
        self.known: dict[Ref, Any] = {}

    async def _asked(self, call: Callable[[Client], Awaitable[Any]], what: str) -> Any:
        kubelet = self._held.kubelet
        try:
            if not kubelet.reachable:
                raise OSError("no route to host")
            return await call(kubelet.agent.outbox.client(kubelet.mail))
        except StatusError as error:
            if error.reason == "NotFound":
                return None
            raise Unreadable(error.message) from error
        except OSError as error:
            raise Unreadable(f"cannot read {what}: {error}") from error

    async def __call__(self, kind: Kind, namespace: str, name: str) -> Any:
        ref = (kind, namespace, name)
        if ref not in self.known:
            self.known[ref] = await self._asked(
                lambda client: client.get(kind, namespace, name), f"{kind.singular} {name}"
            )
        return self.known[ref]

    async def token(self, account: str, source: Any) -> None:
        """Asks for a token of an account that the shared view does not show. Raises Unreadable."""
        meta = self._held.pod.metadata
        path = f"/api/v1/namespaces/{meta.namespace}/serviceaccounts/{account}/token"
        body = {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {"name": account, "namespace": meta.namespace},
            "spec": {
                "audiences": [source.audience] if source.audience else [],
                "expirationSeconds": source.expirationSeconds or 3600,
                "boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": meta.name, "uid": meta.uid},
            },
        }
        try:
            if await self._asked(lambda client: client.post(path, body), f"token of {account}") is not None:
                return
        except Unreadable as error:
            raise Unreadable(f"failed to fetch token: {error}") from error
        raise Unreadable(f'failed to fetch token: serviceaccounts "{account}" not found')


async def _configmap(source: Any, name: str, namespace: str, read: _Reader) -> None:
    found = await read(CONFIGMAP, namespace, name)
    if found is not None:
        payload.configmap(found, source.items, 0o644, bool(source.optional))
    elif not source.optional:
        raise Unreadable(f'configmap "{name}" not found')


async def _secret(source: Any, name: str, namespace: str, read: _Reader) -> None:
    found = await read(SECRET, namespace, name)
    if found is not None:
        payload.secret(found, source.items, 0o644, bool(source.optional))
    elif not source.optional:
        raise Unreadable(f'secret "{name}" not found')


async def _claimed(pod: Any, volume: Any, read: _Reader) -> str:
    """What the node's status calls the claim's volume when it must be attached first; else "". Raises Unreadable."""
    namespace, name = pod.metadata.namespace, claim_name(volume, pod.metadata.name)
    where = f"error processing PVC {namespace}/{name}"
    claim = await read(CLAIM, namespace, name)
    if claim is None:
        missing = f'persistentvolumeclaims "{name}" not found'
        raise Unreadable(f"{where}: failed to fetch PVC from API server: {missing}")
    if claim.metadata.deletionTimestamp and PROTECTED not in claim.metadata.finalizers:
        raise Unreadable(f"{where}: PVC is being deleted")
    if claim.status.phase != "Bound":
        raise Unreadable(f"{where}: PVC is not bound")
    if not claim.spec.volumeName:
        raise Unreadable(f"{where}: PVC has empty pvc.Spec.VolumeName")
    if volume.ephemeral is not None and not any(
        owner.uid == pod.metadata.uid and owner.controller for owner in claim.metadata.ownerReferences
    ):
        whose = f"{namespace}/{pod.metadata.name}"
        raise Unreadable(f"PVC {namespace}/{name} was not created for pod {whose} (pod is not owner)")
    behind = claim.spec.volumeName
    found = await read(VOLUME, "", behind)
    if found is None:
        missing = f'persistentvolumes "{behind}" not found'
        raise Unreadable(f"{where}: failed to fetch PV {behind} from API server: {missing}")
    if found.spec.claimRef is None:
        text = "it has a nil pv.Spec.ClaimRef indicating it is not yet bound to the claim"
        raise Unreadable(f"{where}: found PV object {behind} but {text}")
    if found.spec.claimRef.uid != claim.metadata.uid:
        text = f"its pv.Spec.ClaimRef.UID {found.spec.claimRef.uid} does not point to claim.UID {claim.metadata.uid}"
        raise Unreadable(f"{where}: found PV object {behind} but {text}")
    csi = found.spec.csi
    if csi is None:
        return ""
    driver = await read(DRIVER, "", csi.driver)
    if driver is not None and driver.spec.attachRequired is False:
        return ""
    return f"kubernetes.io/csi/{csi.driver}^{csi.volumeHandle}"
