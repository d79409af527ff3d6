"""A thousand random clusters with faults: what is declared holds at the end, and nothing is left over.

``SEED=n`` plays one of them alone and prints what was done to it.
"""

from __future__ import annotations

import gc
import logging
import os

import pytest

from pelamis.sim.loop import run
from tests.sim.chance import live

SEEDS, PART = 1000, 25


def play(seed: int, *, tell: bool = False) -> None:
    logging.disable(logging.WARNING)
    try:
        problems, life, cluster = run(live(seed))
    finally:
        logging.disable(logging.NOTSET)
    if tell:
        print("\n".join(life.log), f"{cluster.trace.writes} writes, trace {cluster.trace.digest}", sep="\n")
    assert not problems, f"SEED={seed}: " + "; ".join(problems[:10])


@pytest.mark.skipif("SEED" in os.environ, reason="one seed was asked for")
@pytest.mark.parametrize("seed", range(6))
def test_a_few_random_clusters(seed: int) -> None:
    play(seed)


@pytest.mark.slow
@pytest.mark.skipif("SEED" in os.environ, reason="one seed was asked for")
@pytest.mark.parametrize("first", range(0, SEEDS, PART))
def test_random_clusters(first: int) -> None:
    """In parts, which run beside each other on several cores."""
    before = gc.get_threshold()
    gc.set_threshold(50_000, 20, 50)
    try:
        for seed in range(first, first + PART):
            play(seed)
    finally:
        gc.set_threshold(*before)


if "SEED" in os.environ:

    def test_one_seed() -> None:
        play(int(os.environ["SEED"]), tell=True)
