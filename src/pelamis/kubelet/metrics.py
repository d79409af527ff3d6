"""What the kubelet counts, under upstream's names, for ``/metrics``. One kubelet in a process counts."""

from __future__ import annotations

from collections import Counter
from typing import Any

_TYPES = {
    "init": "init_container",
    "sidecar": "init_container",
    "main": "container",
    "ephemeral": "ephemeral_container",
}
_HELP = {
    "started_pods_total": "Cumulative number of pods started",
    "started_pods_errors_total": "Cumulative number of errors when starting pods",
    "started_containers_total": "Cumulative number of containers started",
    "started_containers_errors_total": "Cumulative number of errors when starting containers",
    "terminated_containers_total": "Cumulative number of container terminations.",
}
_counts: dict[str, Counter[tuple[tuple[str, str], ...]]] = {name: Counter() for name in _HELP}


def _count(name: str, **labels: str) -> None:
    _counts[name][tuple(labels.items())] += 1


def pod_started(*, failed: bool = False) -> None:
    _count("started_pods_total")
    if failed:
        _count("started_pods_errors_total")


def container_started(kind: str, error: str = "") -> None:
    """error: the reason why it was not."""
    _count("started_containers_total", container_type=_TYPES[kind])
    if error:
        _count("started_containers_errors_total", container_type=_TYPES[kind], code=error)


def container_ended(kind: str, run: Any) -> None:
    reason = run.reason or ("Completed" if run.exit_code == 0 else "Error")
    _count("terminated_containers_total", container_type=_TYPES[kind], exit_code=str(run.exit_code), reason=reason)


def text() -> str:
    """In Prometheus' format. Labels are words of the kubelet or the runtime and need no escapes."""
    lines: list[str] = []
    for name, counts in _counts.items():
        lines += [f"# HELP kubelet_{name} {_HELP[name]}", f"# TYPE kubelet_{name} counter"]
        for labels, value in counts.items():
            inner = ",".join(f'{key}="{text}"' for key, text in labels)
            lines.append(f"kubelet_{name}{{{inner}}} {value}" if inner else f"kubelet_{name} {value}")
    return "\n".join(lines) + "\n"
