"""The list of changes against one that forgets nothing."""

from __future__ import annotations

from random import Random

from pelamis.scheduler.changelog import ChangeLog


def test_remembers_what_is_new() -> None:
    r = Random(1)
    log: ChangeLog[int] = ChangeLog(10)
    every: list[int] = []
    for _ in range(200):
        for _ in range(r.randint(0, 4)):
            every.append(r.randint(0, 9))
            log.note(every[-1])
        assert log.position == len(every)
        position = r.randint(max(0, len(every) - 12), len(every))
        since = log.since(position)
        assert since is None or since == every[position:]
        assert since is not None or len(every) - position > 5
