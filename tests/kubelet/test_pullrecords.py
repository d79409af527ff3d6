"""A private image that is on the node is only for pods that could have pulled it themselves."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from pelamis.api.core.pod.container import Container
from pelamis.kubelet.cri import image_types as im
from pelamis.kubelet.images import ImageError, Images
from pelamis.kubelet.pullrecords import Credential, PullRecords, Secret, bare, hash_of
from tests.kubelet.memoryruntime import MemoryRuntime

IMAGE, REF, NOW = "reg.example:5000/team/app:1", "sha256:1", 1_700_000_000.0


def credential(name: str, password: str = "p", namespace: str = "a") -> Credential:
    auth = im.AuthConfig(username="u", password=password)
    return Credential(auth, Secret(namespace, name, f"uid-{name}", hash_of(auth)))


def asked(records: PullRecords, *credentials: Credential, image: str = IMAGE) -> bool:
    return records.must_pull(image, REF, lambda: credentials, NOW)


@pytest.mark.parametrize(
    ("image", "name"),
    [
        (IMAGE, "reg.example:5000/team/app"),
        ("nginx", "docker.io/library/nginx"),
        ("nginx:1@sha256:abc", "docker.io/library/nginx"),
        ("library/nginx", "docker.io/library/nginx"),
        ("docker.io/nginx:2", "docker.io/library/nginx"),
        ("index.docker.io/library/nginx", "docker.io/library/nginx"),
        ("docker.io/team/app", "docker.io/team/app"),
        ("reg.example:5000/app", "reg.example:5000/app"),
    ],
)
def test_names(image: str, name: str) -> None:
    assert bare(image) == name


def test_who_may_use_what_is_here(tmp_path: Path) -> None:
    records = PullRecords(tmp_path)
    assert not asked(records)  # it was here before: everybody's
    records.begin(IMAGE)
    assert asked(records)
    records.end(IMAGE)
    assert not asked(records)

    mine = credential("mine")
    records.begin(IMAGE)
    records.pulled(IMAGE, REF, mine.secret, NOW)
    records = PullRecords(tmp_path)  # after a restart
    assert asked(records) and asked(records, credential("other", "wrong"))
    assert not asked(records, credential("x", "wrong"), mine)
    assert asked(records, mine, image="reg.example:5000/another:1")
    tags = (IMAGE, "docker.io/library/loaded:1")
    assert not records.must_pull("loaded:1", REF, lambda: (), NOW, tags)  # the same image, loaded under another name
    assert records.must_pull(IMAGE, REF, lambda: (), NOW, tags)
    assert not asked(records, credential("copy", "p", "b"))  # the same words elsewhere, which is noted
    assert not asked(records, credential("mine", "new"))  # the secret has changed
    assert not asked(records, credential("copy", "other words", "b"))
    records.begin(IMAGE)
    records.pulled(IMAGE, REF, None, NOW)
    assert not asked(records)  # the registry asks for nothing any more
    records.prune([REF], NOW + 1e9)
    assert not asked(records) and (tmp_path / "pulled").iterdir()
    records.prune([], NOW + 1e9)
    assert not list((tmp_path / "pulled").iterdir()) and not list((tmp_path / "pulling").iterdir())


def test_a_pull_that_was_cut_short_is_nobodys(tmp_path: Path) -> None:
    PullRecords(tmp_path).begin(IMAGE)
    records = PullRecords(tmp_path)
    assert asked(records)
    records.recover([im.Image(id=REF, repo_tags=(IMAGE,))], NOW)
    assert asked(records, credential("mine")) and not list((tmp_path / "pulling").iterdir())


def test_a_record_that_is_damaged_opens_nothing(tmp_path: Path) -> None:
    records = PullRecords(tmp_path)
    records.begin(IMAGE)
    records.pulled(IMAGE, REF, None, NOW)
    (path,) = (tmp_path / "pulled").iterdir()
    path.write_text("{")
    assert asked(records)


def test_pods_show_their_own_credentials(tmp_path: Path) -> None:
    async def main() -> None:
        runtime = MemoryRuntime(lambda: NOW)
        runtime.add_image("localhost/private:1")
        runtime.add_image("localhost/here:1")
        images = Images(runtime, lambda: NOW, PullRecords(tmp_path))

        async def told(image: str, policy: str, *credentials: Credential) -> list[str]:
            notes: list[str] = []

            def note(type_: str, reason: str, message: str) -> None:
                notes.append(message.partition(" in ")[0])

            container: Any = Container(name="c", image=image, imagePullPolicy=policy)
            try:
                await images.ensure(container, lambda _: list(credentials), None, note)
            except ImageError as error:
                return [*notes, error.reason]
            return notes

        here = 'Container image "{}" already present on machine and can be accessed by the pod'.format
        private = "localhost/private:1"
        pulled = [f'Pulling image "{private}"', f'Successfully pulled image "{private}"']
        assert await told("localhost/here:1", "IfNotPresent") == [here("localhost/here:1")]
        assert await told(private, "Always", credential("mine")) == pulled
        assert await told(private, "IfNotPresent", credential("mine")) == [here(private)]
        assert await told(private, "Never") == ["ErrImageNeverPull"]
        assert await told(private, "IfNotPresent") == pulled  # the registry has the say

    asyncio.run(main())
