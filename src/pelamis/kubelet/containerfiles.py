"""Files of containers that are no volumes: /etc/hosts, the termination message, the link to the log."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from pelamis.kubelet import config, dns, logs
from pelamis.kubelet.cri import types as cri

MESSAGE_LIMIT = 4096
LOG_MESSAGE_LIMIT = 2048
LOG_MESSAGE_LINES = 80


def hosts(folder: Path, pod: Any, ips: tuple[str, ...], domain: str) -> str:
    """The pod's /etc/hosts, made or brought up to date. folder: the pod's."""
    host_file = ""
    if pod.spec.hostNetwork:
        with contextlib.suppress(OSError):
            host_file = Path("/etc/hosts").read_text(encoding="utf-8", errors="replace")
    text = dns.hosts_file(pod, ips, domain, host_file)
    path = folder / "etc-hosts"
    folder.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8", errors="replace") != text:
        path.write_text(text, encoding="utf-8")
        path.chmod(0o644)
    return str(path)


def for_message(folder: Path, container: str, run: str) -> str:
    """An empty file in which a run of the container leaves its termination message."""
    path = folder / "containers" / container / run
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    path.chmod(0o666)
    return str(path)


def message(found: cri.ContainerStatus) -> str:
    """The termination message of a container that has exited."""
    if found.state != cri.EXITED:
        return ""
    where = found.annotations.get(config.MESSAGE_PATH, "")
    text = b""
    path = next((m.host_path for m in found.mounts if m.container_path == where), "") if where else ""
    if path:
        with contextlib.suppress(OSError), open(path, "rb") as file:
            text = file.read(MESSAGE_LIMIT)
    policy = found.annotations.get(config.MESSAGE_POLICY, "")
    if not text and policy == "FallbackToLogsOnError" and found.exit_code != 0 and found.log_path:
        text = logs.last_lines(found.log_path, LOG_MESSAGE_LINES, LOG_MESSAGE_LIMIT)
    return text.decode("utf-8", "replace")


def link_log(logs_of_pods: str, links: str, pod: Any, container: str, id_: str, attempt: int) -> None:
    """By the container's id, where collectors of logs look."""
    link = _link(links, pod, container, id_)
    with contextlib.suppress(OSError):
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(Path(logs_of_pods, config.log_folder(pod), container, f"{attempt}.log"))


def unlink_log(links: str, pod: Any, container: str, id_: str) -> None:
    _link(links, pod, container, id_).unlink(missing_ok=True)


def _link(links: str, pod: Any, container: str, id_: str) -> Path:
    return Path(links, f"{pod.metadata.name}_{pod.metadata.namespace}_{container}-{id_}.log")
