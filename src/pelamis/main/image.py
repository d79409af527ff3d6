"""Container images without a registry: building them from files, and loading them into containerd.

An image is an OCI layout in a tar: layers, config and manifest as blobs named by their SHA-256. Building needs nothing
but the standard library, and gives the same bytes for the same input.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pelamis.main.pause import OCI_ARCHITECTURE, binary

PAUSE_IMAGE = "pelamis.local/pause:1"
NAMESPACE = "k8s.io"


class ImageError(Exception):
    """An image could not be read, built or loaded; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Spec:
    """What a container of the image runs. ``files``: absolute path to (mode, content); ``links``: path to target."""

    name: str
    entrypoint: Sequence[str] = ()
    cmd: Sequence[str] = ()
    env: Sequence[str] = ("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",)
    ports: Sequence[str] = ()
    user: str = ""
    workdir: str = "/"
    stop_signal: str = ""
    files: Mapping[str, tuple[int, bytes]] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    folders: Mapping[str, int] = field(default_factory=dict)


def _info(name: str, mode: int, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name.lstrip("/"))
    info.mode, info.type = mode, kind
    return info


def _layer(spec: Spec, root: Path | None) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        if root is not None:
            for path in sorted(root.rglob("*")):
                info = tar.gettarinfo(str(path), str(path.relative_to(root)))
                if info is None:
                    continue
                info.mtime = 0
                if info.isreg():
                    with path.open("rb") as file:
                        tar.addfile(info, file)
                else:
                    tar.addfile(info)
        for name, mode in spec.folders.items():
            tar.addfile(_info(name, mode, tarfile.DIRTYPE))
        for name, (mode, content) in spec.files.items():
            info = _info(name, mode)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for name, target in spec.links.items():
            info = _info(name, 0o777, tarfile.SYMTYPE)
            info.linkname = target
            tar.addfile(info)
    return out.getvalue()


def build(spec: Spec, root: Path | None = None) -> bytes:
    """The image as an OCI layout tar. ``root``: a directory that becomes the file system, before spec.files."""
    machine = OCI_ARCHITECTURE.get(os.uname().machine, os.uname().machine)
    layer = _layer(spec, root)
    blobs: dict[str, bytes] = {}

    def blob(data: bytes, media: str) -> dict[str, object]:
        digest = hashlib.sha256(data).hexdigest()
        blobs[digest] = data
        return {"mediaType": media, "digest": f"sha256:{digest}", "size": len(data)}

    prefix = "application/vnd.oci.image."
    layer_ref = blob(layer, prefix + "layer.v1.tar")
    settings: dict[str, object] = {"Env": list(spec.env), "WorkingDir": spec.workdir}
    if spec.entrypoint:
        settings["Entrypoint"] = list(spec.entrypoint)
    if spec.cmd:
        settings["Cmd"] = list(spec.cmd)
    if spec.user:
        settings["User"] = spec.user
    if spec.stop_signal:
        settings["StopSignal"] = spec.stop_signal
    if spec.ports:
        settings["ExposedPorts"] = {port: {} for port in spec.ports}
    config = {
        "architecture": machine,
        "os": "linux",
        "config": settings,
        "rootfs": {"type": "layers", "diff_ids": [layer_ref["digest"]]},
        "history": [{"created_by": "pelamis"}],
    }
    config_ref = blob(json.dumps(config).encode(), prefix + "config.v1+json")
    manifest = {
        "schemaVersion": 2,
        "mediaType": prefix + "manifest.v1+json",
        "config": config_ref,
        "layers": [layer_ref],
    }
    reference = blob(json.dumps(manifest).encode(), prefix + "manifest.v1+json")
    name = full_name(spec.name)
    annotations = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name.rsplit(":", 1)[1]}
    index = {"schemaVersion": 2, "manifests": [{**reference, "annotations": annotations}]}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        entries = [("oci-layout", b'{"imageLayoutVersion": "1.0.0"}'), ("index.json", json.dumps(index).encode())]
        entries += [(f"blobs/sha256/{digest}", data) for digest, data in blobs.items()]
        for path, data in entries:
            info = _info(path, 0o644)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def full_name(name: str) -> str:
    """``nginx:1.19`` -> ``docker.io/library/nginx:1.19``, as container runtimes read short names."""
    first, _, rest = name.partition("/")
    if not rest:
        name = f"docker.io/library/{name}"
    elif "." not in first and ":" not in first and first != "localhost":
        name = f"docker.io/{name}"
    return name if ":" in name.rsplit("/", 1)[1] else f"{name}:latest"


def pause() -> bytes:
    """The image of every pod's sandbox."""
    return build(Spec(PAUSE_IMAGE, entrypoint=("/pause",), files={"pause": (0o755, binary(os.uname().machine))}))


def _ctr(socket: Path, arguments: Iterable[str], data: bytes | None = None) -> str:
    command = ["ctr", "--address", str(socket), "--namespace", NAMESPACE, *arguments]
    try:
        done = subprocess.run(command, input=data, capture_output=True, check=False)
    except FileNotFoundError:
        raise ImageError("`ctr` is not installed: it is part of containerd (apt-get install containerd)") from None
    if done.returncode:
        text = done.stderr.decode(errors="replace").strip().removeprefix("ctr: ")
        if "permission denied" in text and os.geteuid() != 0:
            raise ImageError(f"{socket} is for root only: run with sudo")
        if "unrecognized image format" in text:
            raise ImageError("the archive holds no image: save one with `docker save -o FILE IMAGE`")
        raise ImageError(text)
    return done.stdout.decode(errors="replace")


def load(socket: Path, archive: bytes | Path) -> list[str]:
    """Imports a tar made by ``docker save`` or an OCI layout tar; returns the names of the images."""
    if isinstance(archive, Path):
        if archive.is_dir():
            raise ImageError(f"{archive} is a directory: give the tar that `docker save` or a build tool wrote")
        if not archive.exists():
            raise ImageError(f"{archive} does not exist: give the tar that `docker save` or a build tool wrote")
        if not tarfile.is_tarfile(archive):
            raise ImageError(f"{archive} is not a tar archive: save the image with `docker save -o FILE IMAGE`")
        out = _ctr(socket, ("images", "import", str(archive)))
    else:
        out = _ctr(socket, ("images", "import", "-"), archive)
    return [line.split()[1] for line in out.splitlines() if line.startswith("unpacking ")]


def names(socket: Path) -> list[str]:
    """The names of the images that pods can use, without the digest-only ones."""
    found = _ctr(socket, ("images", "list", "-q")).split()
    return sorted(name for name in found if not name.startswith("sha256:") and "@sha256:" not in name)
