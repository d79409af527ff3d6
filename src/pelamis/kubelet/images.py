"""Images: is one present, may it be pulled, with which credentials, and which can go when the disk fills."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from pelamis.kubelet.cri import image_types as im
from pelamis.kubelet.cri import types as cri
from pelamis.kubelet.cri.runtime import CriError, Runtime
from pelamis.kubelet.pullrecords import Credential, PullRecords, Secret, hash_of, registry

log = logging.getLogger("pelamis.kubelet.images")
_REFERENCE = re.compile(
    r"(?:(?P<host>[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::\d+)?|\[[0-9a-fA-F:]+\](?::\d+)?)/)?"
    r"(?P<path>[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>[A-Za-z][A-Za-z0-9]*(?:[+._-][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}))?",
    re.ASCII,
)


class ImageError(Exception):
    """reason: ErrImagePull, ErrImageNeverPull, InvalidImageName, ImageInspectError."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@lru_cache(maxsize=4096)
def normalize(image: str) -> str:
    """The reference with a tag (``latest`` unless it has a tag or a digest). Raises ImageError."""
    match = _REFERENCE.fullmatch(image)
    if match is None:
        why = f'couldn\'t parse image name "{image}": invalid reference format'
        raise ImageError("InvalidImageName", f'Failed to apply default image tag "{image}": {why}')
    return image if match["tag"] or match["digest"] else f"{image}:latest"


_DOCKER_HUB = ("docker.io", "index.docker.io", "registry-1.docker.io")


def _entry(entry: Mapping[str, Any]) -> im.AuthConfig:
    """Without the server's address: runtimes read that as a URL and drop credentials of any other; we chose already."""
    username, password = entry.get("username", ""), entry.get("password", "")
    if entry.get("auth") and not username:
        text = base64.b64decode(entry["auth"]).decode("utf-8", "replace")
        username, _, password = text.partition(":")
    return im.AuthConfig(
        username=username,
        password=password,
        identity_token=entry.get("identitytoken", ""),
        registry_token=entry.get("registrytoken", ""),
    )


def credentials(secrets: Iterable[Any], image: str) -> list[Credential]:
    """What the pull secrets offer for an image, the most specific address first."""
    host, path = registry(image)
    found: list[tuple[int, Credential]] = []
    for secret in secrets:
        try:
            if secret.type == "kubernetes.io/dockerconfigjson":
                table = json.loads(secret.data[".dockerconfigjson"]).get("auths", {})
            elif secret.type == "kubernetes.io/dockercfg":
                table = json.loads(secret.data[".dockercfg"])
            else:
                continue
        except (KeyError, ValueError):
            continue
        for server, entry in table.items():
            bare = server.removeprefix("https://").removeprefix("http://").rstrip("/")
            name, _, prefix = bare.partition("/")
            if prefix in ("v1", "v2"):
                prefix = ""
            same = name == host or (name in _DOCKER_HUB and host in _DOCKER_HUB)
            if not same and "*" in name:
                labels, wanted = name.split("."), host.split(".")
                same = len(labels) == len(wanted) and all(
                    re.fullmatch(re.escape(label).replace(r"\*", "[^.]*"), part)
                    for label, part in zip(labels, wanted, strict=True)
                )
            if same and (not prefix or path == prefix or path.startswith(prefix + "/")):
                auth, meta = _entry(entry), secret.metadata
                source = Secret(meta.namespace, meta.name, meta.uid, hash_of(auth))
                found.append((len(prefix), Credential(auth, source)))
    return [credential for _, credential in sorted(found, key=lambda item: -item[0])]


def duration(seconds: float) -> str:
    """As Go prints it, to milliseconds: ``1.234s``, ``350ms``, ``1m2.5s``."""
    milli = round(seconds * 1000)
    if milli < 1000:
        return f"{milli}ms"
    minutes, rest = divmod(milli, 60_000)
    text = f"{rest / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    if not minutes:
        return text
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{text}" if hours else f"{minutes}m{text}"


Note = Callable[[str, str, str], None]
"""(type, reason, message)."""


