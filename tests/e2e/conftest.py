"""The cluster that most whole-system tests share, and fresh ones for tests that harm theirs."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e import lab as kit
from tests.e2e.lab import Lab


@pytest.fixture(scope="session")
def machine() -> Path:
    """A folder of this machine for images built once. Skips loudly where no node can run; never in CI."""
    lacking = kit.missing()
    if lacking:
        message = f"whole-system tests need {lacking}"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    folder = Path(tempfile.gettempdir(), f"pelamis-e2e-images-{os.getuid()}")
    folder.mkdir(exist_ok=True, mode=0o700)
    return folder


@pytest.fixture(scope="session")
def labs(machine: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Lab]]:
    """Makes clusters; each is taken down at the end of the session, and nothing of it may stay on the machine."""
    made: list[Lab] = []

    def make(*images: Path, node: bool = True, start: bool = True) -> Lab:
        lab = Lab(tmp_path_factory.mktemp("cluster"), node=node)
        made.append(lab)
        if start:
            lab.up()
            for image in images:
                lab.pelamis("image load", str(image))
        return lab

    yield make
    left = []
    for lab in made:
        left += finish(lab)
    assert not left, left


def finish(lab: Lab) -> list[str]:
    """Takes a cluster down with its data; returns what stayed."""
    try:
        marks = lab.marks() if lab.node else None
    except (OSError, AssertionError):
        marks = None  # it does not run any more
    lab.pelamis("down", "--purge", timeout=90)
    return list(marks.left()) if marks else []


@pytest.fixture(scope="session")
def lab(machine: Path, labs: Callable[..., Lab]) -> Lab:
    """A running cluster of one node with busybox and two tags of nginx."""
    return labs(kit.busybox(machine), *kit.nginx(machine))


@pytest.fixture
def fresh(machine: Path, labs: Callable[..., Lab]) -> Iterator[Lab]:
    """A cluster of the test's own, for stopping, killing and filling; checked to leave nothing."""
    made = labs(kit.busybox(machine))
    yield made
    left = finish(made)
    assert not left, left
