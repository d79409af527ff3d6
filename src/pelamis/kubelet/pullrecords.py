"""Who pulled which image with which credentials: a pod gets a private image that is here already only if it could have
pulled it itself.

For each image that this kubelet pulled there is a record of the secrets that opened its registry, or that none was
needed. An image that has no record was here before (``NeverVerifyPreloadedImages``) and is everybody's. While a pull
goes on a note says so, so that one that was cut short is not taken for such an image. The files are upstream's
(``image_manager``).
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from pelamis.base.clock import rfc3339
from pelamis.kubelet.cri import image_types as im

log = logging.getLogger("pelamis.kubelet.images")
API = "kubelet.config.k8s.io/v1beta1"
MOST_SECRETS = 100


class Secret(msgspec.Struct, frozen=True, order=True, omit_defaults=True):
    """A pull secret, and a hash of what it says of the registry."""

    namespace: str
    name: str
    uid: str
    credentialHash: str = ""

    @property
    def place(self) -> tuple[str, str, str]:
        return self.namespace, self.name, self.uid


class Openers(msgspec.Struct, frozen=True, omit_defaults=True):
    """What opens the registry for an image."""

    kubernetesSecrets: tuple[Secret, ...] = ()
    nodePodsAccessible: bool = False


class Record(msgspec.Struct, frozen=True):
    """credentialMapping: by the image's name without tag and digest."""

    lastUpdatedTime: str
    imageRef: str
    kind: str = "ImagePulledRecord"
    apiVersion: str = API
    credentialMapping: dict[str, Openers] = {}


@dataclass(frozen=True, slots=True)
class Credential:
    """A registry's credentials, and the secret that they are from."""

    auth: im.AuthConfig
    secret: Secret


def hash_of(auth: im.AuthConfig) -> str:
    return hashlib.sha256(msgspec.json.encode(auth)).hexdigest()


def registry(image: str) -> tuple[str, str]:
    """(host, path) of a reference: ``nginx`` is (docker.io, library/nginx)."""
    first, _, rest = image.partition("/")
    if rest and ("." in first or ":" in first or first == "localhost"):
        return first, rest.partition("@")[0]
    return "docker.io", (image if "/" in image else f"library/{image}").partition("@")[0]


def bare(image: str) -> str:
    """The whole name, however it was spelled, without tag and digest: ``docker.io/library/nginx``."""
    host, path = registry(image)
    head, slash, last = path.rpartition("/")
    name = f"{head}{slash}{last.partition(':')[0]}"
    if host in ("docker.io", "index.docker.io"):
        return f"docker.io/{name if '/' in name else f'library/{name}'}"
    return f"{host}/{name}"


class PullRecords:
    def __init__(self, folder: Path) -> None:
        self._pulling = folder / "pulling"
        self._pulled = folder / "pulled"
        self._under_way: dict[str, int] = {}

    def begin(self, image: str) -> None:
        """A pull is about to start. Raises OSError."""
        self._under_way[image] = self._under_way.get(image, 0) + 1
        if self._under_way[image] == 1:
            body = {"kind": "ImagePullIntent", "apiVersion": API, "image": image}
            _write(self._pulling / _file(image), msgspec.json.encode(body))

    def end(self, image: str) -> None:
        """The pull has failed, or is in a record."""
        left = self._under_way.get(image, 0) - 1
        if left > 0:
            self._under_way[image] = left
            return
        self._under_way.pop(image, None)
        (self._pulling / _file(image)).unlink(missing_ok=True)

    def pulled(self, image: str, ref: str, secret: Secret | None, now: float) -> None:
        """It was pulled with the secret's credentials, or (None) needed none. ref: the runtime's id. Raises OSError."""
        new = Openers((secret,)) if secret is not None else Openers(nodePodsAccessible=True)
        self._merge(image, ref, new, now)
        self.end(image)

    def must_pull(
        self,
        image: str,
        ref: str,
        credentials: Callable[[], Sequence[Credential]],
        now: float,
        tags: Sequence[str] = (),
    ) -> bool:
        """Whether a pod with these credentials has to show that the registry opens for it.

        tags: names that the runtime has for the image. One that was never pulled here was loaded by somebody else, for
        everybody, even if the same image was pulled under another name too.
        """
        record = self._read(ref)
        name = bare(image)
        known = record.credentialMapping.get(name) if record is not None else None
        if known is None:
            if record is not None and name not in map(bare, tags):
                return True
            return image in self._under_way or (self._pulling / _file(image)).exists()
        if known.nodePodsAccessible:
            return False
        full = len(known.kubernetesSecrets) >= MOST_SECRETS
        for credential in credentials() if known.kubernetesSecrets else ():
            mine = credential.secret
            for secret in known.kubernetesSecrets:
                same_hash = bool(secret.credentialHash) and secret.credentialHash == mine.credentialHash
                if not same_hash and (secret.place != mine.place or full):
                    continue
                if secret != mine and not full:
                    self._note(image, ref, mine, now)
                return False
        return True

    def _note(self, image: str, ref: str, secret: Secret, now: float) -> None:
        try:
            self._merge(image, ref, Openers((secret,)), now)
        except OSError as error:
            log.warning("the record of image %s: %s", image, error)

    def recover(self, present: Sequence[im.Image], now: float) -> None:
        """At the start: images whose pull was cut short but which are here were pulled with credentials unknown."""
        for path in self._files(self._pulling):
            try:
                image = str(msgspec.json.decode(path.read_bytes())["image"])
            except (OSError, KeyError, TypeError, msgspec.MsgspecError):
                continue
            for found in present:
                if image in found.repo_tags or image in found.repo_digests:
                    self._merge(image, found.id, None, now)
                    path.unlink(missing_ok=True)

    def prune(self, present: Iterable[str], until: float) -> None:
        """Forgets the images that are not here any more. until: when it was looked which there are."""
        kept = {_file(ref) for ref in present}
        for path in self._files(self._pulled):
            if path.name not in kept and path.stat().st_mtime < until:
                path.unlink(missing_ok=True)

    # --- the files ----------------------------------------------------------------------------------------------------

    @staticmethod
    def _files(folder: Path) -> list[Path]:
        return [p for p in folder.iterdir() if p.name.startswith("sha256-")] if folder.is_dir() else []

    def _read(self, ref: str) -> Record | None:
        """One that cannot be read is one that opens nothing."""
        try:
            return msgspec.json.decode((self._pulled / _file(ref)).read_bytes(), type=Record)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as error:
            log.warning("the record of image %s: %s", ref, error)
            return Record("", ref)

    def _merge(self, image: str, ref: str, new: Openers | None, now: float) -> None:
        record, name = self._read(ref), bare(image)
        mapping = dict(record.credentialMapping) if record is not None else {}
        old = mapping.get(name)
        if new is not None and (old is None or new.nodePodsAccessible):
            mapping[name] = new
        elif new is not None and old is not None and not old.nodePodsAccessible:
            secrets = {s.place: s for s in (*old.kubernetesSecrets, *new.kubernetesSecrets)}
            mapping[name] = Openers(tuple(sorted(secrets.values())))
        if record is None or mapping != record.credentialMapping:
            body: Any = Record(rfc3339(now), ref, credentialMapping=mapping)
            _write(self._pulled / _file(ref), msgspec.json.encode(body))


def _file(name: str) -> str:
    return f"sha256-{hashlib.sha256(name.encode()).hexdigest()}"


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_bytes(data)
    fresh.replace(path)
