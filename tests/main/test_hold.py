"""The lock between `up` and `down` of one machine."""

from __future__ import annotations

import threading
from pathlib import Path

from pelamis.main.hold import hold


def test_one_at_a_time_and_nothing_left(tmp_path: Path) -> None:
    order: list[str] = []
    entered, data = threading.Event(), tmp_path / "not" / "there" / "yet"

    def second() -> None:
        entered.set()
        with hold(data):
            order.append("second")

    with hold(data) as release:
        thread = threading.Thread(target=second)
        thread.start()
        entered.wait()
        order.append("first")
        release()
        thread.join()
    assert order == ["first", "second"]
    assert list(tmp_path.iterdir()) == []
