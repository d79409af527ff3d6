"""Extenders: web servers that are asked for their opinion on a pod, in upstream's words (``extender/v1``).

The pure half makes the bodies of the calls and merges the answers into a decision; ``Extender`` is one of them with its
connections. Members in the bodies are named as Go names them when nothing else is said: ``Pod``, ``NodeNames``; answers
are understood in any case of letters, as Go's decoder does.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from pelamis.net.httpclient import ConnectionFailed, HttpPool
from pelamis.net.tls import Pair, client_context, load_pair
from pelamis.scheduler.config import ConfigError, ExtenderConfig, seconds
from pelamis.scheduler.core import Diagnosis
from pelamis.scheduler.extension import MAX_SCORE
from pelamis.scheduler.podinfo import PodInfo
from pelamis.scheduler.preemption import Candidate
from pelamis.scheduler.snapshot import Ints, Snapshot

NAME = "Extender"
"""The plugin that is said to have rejected a pod when an extender did."""
TIMEOUT_S = 5.0
MOST = 10
"""The highest score that an extender gives."""


class ExtenderError(Exception):
    """An extender could not be asked, or gave an answer that cannot be used."""


# -- the pure half


def interested(config: ExtenderConfig, info: PodInfo) -> bool:
    """Whether a container of the pod asks for a resource of the extender; one that has no resources sees all pods."""
    if not config.managedResources:
        return True
    names = {r.name for r in config.managedResources}
    spec = info.pod.spec
    return any(
        names & c.resources.requests.keys() or names & c.resources.limits.keys()
        for c in (*spec.containers, *spec.initContainers)
    )


def _lower(tree: Any) -> dict[str, Any]:
    if not isinstance(tree, dict):
        raise ExtenderError(f"the answer must be an object, not {tree!r}")
    return {str(key).lower(): value for key, value in tree.items()}


def nodes_body(config: ExtenderConfig, snapshot: Snapshot, info: PodInfo, rows: Ints) -> bytes:
    """Of the filter and prioritize verbs."""
    nodes = [snapshot.nodes[int(row)] for row in rows]
    body: dict[str, Any] = {"Pod": info.pod, "Nodes": None, "NodeNames": None}
    if config.nodeCacheCapable:
        body["NodeNames"] = [n.name for n in nodes]
    else:
        body["Nodes"] = {"metadata": {}, "items": [n.node for n in nodes]}
    return msgspec.json.encode(body)


def kept(config: ExtenderConfig, snapshot: Snapshot, rows: Ints, answer: Any, why: Diagnosis) -> Ints:
    """The rows that the filter verb left; what it rejected is counted into ``why``."""
    found = _lower(answer)
    if found.get("error"):
        raise ExtenderError(str(found["error"]))
    names = found.get("nodenames")
    if not config.nodeCacheCapable or names is None:
        listed = found.get("nodes")
        items = _lower(listed).get("items") if listed is not None else None
        names = [item.get("metadata", {}).get("name", "") for item in items or ()]
    asked = {snapshot.nodes[int(row)].name: int(row) for row in rows}
    for name in names:
        if name not in asked:
            text = f'claims a filtered node "{name}" which is not found in the input node list'
            raise ExtenderError(f'extender "{config.urlPrefix}" {text}')
    hopeless = found.get("failedandunresolvablenodes") or {}
    failed = {**(found.get("failednodes") or {}), **hopeless}
    for name, text in failed.items():
        why.count(str(text), 1)
        row = asked.get(name)
        if row is not None and name in hopeless and why.resolvable is not None:
            why.resolvable[row] = False
    left = sorted({asked[name] for name in names} - {asked[name] for name in failed if name in asked})
    if len(left) < len(rows):
        why.plugins.add(NAME)
    return np.array(left, np.int64)


def scores(config: ExtenderConfig, snapshot: Snapshot, rows: Ints, answer: Any) -> Ints:
    """What the prioritize verb adds to the scores of the rows, on the scale of the plugins."""
    if not isinstance(answer, list):
        raise ExtenderError("the answer must be a list of objects with host and score")
    by_name: dict[str, int] = {}
    for each in answer:
        entry = _lower(each)
        try:
            by_name[str(entry["host"])] = int(entry["score"])
        except (KeyError, TypeError, ValueError):
            raise ExtenderError(f"the answer must be a list of objects with host and score, not {each!r}") from None
    scale = config.weight * (MAX_SCORE // MOST)
    return np.array([by_name.get(snapshot.nodes[int(row)].name, 0) * scale for row in rows], np.int64)


def preempt_body(config: ExtenderConfig, info: PodInfo, found: Sequence[Candidate]) -> bytes:
    body: dict[str, Any] = {"Pod": info.pod, "NodeNameToVictims": None, "NodeNameToMetaVictims": None}
    if config.nodeCacheCapable:
        body["NodeNameToMetaVictims"] = {
            c.node.name: {"Pods": [{"UID": v.uid} for v in c.victims], "NumPDBViolations": c.violations} for c in found
        }
    else:
        body["NodeNameToVictims"] = {
            c.node.name: {"Pods": [v.pod for v in c.victims], "NumPDBViolations": c.violations} for c in found
        }
    return msgspec.json.encode(body)


def narrowed(config: ExtenderConfig, snapshot: Snapshot, answer: Any) -> list[Candidate]:
    """The candidates that the preempt verb left, perhaps with other victims."""
    out = []
    for name, victims in (_lower(answer).get("nodenametometavictims") or {}).items():
        node = snapshot.by_name.get(name)
        if node is None:
            raise ExtenderError(f'extender "{config.urlPrefix}" names a node "{name}" that does not exist')
        entry = _lower(victims)
        pods = []
        for meta in entry.get("pods") or ():
            uid = str(_lower(meta).get("uid", ""))
            pod = node.pods.get(uid)
            if pod is None:
                raise ExtenderError(
                    f"extender: {config.urlPrefix} claims to preempt pod (UID: {uid}) on node: {name}, "
                    "but the pod is not found on that node"
                )
            pods.append(pod)
        pods.sort(key=lambda p: (-p.priority, p.start if p.start is not None else float("inf")))
        out.append(Candidate(node, tuple(pods), int(entry.get("numpdbviolations") or 0)))
    return out


# -- the connections


def _pem(home: Path, data: bytes, file: str) -> bytes:
    if data:
        return data if data.startswith(b"-----") else base64.b64decode(data)
    return (home / file).read_bytes() if file else b""


def _context(config: ExtenderConfig, home: Path) -> ssl.SSLContext | None:
    tls = config.tlsConfig
    if not config.urlPrefix.startswith("https:"):
        return None
    ca = _pem(home, tls.caData, tls.caFile) if tls is not None else b""
    insecure = (tls is not None and tls.insecure) or (config.enableHTTPS and not ca)
    context = client_context(ca, verify=not insecure)
    if tls is not None and (tls.certFile or tls.certData):
        load_pair(context, Pair(_pem(home, tls.certData, tls.certFile), _pem(home, tls.keyData, tls.keyFile)))
    return context


class Extender:
    """One of them. Every call raises ExtenderError."""

    def __init__(self, config: ExtenderConfig, home: Path = Path()) -> None:
        """Raises ConfigError when its certificates cannot be read."""
        self.config = config
        self._url = config.urlPrefix.rstrip("/")
        self._timeout_s = seconds(config.httpTimeout) or TIMEOUT_S
        name = config.tlsConfig.serverName if config.tlsConfig is not None else ""
        try:
            self._pool = HttpPool(self._url, _context(config, home), server_hostname=name)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise ConfigError([f"extender {config.urlPrefix}: its certificates cannot be used: {error}"]) from None

    async def ask(self, verb: str, body: bytes) -> Any:
        headers = [("Content-Type", "application/json")]
        url = f"{self._url}/{verb}"
        try:
            async with asyncio.timeout(self._timeout_s):
                try:
                    status, _, data = await self._pool.fetch("POST", f"/{verb}", headers=headers, body=body)
                except ConnectionFailed:  # an idle connection that it has closed; only binding must not happen twice
                    if verb == self.config.bindVerb:
                        raise
                    status, _, data = await self._pool.fetch("POST", f"/{verb}", headers=headers, body=body)
        except TimeoutError:
            raise ExtenderError(f'Post "{url}": context deadline exceeded after {self._timeout_s:g} s') from None
        except OSError as error:
            raise ExtenderError(f'Post "{url}": {error}') from None
        if status != 200:
            raise ExtenderError(f"failed {verb} with extender at URL {url}, code {status}")
        try:
            return msgspec.json.decode(data)
        except msgspec.DecodeError as error:
            raise ExtenderError(f"the answer of {url} is not JSON: {error}") from None

    async def bind(self, info: PodInfo, node: str) -> None:
        namespace, name = info.key
        body: Mapping[str, str] = {"PodName": name, "PodNamespace": namespace, "PodUID": info.uid, "Node": node}
        answer = await self.ask(self.config.bindVerb, msgspec.json.encode(body))
        problem = _lower(answer).get("error")
        if problem:
            raise ExtenderError(str(problem))

    async def close(self) -> None:
        await self._pool.close()
