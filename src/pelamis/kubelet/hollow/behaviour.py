"""How a hollow pod behaves, from its annotations. Pure.

The annotations are those of the prefix ``hollow.pelamis.dev/``; ``NAME.CONTAINER`` means one container, ``NAME`` all:

============== ============================================ ===========================================================
``run``        ``30s``, ``30s,exit=1``, ``exit=1``          how long a run lasts and its exit code (else its command)
``stop``       ``3s``, ``3s,exit=0``, ``ignore``            how it takes SIGTERM: exit code 143 at once if not said
``start``      ``2s``                                       how long it takes to start
``pull``       ``5s``, ``missing``                          how long a pull of its image takes, or that it fails
``sandbox``    ``1s``, ``fail``                             how long the pod's sandbox takes, or that it fails
``startup``    ``ok``, ``fail``, ``after=5s``, ``until=1m`` what the declared probe finds, by the time since the start;
``readiness``  or ``0s=ok,10s=fail,20s=ok``                 else an exec probe finds what its command would, and every
``liveness``                                                other probe succeeds
``cpu``        ``300m``, ``0s=100m,5m=900m``                what it uses, by the time since the start
``memory``     ``64Mi``, …                                  over its limit a container is killed
``disk``       ``1Gi``, ``0s=0,5m=90Gi``                    what it has written to its own file system
``pids``       ``20``, ``0s=1,5m=30k``                      how many processes it has; one, if nothing is said
``cpu-total``  as ``cpu``                                   what all ready pods of one owner use together, in equal
                                                            parts, by the time since the first of them started
============== ============================================ ===========================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from pelamis.base import quantity
from pelamis.kubelet.hollow import script, timeline, variables
from pelamis.kubelet.hollow.script import Script
from pelamis.kubelet.hollow.timeline import Timeline, duration

PREFIX = "hollow.pelamis.dev/"
SIGTERM_CODE, KILLED_CODE = 143, 137
NAMES = frozenset("run stop start pull sandbox startup readiness liveness cpu memory disk pids cpu-total".split())
T = TypeVar("T")
_USAGE = tuple(PREFIX + name for name in ("memory", "disk", "pids"))


@dataclass(frozen=True, slots=True)
class Stop:
    """after_s: from SIGTERM to its exit; None = only SIGKILL ends it."""

    after_s: float | None = 0.0
    code: int = SIGTERM_CODE


def _words(text: str) -> tuple[str, int | None]:
    """``30s,exit=1`` as (``30s``, 1). Raises ValueError."""
    length, code = "", None
    for part in text.split(","):
        word = part.strip()
        if word.startswith("exit="):
            code = int(word[5:])
            if not 0 <= code <= 255:
                raise ValueError("an exit code is a number from 0 to 255")
        else:
            length = word
    return length, code


def _seconds(text: str) -> float:
    found = duration(text)
    if found is None:
        raise ValueError(f'"{text}" is not a length of time')
    return found


def _run(text: str) -> Script:
    length, code = _words(text)
    if length == "forever":
        return script.FOREVER
    return Script(_seconds(length) if length else 0.0, code or 0)


def _stop(text: str) -> Stop:
    length, code = _words(text)
    if length == "ignore":
        return Stop(None, KILLED_CODE)
    return Stop(_seconds(length) if length else 0.0, SIGTERM_CODE if code is None else code)


def _or(word: str) -> Callable[[str], float | None]:
    return lambda text: None if text == word else _seconds(text)


def _milli(text: str) -> Timeline[int]:
    return timeline.parse(text, quantity.milli)


def _bytes(text: str) -> Timeline[int]:
    return timeline.parse(text, quantity.value)


_PARSERS: dict[str, Callable[[str], Any]] = {
    "run": _run,
    "stop": _stop,
    "start": _seconds,
    "pull": _or("missing"),
    "sandbox": _or("fail"),
    "startup": timeline.verdicts,
    "readiness": timeline.verdicts,
    "liveness": timeline.verdicts,
    "cpu": _milli,
    "memory": _bytes,
    "disk": _bytes,
    "pids": _bytes,
    "cpu-total": _milli,
}


@lru_cache(maxsize=4096)
def _parsed(name: str, text: str) -> Any:
    """None, wrapped, for what cannot be read."""
    try:
        return (_PARSERS[name](text),)
    except ValueError:
        return ()


def problems(annotations: Mapping[str, str]) -> list[str]:
    """What is wrong with the annotations of a pod, in words."""
    out = []
    for key, text in annotations.items():
        if not key.startswith(PREFIX):
            continue
        name = key[len(PREFIX) :].partition(".")[0]
        if name not in _PARSERS:
            out.append(f'annotation {key}: there is no behaviour "{name}"; known are {", ".join(sorted(_PARSERS))}')
            continue
        try:
            _PARSERS[name](text)
        except ValueError as error:
            out.append(f'annotation {key}: "{text}" cannot be read: {error}')
    return out


class Behaviour:
    """The annotations of one pod, read when asked."""

    __slots__ = ("_annotations",)

    def __init__(self, annotations: Mapping[str, str]) -> None:
        self._annotations: Mapping[str, str] | None = None
        if any(key.startswith(PREFIX) for key in annotations):
            self._annotations = annotations

    @property
    def plain(self) -> bool:
        """Nothing is said."""
        return self._annotations is None

    def _get(self, name: str, container: str, default: T) -> T:
        found = self._annotations
        if found is None:
            return default
        text = found.get(f"{PREFIX}{name}.{container}") if container else None
        if text is None:
            text = found.get(PREFIX + name)
        if text is None:
            return default
        parsed = _parsed(name, text)
        value: T = parsed[0] if parsed else default
        return value

    def run(self, pod: Any, container: Any) -> Script:
        """container: its declaration, of that pod."""
        found: Script | None = self._get("run", container.name, None)
        return found if found is not None else script.of_container(container, lambda: variables.known(pod, container))

    def stop(self, name: str) -> Stop:
        return self._get("stop", name, _STOP)

    def start_s(self, name: str) -> float:
        return self._get("start", name, 0.0)

    def pull_s(self, name: str) -> float | None:
        """None: the pull fails."""
        return self._get("pull", name, 0.0)

    def sandbox_s(self) -> float | None:
        """None: it cannot be made."""
        return self._get("sandbox", "", 0.0)

    def probe(self, kind: str, container: Any, probe: Any) -> Timeline[bool]:
        found: Timeline[bool] | None = self._get(kind, container.name, None)
        if found is not None:
            return found
        if probe.exec is not None:
            return _EXEC[script.understand(probe.exec.command).code == 0]
        return _EXEC[True]

    def cpu(self, container: Any) -> Timeline[int]:
        """Milli-cores."""
        found: Timeline[int] | None = self._get("cpu", container.name, None)
        return found if found is not None else _half(container, "cpu")

    def memory(self, container: Any) -> Timeline[int]:
        """Bytes."""
        found: Timeline[int] | None = self._get("memory", container.name, None)
        return found if found is not None else _half(container, "memory")

    def disk(self, container: Any) -> Timeline[int]:
        """Bytes."""
        return self._get("disk", container.name, _NOTHING)

    def pids(self, container: Any) -> Timeline[int]:
        """Processes."""
        return self._get("pids", container.name, _ONE)

    @property
    def says_usage(self) -> bool:
        """Memory, disk or processes, for any container."""
        found = self._annotations
        return found is not None and any(key.startswith(_USAGE) for key in found)

    def oom_s(self, container: Any, limit: int) -> float | None:
        """How long after its start a container uses more memory than its limit; None: never."""
        line: Timeline[int] | None = self._get("memory", container.name, None)
        if line is None or not limit:
            return None
        return next((at for at, used in zip(line.times, line.values, strict=True) if used > limit), None)

    def cpu_total(self) -> Timeline[int] | None:
        """Milli-cores of all pods of the owner together."""
        return self._get("cpu-total", "", None)


_PLAIN = Behaviour({})


def behaviour(annotations: Mapping[str, str]) -> Behaviour:
    """One for all pods of which nothing is said."""
    found = Behaviour(annotations)
    return _PLAIN if found.plain else found


_STOP = Stop()
_NOTHING: Timeline[int] = timeline.constant(0)
_ONE: Timeline[int] = timeline.constant(1)
_EXEC = {True: timeline.constant(True), False: timeline.constant(False)}
DEFAULT_CPU, DEFAULT_MEMORY = 10, 20 << 20
"""What a container uses that requests nothing; others use half of their request."""


def _half(container: Any, name: str) -> Timeline[int]:
    return _half_of(name, container.resources.requests.get(name, ""))


@lru_cache(maxsize=1024)
def _half_of(name: str, text: str) -> Timeline[int]:
    if name == "cpu":
        return timeline.constant(quantity.milli(text) // 2 if text else DEFAULT_CPU)
    return timeline.constant(quantity.value(text) // 2 if text else DEFAULT_MEMORY)
