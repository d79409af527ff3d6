"""Selectors are found by labels, and labels by selectors, as if all had been compared with all."""

from __future__ import annotations

from random import Random

from pelamis.base.labels import Selector, from_label_selector
from pelamis.scheduler.bypair import Labelled, Selecting

from .twin import draws


def test_none_is_missed() -> None:
    r = Random(3)
    selecting: Selecting[Selector] = Selecting()
    labelled: Labelled[dict[str, str]] = Labelled()
    selectors: dict[int, Selector] = {}
    sets: dict[int, dict[str, str]] = {}
    for i in range(400):
        selector = from_label_selector(draws.label_selector(r))
        own = {"app": r.choice("abc")} if r.random() < 0.8 else {}
        if r.random() < 0.5:
            own["version"] = r.choice("12")
        selectors[i], sets[i] = selector, own
        selecting.put(selector, i, selector)
        labelled.put(own, i, own)
        if i > 20 and r.random() < 0.7:
            gone = r.choice(sorted(selectors))
            selecting.pop(selectors.pop(gone), gone)
            labelled.pop(sets.pop(gone), gone)
        wanted = {k for k, s in selectors.items() if s.matches(own)}
        assert wanted == {k for k, s in selecting.of(own) if s.matches(own)}
        found = [s for s in labelled.of(selector) if selector.matches(s)]
        assert len(found) == sum(1 for s in sets.values() if selector.matches(s))
