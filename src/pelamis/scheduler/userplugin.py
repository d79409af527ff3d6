"""Plugins of a user's own: a Python file with a function ``plugin(args)`` that returns an ``extension.Plugin``.

The file is executed once, when the configuration is read. What its functions return is checked at each call, and what
they raise is told with the plugin's name, so that a mistake in it shows in the pod's events and not as a riddle.
"""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from pelamis.scheduler.config import ConfigError
from pelamis.scheduler.extension import MAX_SCORE, Filter, Plugin, PluginError, Rejection, Rows, Score, Verdict
from pelamis.scheduler.podinfo import PodInfo
from pelamis.scheduler.snapshot import Ints, Snapshot

SUFFIX = ".py"
GUIDE = "see docs/adding-a-plugin.md"


__all__ = ["GUIDE", "SUFFIX", "PluginError", "load_plugin", "made_by"]


def load_plugin(home: Path, name: str) -> Any:
    """The function ``plugin`` of a file. Raises ConfigError that says what the file should look like."""
    path = home / name
    module = ModuleType("pelamis_plugin_" + re.sub(r"\W", "_", name.removesuffix(SUFFIX)))
    module.__file__ = str(path)
    try:
        code = path.read_text()
    except OSError as error:
        raise ConfigError([f"{path}: {error.strerror} (a plugin's file is relative to the configuration)"]) from None
    sys.modules[module.__name__] = module  # dataclasses look there
    try:
        exec(compile(code, str(path), "exec"), module.__dict__)
    except Exception as error:
        raise ConfigError([f"{path}: {_where(error, path)}{type(error).__name__}: {error}"]) from None
    make = getattr(module, "plugin", None)
    if not callable(make):
        raise ConfigError([f"{path}: it has no function `plugin(args)` that returns a Plugin; {GUIDE}"])
    return make


def _where(error: Exception, path: Path) -> str:
    if isinstance(error, SyntaxError):
        return f"line {error.lineno}: "
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    return f"line {lines[-1]}: " if lines else ""


def made_by(path: str, name: str, make: Any, args: Any, problems: list[str]) -> Plugin | None:
    """path: where the configuration names it, for the problems found."""
    try:
        made = make(args if args is not None else {})
    except Exception as error:
        problems.append(f"{path}: {name}: plugin(args) fails: {type(error).__name__}: {error}")
        return None
    if not isinstance(made, Plugin):
        kind = type(made).__name__
        problems.append(f"{path}: {name}: plugin(args) must return a pelamis.scheduler.extension.Plugin, not {kind}")
        return None
    if not (made.filter or made.before or made.score):
        problems.append(f"{path}: {name}: its Plugin has neither before nor filter nor score, so it would do nothing")
        return None
    return guarded(made)


def guarded(plugin: Plugin) -> Plugin:
    """Whose functions raise PluginError alone, and return what they must."""
    return replace(
        plugin.by_arrays,
        before=None if plugin.before is None else _before(plugin.name, plugin.before),
        filter=None if plugin.filter is None else _filter(plugin.name, plugin.filter),
        score=None if plugin.score is None else _score(plugin.name, plugin.score),
    )


def _count(snapshot: Snapshot, rows: Rows) -> int:
    return snapshot.size if isinstance(rows, slice) else len(rows)


def _before(name: str, function: Any) -> Any:
    def before(snapshot: Snapshot, info: PodInfo) -> Verdict | None:
        try:
            found = function(snapshot, info)
        except Exception as error:
            raise PluginError(f'running PreFilter plugin "{name}": {type(error).__name__}: {error}') from error
        if found is not None and not isinstance(found, Verdict):
            raise PluginError(
                f'running PreFilter plugin "{name}": it returned {found!r}, not a Verdict or None; {GUIDE}'
            )
        return found

    return before


def _filter(name: str, function: Filter) -> Filter:
    def filter(snapshot: Snapshot, info: PodInfo, rows: Rows) -> Iterable[Rejection]:
        try:
            found = list(function(snapshot, info, rows))
        except Exception as error:
            raise PluginError(f'running "{name}" filter plugin: {type(error).__name__}: {error}') from error
        count = _count(snapshot, rows)
        for rejection in found:
            mask = rejection.mask if isinstance(rejection, Rejection) else None
            if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.shape != (count,):
                text = f"it must yield Rejections, each with a mask of {count} booleans, not {rejection!r}"
                raise PluginError(f'running "{name}" filter plugin: {text}; {GUIDE}')
        return found

    return filter


def _score(name: str, function: Score) -> Score:
    def score(snapshot: Snapshot, info: PodInfo, rows: Rows) -> Ints | None:
        try:
            found = function(snapshot, info, rows)
        except Exception as error:
            raise PluginError(f'plugin "{name}" failed with: {type(error).__name__}: {error}') from error
        if found is None:
            return None
        count = _count(snapshot, rows)
        if not isinstance(found, np.ndarray) or found.shape != (count,) or found.dtype.kind not in "iu":
            text = f"it must return {count} integers, not {found!r}"
            raise PluginError(f'plugin "{name}" failed with: {text}; {GUIDE}')
        if count and (int(found.min()) < 0 or int(found.max()) > MAX_SCORE):
            worst = int(found.max()) if int(found.max()) > MAX_SCORE else int(found.min())
            text = f'plugin "{name}" returns an invalid score {worst}, it should in the range of [0, {MAX_SCORE}]'
            raise PluginError(f"{text} after normalizing")
        return found

    return score
