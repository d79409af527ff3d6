"""What touches files: atomic volumes, log reading and rotation, subPath resolution."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pelamis.kubelet import logs
from pelamis.kubelet.volumes import atomic, claim, hostpath
from pelamis.kubelet.volumes import pod as volumes
from pelamis.kubelet.volumes.atomic import File
from pelamis.kubelet.volumes.payload import VolumeError
from pelamis.kubelet.volumes.subpath import _open_inside


def test_atomic_writer_swaps_all_at_once(tmp_path: Path) -> None:
    assert atomic.write(tmp_path, {"a": File(b"1", 0o600), "d/b": File(b"2", 0o644)}, "1")
    assert not atomic.write(tmp_path, {"a": File(b"1", 0o600), "d/b": File(b"2", 0o644)}, "2")
    assert (tmp_path / "a").read_bytes() == b"1" and (tmp_path / "d/b").read_bytes() == b"2"
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600
    assert atomic.write(tmp_path, {"a": File(b"x", 0o600)}, "3")
    assert sorted(os.listdir(tmp_path)) == ["..3", "..data", "a"]
    for bad in ("../x", "/x", "..x", ""):
        with pytest.raises(ValueError):
            atomic.write(tmp_path, {bad: File(b"", 0o600)}, "4")


def test_hostpath_types(tmp_path: Path) -> None:
    hostpath.check(str(tmp_path / "new"), "DirectoryOrCreate")
    hostpath.check(str(tmp_path / "file"), "FileOrCreate")
    hostpath.check(str(tmp_path / "file"), "File")
    hostpath.check(str(tmp_path / "whatever"), "")
    for path, kind, words in (("file", "Directory", "is not a directory"), ("new", "Socket", "is not a socket")):
        with pytest.raises(VolumeError, match=words):
            hostpath.check(str(tmp_path / path), kind)


def test_subpath_stays_inside(tmp_path: Path) -> None:
    (tmp_path / "v").mkdir()
    (tmp_path / "v/out").symlink_to("/etc")
    (tmp_path / "v/in").symlink_to("made/deep")
    os.close(_open_inside(str(tmp_path / "v"), "made/deep"))
    assert (tmp_path / "v/made/deep").is_dir()
    if os.getuid() == 0:
        os.chown(tmp_path / "v", 1000, 2000)
    (tmp_path / "v").chmod(0o3777)
    os.close(_open_inside(str(tmp_path / "v"), "new"))
    found = (tmp_path / "v/new").stat()
    assert found.st_mode & 0o7777 == 0o3777
    assert (found.st_uid, found.st_gid) == (os.getuid(), (tmp_path / "v").stat().st_gid)
    os.close(_open_inside(str(tmp_path / "v"), "in"))
    for bad in ("out", "out/passwd", "../x", "/etc"):
        with pytest.raises(VolumeError):
            _open_inside(str(tmp_path / "v"), bad)


LINES = [
    b"2026-01-01T00:00:01.5Z stdout F one",
    b"2026-01-01T00:00:02.5Z stderr F two",
    b"2026-01-01T00:00:03.5Z stdout P thr",
    b"2026-01-01T00:00:03.6Z stdout F ee",
]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, b"one\ntwo\nthree\n"),
        ({"tail": 2}, b"three\n"),
        ({"tail": 0}, b""),
        ({"tail": 99}, b"one\ntwo\nthree\n"),
        ({"since": 1767225602.0}, b"two\nthree\n"),
        ({"limit": 5}, b"one\nt"),
        ({"stream": "stderr"}, b"two\n"),
        ({"tail": 3, "timestamps": True}, b"2026-01-01T00:00:02.5Z two\n2026-01-01T00:00:03.5Z three\n"),
    ],
)
def test_reading_logs(tmp_path: Path, options: dict[str, object], expected: bytes) -> None:
    path = tmp_path / "0.log"
    path.write_bytes(b"\n".join(LINES) + b"\n")

    async def read() -> bytes:
        return b"".join([piece async for piece in logs.read(str(path), logs.LogOptions(**options))])  # type: ignore[arg-type]

    assert asyncio.run(read()) == expected
    assert logs.last_lines(str(path), 2, 100) == b"three\n"


def test_following_survives_rotation(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    path.write_bytes(LINES[0] + b"\n")
    threads = threading.active_count()

    async def main() -> list[bytes]:
        done = False
        watches: list[logs.Watch] = []
        out: list[bytes] = []
        grown = asyncio.Event()

        async def follow() -> None:
            options = logs.LogOptions(follow=True)
            async for piece in logs.read(str(path), options, finished=lambda: done, poked=watches.append):
                out.append(piece)
                grown.set()

        task = asyncio.create_task(follow())
        await grown.wait()
        for index, line in enumerate(LINES[1:]):
            grown.clear()
            if index == 1:
                logs.rotate(path, "stamp", 3)
                path.touch()
            with path.open("ab") as file:
                file.write(line + b"\n")
            await grown.wait()
        done = True
        watches[0].poke()
        await task
        return out

    assert b"".join(asyncio.run(main())) == b"one\ntwo\nthree\n"
    assert threading.active_count() == threads


def test_rotation_keeps_so_many(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    for index in range(6):
        path.write_text(f"{index}")
        logs.rotate(path, f"{index}", 3)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["0.log.4.gz", "0.log.5"]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_local_volume_is_mounted_where_its_link_leads(tmp_path: Path) -> None:
    """A group is set behind the link; read-only holds for subpaths; taking down leaves the files alone."""
    data, link, folder = tmp_path / "data", tmp_path / "link", tmp_path / "pods" / "u"
    data.mkdir(mode=0o700)
    (data / "kept").write_text("x")
    link.symlink_to(data)
    found = SimpleNamespace(
        metadata=SimpleNamespace(name="pv"), spec=SimpleNamespace(local=SimpleNamespace(path=str(link)))
    )

    def context(group: int | None) -> Any:
        security = SimpleNamespace(fsGroupChangePolicy="")
        return SimpleNamespace(
            pod=SimpleNamespace(spec=SimpleNamespace(securityContext=security)),
            fs_group=group,
            path=lambda plugin, name: folder / "volumes" / f"kubernetes.io~{plugin}" / name,
        )

    for group, read_only in ((1234, False), (None, True)):
        try:
            where = Path(asyncio.run(claim._local(context(group), found, read_only)))
            assert (where / "kept").read_text() == "x" and data.stat().st_gid == 1234
            if read_only:
                with pytest.raises(OSError, match="Read-only"):
                    os.close(_open_inside(str(where), "new"))
        finally:
            volumes.take_down(folder)
        assert (data / "kept").exists() and not (folder / "volumes").exists()


def test_a_device_is_no_directory_and_the_other_way_round(tmp_path: Path) -> None:
    with pytest.raises(VolumeError, match="is not a block device"):
        claim._device(str(tmp_path))

    def setup(mode: str, **use: Any) -> None:
        one = {"volumeMounts": [], "volumeDevices": [], **use}
        pod = SimpleNamespace(
            metadata=SimpleNamespace(namespace="ns", name="p"),
            spec=SimpleNamespace(containers=[SimpleNamespace(**one)], initContainers=[], ephemeralContainers=[]),
        )
        meta = SimpleNamespace(uid="c", name="pv", deletionTimestamp=None)
        spec = SimpleNamespace(volumeMode=mode, claimRef=meta, volumeName="pv")
        found = SimpleNamespace(metadata=meta, spec=spec, status=SimpleNamespace(phase="Bound"))
        context = SimpleNamespace(pod=pod, claim=lambda *_: found, volume=lambda *_: found)
        volume = SimpleNamespace(
            name="v", ephemeral=None, persistentVolumeClaim=SimpleNamespace(claimName="c", readOnly=False)
        )
        asyncio.run(claim.setup(context, volume))  # type: ignore[arg-type]

    named = [SimpleNamespace(name="v")]
    with pytest.raises(VolumeError, match="volume v has volumeMode Block, but is specified in volumeMounts"):
        setup("Block", volumeMounts=named)
    with pytest.raises(VolumeError, match="volume v has volumeMode Filesystem, but is specified in volumeDevices"):
        setup("Filesystem", volumeDevices=named)