class Images:
    """Answers whether an image is there, pulling it where the policy says so. Equal pulls at one time are made once."""

    def __init__(self, runtime: Runtime, now: Callable[[], float], records: PullRecords, *, parallel: int = 4) -> None:
        self._runtime = runtime
        self.records = records
        self._now = now
        self._pulls: dict[str, asyncio.Future[str]] = {}
        self._slots = asyncio.Semaphore(parallel)
        self.last_used: dict[str, float] = {}

    async def ensure(
        self,
        container: Any,
        auths: Callable[[str], list[Credential]],
        sandbox: cri.PodSandboxConfig | None,
        note: Note,
    ) -> str:
        """The reference to create the container with. Raises ImageError."""
        image = normalize(container.image)
        policy = container.imagePullPolicy or ("Always" if image.endswith(":latest") else "IfNotPresent")
        try:
            present = await self._runtime.image_status(image)
        except CriError as error:
            message = f'Failed to inspect image "{image}": {error}'
            note("Warning", "InspectFailed", message)
            raise ImageError("ImageInspectError", message) from error
        mine = cache(lambda: auths(image))
        if (
            present is not None
            and policy != "Always"
            and not self.records.must_pull(image, present.id, mine, self._now(), present.repo_tags)
        ):
            text = f'Container image "{container.image}" already present on machine and can be accessed by the pod'
            note("Normal", "Pulled", text)
            self.last_used[present.id] = self._now()
            return present.id
        if policy == "Never":
            raise ImageError(
                "ErrImageNeverPull", f'Container image "{container.image}" is not present with pull policy of Never'
            )
        note("Normal", "Pulling", f'Pulling image "{container.image}"')
        began = self._now()
        reference, waited = await self._pull(image, mine(), sandbox)
        took = self._now() - began
        found = await self._runtime.image_status(reference)
        size = found.size if found is not None else 0
        spent = f"{duration(took - waited)} ({duration(took)} including waiting)"
        text = f'Successfully pulled image "{container.image}" in {spent}. Image size: {size} bytes.'
        note("Normal", "Pulled", text)
        ready = found.id if found is not None else reference
        self.last_used[ready] = self._now()
        return ready

    async def _pull(
        self, image: str, auths: list[Credential], sandbox: cri.PodSandboxConfig | None
    ) -> tuple[str, float]:
        """(reference, seconds waited for other pulls)."""
        key = f"{image} {[a.secret.credentialHash for a in auths]}"
        running = self._pulls.get(key)
        if running is not None:
            return await asyncio.shield(running), 0.0
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._pulls[key] = future
        began = self._now()
        try:
            async with self._slots:
                waited = self._now() - began
                reference = await self._recorded(image, auths, sandbox)
            future.set_result(reference)
            return reference, waited
        except BaseException as error:
            future.set_exception(
                error if isinstance(error, ImageError) else ImageError("ErrImagePull", "the pull was interrupted")
            )
            future.exception()
            raise
        finally:
            del self._pulls[key]

    async def _recorded(self, image: str, auths: list[Credential], sandbox: cri.PodSandboxConfig | None) -> str:
        try:
            self.records.begin(image)
        except OSError as error:
            why = f'Failed to record image pull intent for container image "{image}": {error}'
            raise ImageError("ErrImagePull", why) from error
        try:
            reference, used = await self._try(image, auths, sandbox)
            found = await self._runtime.image_status(reference)
        except (ImageError, CriError):
            self.records.end(image)
            raise
        try:
            self.records.pulled(image, found.id if found is not None else reference, used, self._now())
        except OSError as error:  # the note that it is being pulled stays, so that it is not taken for anybody's
            log.warning("the record of image %s: %s", image, error)
        return reference

    async def _try(
        self, image: str, auths: list[Credential], sandbox: cri.PodSandboxConfig | None
    ) -> tuple[str, Secret | None]:
        """(reference, whose credentials opened the registry)."""
        last = ""
        for one in auths or [None]:  # type: ignore[list-item]
            try:
                reference = await self._runtime.pull_image(image, one.auth if one is not None else None, sandbox)
                return reference, one.secret if one is not None else None
            except CriError as error:
                last = str(error)
        raise ImageError("ErrImagePull", last)


@dataclass(frozen=True, slots=True)
class Held:
    """An image on the disk. used_at: when it was last used or first seen."""

    id: str
    size: int
    used_at: float
    first_seen: float
    in_use: bool
    pinned: bool = False


def victims(images: Iterable[Held], to_free: int, now: float, minimum_age_s: float = 120.0) -> list[Held]:
    """Unused images to delete until ``to_free`` bytes are free, those unused for longest first. Pure."""
    out: list[Held] = []
    for held in sorted(images, key=lambda h: (h.used_at, h.first_seen)):
        if to_free <= 0:
            break
        if held.in_use or held.pinned or now - held.first_seen < minimum_age_s:
            continue
        out.append(held)
        to_free -= held.size
    return out


def over_threshold(capacity: int, available: int, high_percent: int = 85, low_percent: int = 80) -> int:
    """Bytes to free: down to the low mark once the high one is passed, else 0."""
    if capacity <= 0 or 100 - available * 100 // capacity < high_percent:
        return 0
    return capacity * (100 - low_percent) // 100 - available
