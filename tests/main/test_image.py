"""Images built from files: the same bytes for the same input, readable by any container runtime."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from pelamis.main.image import ImageError, Spec, build, full_name, load


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("nginx", "docker.io/library/nginx:latest"),
        ("nginx:1.19", "docker.io/library/nginx:1.19"),
        ("me/app:1", "docker.io/me/app:1"),
        ("localhost/app", "localhost/app:latest"),
        ("127.0.0.1:5000/app:1", "127.0.0.1:5000/app:1"),
        ("host:5000/app", "host:5000/app:latest"),
        ("example.org/a/b:c", "example.org/a/b:c"),
    ],
)
def test_full_name(short: str, long: str) -> None:
    assert full_name(short) == long


def test_build_is_an_oci_layout_and_repeatable(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/tool").write_bytes(b"#!/bin/sh\n")
    spec = Spec("app:1", entrypoint=("/bin/tool",), files={"etc/x": (0o600, b"y")}, links={"bin/t": "tool"})
    data = build(spec, tmp_path)
    assert data == build(spec, tmp_path)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        files = {m.name: tar.extractfile(m).read() for m in tar}  # type: ignore[union-attr]
    index = json.loads(files["index.json"])
    manifest = json.loads(files["blobs/" + index["manifests"][0]["digest"].replace(":", "/")])
    for ref in (manifest["config"], *manifest["layers"]):
        blob = files["blobs/" + ref["digest"].replace(":", "/")]
        assert len(blob) == ref["size"] and hashlib.sha256(blob).hexdigest() == ref["digest"][7:]
    layer = files["blobs/" + manifest["layers"][0]["digest"].replace(":", "/")]
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        assert {m.name: (m.mode, m.linkname) for m in tar if not m.isdir()} == {
            "bin/tool": ((tmp_path / "bin/tool").stat().st_mode & 0o777, ""),
            "etc/x": (0o600, ""),
            "bin/t": (0o777, "tool"),
        }


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no tar")
    for name, says in (("absent", "does not exist"), ("text", "is not a tar archive"), (".", "is a directory")):
        with pytest.raises(ImageError, match=says):
            load(tmp_path / "socket", tmp_path / name)
