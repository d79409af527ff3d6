"""The node's part of local volumes: their directories. Runs in the agent, beside the provisioning controller.

A directory is made when its PersistentVolume appears, writable by every user, as the containers' users are not known.
When the volume is released and its policy is Delete, first the directory goes and then the object, so that nothing is
forgotten when the agent was down meanwhile: at start all volumes of the node are looked at again.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

from pelamis.api.core.persistentvolume import KIND as VOLUME
from pelamis.api.core.persistentvolume import PersistentVolume
from pelamis.client.synced import synced
from pelamis.client.types import Client, Delete
from pelamis.localstorage.provision import controller, is_ours, node_of
from pelamis.reconcile.recorder import Recorder
from pelamis.reconcile.runner import Runner

log = logging.getLogger("pelamis.localstorage")
_RETRY_S = 15.0


class LocalStorage:
    """``await run()`` until cancelled. root: absolute; node: its host name. clock: seconds since the epoch."""

    def __init__(self, client: Client, root: Path, node: str, record: Recorder, clock: Callable[[], float]) -> None:
        self._client = client
        self._root = root
        self._node = node
        self._record = record
        self._runner = Runner(controller(str(root), lambda name: name == node), client, clock=clock)
        self._dirty: dict[str, None] = {}
        self._wake = asyncio.Event()

    async def run(self) -> None:
        view = self._client.view(VOLUME)
        cancel = view.subscribe(lambda key, old, new: self._mark(key[1]))
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._runner.run(), name="local volumes are provisioned")
                await synced(view)
                while True:
                    while self._dirty:
                        name = next(iter(self._dirty))
                        del self._dirty[name]
                        volume = view.get("", name)
                        if volume is not None and is_ours(volume) and node_of(volume) == self._node:
                            await self._look_after(volume)
                    await self._wake.wait()
                    self._wake.clear()
        finally:
            cancel()

    def _mark(self, name: str) -> None:
        self._dirty[name] = None
        self._wake.set()

    async def _look_after(self, volume: PersistentVolume) -> None:
        try:
            if await asyncio.to_thread(tend, self._root, volume):
                await self._client.commit([Delete(VOLUME, "", volume.metadata.name, uid=volume.metadata.uid)])
        except OSError as error:
            log.warning("volume %s: %s", volume.metadata.name, error)
            reason = "VolumeFailedDelete" if volume.status.phase == "Released" else "ProvisioningFailed"
            self._record(volume, "Warning", reason, str(error))
            asyncio.get_running_loop().call_later(_RETRY_S, self._mark, volume.metadata.name)


def tend(root: Path, volume: PersistentVolume) -> bool:
    """Makes or removes the volume's directory; True when the object is to go too. Raises OSError."""
    local = volume.spec.local
    path = Path(local.path) if local is not None else root
    if path.parent != root:
        return False  # somebody wrote this volume by hand: no directory is removed for a stranger
    if volume.status.phase == "Released" and volume.spec.persistentVolumeReclaimPolicy == "Delete":
        if path.is_dir():
            shutil.rmtree(path)
        return True
    if volume.metadata.deletionTimestamp is None and not path.is_dir():
        root.mkdir(parents=True, exist_ok=True, mode=0o711)
        path.mkdir(exist_ok=True)
        path.chmod(0o777)
    return False
