"""Tidying: what belongs to no pod, dead containers, log files that have grown, images that nobody uses."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pelamis.kubelet import actions as a
from pelamis.kubelet import config, images, logs
from pelamis.kubelet.cri.runtime import CriError
from pelamis.kubelet.volumes import image as image_volume
from pelamis.kubelet.volumes import pod as volumes

if TYPE_CHECKING:
    from pelamis.kubelet.run import Kubelet

log = logging.getLogger("pelamis.kubelet.gc")
ORPHAN_GRACE_S = 1


async def remove_orphan(kubelet: Kubelet, uid: str, held: a.Adopted) -> None:
    """Stop and remove all of a pod that is no longer declared."""
    runtime, settings = kubelet.runtime, kubelet.settings
    if uid in kubelet.removing:
        return
    kubelet.removing.add(uid)
    try:
        for run in held.runs:
            if run.state in ("running", "unknown"):
                await runtime.stop_container(run.id, ORPHAN_GRACE_S)
        for run in held.runs:
            await runtime.remove_container(run.id)
        for sandbox in held.sandboxes:
            await runtime.stop_sandbox(sandbox.id)
            await runtime.remove_sandbox(sandbox.id)
    except CriError as error:
        log.warning("orphaned pod %s: %s", uid, error)
        return
    finally:
        kubelet.removing.discard(uid)
    for id_ in (*(run.id for run in held.runs), *(sandbox.id for sandbox in held.sandboxes)):
        kubelet.agent.owners.pop(id_, None)
    await _remove_files(kubelet, uid)
    log.info("removed the remains of pod %s on %s", uid, settings.node_name)


async def _remove_files(kubelet: Kubelet, uid: str) -> None:
    folder = kubelet.agent.pod_folder(uid)
    try:
        views = image_volume.views(folder)
        volumes.take_down(folder)
        for view in views:
            await kubelet.runtime.drop_view(view)
    except (CriError, OSError) as error:
        log.warning("volumes of orphaned pod %s: %s", uid, error)
        return
    shutil.rmtree(folder, ignore_errors=True)
    _remove_logs(Path(kubelet.settings.pod_logs_dir), uid)


def _remove_logs(base: Path, uid: str) -> None:
    if base.is_dir():
        for entry in base.iterdir():
            if entry.name.endswith(f"_{uid}"):
                shutil.rmtree(entry, ignore_errors=True)


async def housekeeping(kubelet: Kubelet) -> None:
    while True:
        try:
            await tidy(kubelet)
        except CriError as error:
            log.warning("housekeeping: %s", error)
        await asyncio.sleep(kubelet.settings.housekeeping_s)


async def tidy(kubelet: Kubelet) -> None:
    """One round: orphans in the runtime, in the pods folder and among cgroups; dead containers; dead log links."""
    found = await kubelet.inventory(details=False)
    for uid, held in found.items():
        if uid not in kubelet.workers:
            await remove_orphan(kubelet, uid, held)
    for uid, worker in list(kubelet.workers.items()):
        held = found.get(uid, a.Adopted())
        await _dead_containers(kubelet, worker, held)
    await kubelet.agent.devices.reconcile({*kubelet.workers, *found})
    folder = Path(kubelet.settings.root_dir) / "pods"
    for entry in list(folder.iterdir()) if folder.is_dir() else []:
        if entry.name not in kubelet.workers and entry.name not in found:
            await _remove_files(kubelet, entry.name)
    if kubelet.agent.cgroups is not None:
        for uid, group in kubelet.agent.cgroups.leftover_pods().items():
            if uid not in kubelet.workers and uid not in found:
                kubelet.agent.cgroups.remove(group)
    _drop_dead_links(kubelet.settings.container_logs_dir, kubelet.settings.pod_logs_dir)


def _drop_dead_links(folder: str, logs_dir: str) -> None:
    links = Path(folder)
    for link in list(links.iterdir()) if links.is_dir() else []:
        if link.is_symlink() and os.readlink(link).startswith(logs_dir) and not link.exists():
            link.unlink(missing_ok=True)


async def _dead_containers(kubelet: Kubelet, worker: Any, held: a.Adopted) -> None:
    """Keep the newest run of each container and one that has exited before it; old sandboxes go when they are empty."""
    state = worker.machine.state
    kept: set[str] = set()
    for slot in state.slots.values():
        kept |= {run.id for run in (slot.current, slot.last) if run is not None}
    busy = any(slot.busy for slot in state.slots.values())
    seen: dict[str, int] = {}
    for run in held.runs:
        seen[run.name] = seen.get(run.name, 0) + 1
        if run.id in kept or run.state != "exited" or busy or seen[run.name] <= 2:
            continue
        await kubelet.runtime.remove_container(run.id)
        kubelet.agent.owners.pop(run.id, None)
        folder = Path(kubelet.settings.pod_logs_dir) / config.log_folder(worker.pod) / run.name
        for entry in folder.glob(f"{run.attempt}.log*"):
            entry.unlink(missing_ok=True)
    if state.sandbox_busy:
        return
    used = {run.sandbox_id for run in held.runs if run.id in kept}
    for sandbox in held.sandboxes:
        if (state.sandbox is None or sandbox.id != state.sandbox.id) and sandbox.id not in used and not sandbox.ready:
            await kubelet.runtime.remove_sandbox(sandbox.id)
            kubelet.agent.owners.pop(sandbox.id, None)


async def rotate_logs(kubelet: Kubelet) -> None:
    settings = kubelet.settings
    while True:
        await asyncio.sleep(settings.log_period_s)
        for worker in list(kubelet.workers.values()):
            for slot in worker.machine.state.slots.values():
                run = slot.current
                if run is not None and run.state == "running":
                    folder = Path(settings.pod_logs_dir) / config.log_folder(worker.pod) / slot.name
                    await _rotate(kubelet, folder / f"{run.attempt}.log", run.id)


async def _rotate(kubelet: Kubelet, path: Path, id_: str) -> None:
    settings = kubelet.settings
    try:
        if _size(path) < settings.log_max_bytes:
            return
        stamp = kubelet.agent.stamp()
        logs.rotate(path, stamp, settings.log_max_files)
    except OSError as error:
        log.warning("log rotation of %s: %s", path, error)
        return
    try:
        await kubelet.runtime.reopen_log(id_)
    except CriError as error:
        log.warning("log rotation of %s: %s", path, error)
        with contextlib.suppress(OSError):
            os.rename(f"{path}.{stamp}", path)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


async def collect_images(kubelet: Kubelet) -> None:
    seen: dict[str, float] = {}
    while True:
        await asyncio.sleep(kubelet.settings.image_gc_period_s)
        try:
            await free_images(kubelet, seen)
        except (CriError, OSError) as error:
            log.warning("image collection: %s", error)


async def free_images(kubelet: Kubelet, seen: dict[str, float], wanted: int | None = None) -> int:
    """Delete unused images if the disk is too full, or ``wanted`` bytes of them; returns the bytes freed."""
    settings, now = kubelet.settings, kubelet.now()
    present = await kubelet.runtime.list_images()
    kubelet.agent.images.records.prune((image.id for image in present), now)
    used = {c.image_ref for c in await kubelet.runtime.list_containers()}
    used.update(ref for worker in kubelet.workers.values() for ref in worker.images.of_volumes.values())
    held = []
    for image in present:
        first = seen.setdefault(image.id, now)
        last = kubelet.agent.images.last_used.get(image.id, first)
        names = {image.id, *image.repo_tags, *image.repo_digests}
        # the sandbox image belongs to no container that is listed; the runtime pins it, or its name gives it away
        pinned = image.pinned or any("pause" in tag for tag in image.repo_tags)
        held.append(images.Held(image.id, image.size, last, first, bool(names & used), pinned))
    for gone in set(seen) - {image.id for image in present}:
        del seen[gone]
    if wanted is None:
        figures = os.statvfs(settings.runtime_root if os.path.isdir(settings.runtime_root) else "/")  # noqa: ASYNC240
        capacity, available = figures.f_blocks * figures.f_frsize, figures.f_bavail * figures.f_frsize
        wanted = images.over_threshold(
            capacity, available, settings.image_gc_high_percent, settings.image_gc_low_percent
        )
    freed = 0
    for victim in images.victims(held, wanted, now):
        await kubelet.runtime.remove_image(victim.id)
        freed += victim.size
    return freed
