"""The real kubectl, oldest to newest, against a control plane without a node: every command of the table.

What each version was seen to do is written as a table to the file that ``KUBECTL_TABLE`` names (docs/kubectl.md).
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from pelamis.net import tls
from tests.conformance import corpus
from tests.conformance.commands import STEPS, Step

VERSIONS = (27, 30, 33)
_ROOT = Path(shutil.which("kubectl") or "/usr/bin/kubectl").resolve().parent
BETA = ("VolumeAttributesClass", "IPAddress", "ServiceCIDR")
"""kubectl describes these through beta versions, which a server of this release does not serve by default."""
SEEN: dict[tuple[str, int], str] = {}

pytestmark = pytest.mark.e2e


def binary(minor: int) -> Path | None:
    found = _ROOT / f"kubectl.1.{minor}"
    return found if found.exists() else None


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A running control plane; its kubeconfig."""
    data = tmp_path_factory.mktemp("kubectl") / "data"
    name = f"kubectl-{os.getpid()}"
    pelamis = [sys.executable, "-m", "pelamis.main.cli"]
    place = ["--name", name, "--data-dir", str(data)]
    start = [*pelamis, "up", "--no-node", *place, "--port", str(free_port()), "--no-merge-kubeconfig"]
    try:
        subprocess.run(start, check=True, timeout=60)
        yield data / "admin.kubeconfig"
    finally:
        subprocess.run([*pelamis, "down", *place, "--purge"], timeout=60, check=False)
        table = os.environ.get("KUBECTL_TABLE")
        if table:
            Path(table).write_text(rendered())


def rendered() -> str:
    versions = sorted({v for _, v in SEEN})
    lines = [
        "# What kubectl was seen to do",
        "",
        "Written by `tests/e2e/test_kubectl_api.py`, which runs these commands of the released kubectl against a",
        "control plane without a node, one after the other, and compares exit status and output with what the",
        "table in `tests/conformance/commands.py` expects. Every kind has a manifest in",
        "`tests/conformance/manifests`.",
        "",
        f"`kubectl describe` of {', '.join(BETA)} is left out: these versions ask for a",
        "beta version of the kind, which a server of this release does not serve by default. Commands that",
        "need a running container (`exec`, `attach`, `cp`, `port-forward`, `debug`) are tried by the kubelet's tests.",
        "",
        "| command | " + " | ".join(f"1.{v}" for v in versions) + " |",
        "| --- |" + " --- |" * len(versions),
    ]
    for step in STEPS:
        row = [SEEN.get((step.name, v), "not run") for v in versions]
        lines.append(f"| {step.name.replace('|', chr(92) + '|')} | " + " | ".join(row) + " |")
    return "\n".join(lines) + "\n"


def prepare(folder: Path, namespace: str) -> None:
    documents = corpus.documents(namespace)
    (folder / "corpus.yaml").write_text(yaml.safe_dump_all(documents))
    described = [d for d in documents if d["kind"] not in BETA]
    (folder / "described.yaml").write_text(yaml.safe_dump_all(described))
    deployment = next(d for d in documents if d["kind"] == "Deployment")
    (folder / "deployment-applied.yaml").write_text(yaml.safe_dump(deployment))
    pair = tls.Authority(tls.new_authority("ca", time.time())).issue("x.test", time.time(), server=True)
    (folder / "tls.crt").write_bytes(pair.cert)
    (folder / "tls.key").write_bytes(pair.key)
    (folder / "kustomization.yaml").write_text("configMapGenerator: [{name: kustomized, literals: [a=b]}]\n")


def attempt(step: Step, kubectl: str, env: dict[str, str], words: dict[str, str]) -> str:
    """Empty when what was seen is what was expected."""
    line = step.arguments
    if line.startswith("!"):
        for word, value in words.items():
            line = line.replace(f"{{{word}}}", value)
        line = line[1:].replace("$K", kubectl)
    else:
        line = f"{kubectl} {line.format(**words)}"
    try:
        run = subprocess.run(
            ["bash", "-c", line],
            input=step.stdin.replace("NAMESPACE", words["ns"]),
            env=env,
            capture_output=True,
            text=True,
            timeout=60,
        )
    except subprocess.TimeoutExpired:
        return "no end within 60 s"
    said = run.stdout + run.stderr
    if step.code >= 0 and run.returncode != step.code:
        return f"exit status {run.returncode}: {said[-1500:]}"
    if not re.search(step.expected, said.strip(), re.M):
        return f"printed {said[:1500]!r}"
    return ""


@pytest.mark.parametrize("minor", VERSIONS)
def test_commands(minor: int, cluster: Path, tmp_path: Path) -> None:
    kubectl = binary(minor)
    if kubectl is None:
        pytest.skip(f"kubectl 1.{minor} is not beside kubectl")
    namespace = f"k{minor}"
    prepare(tmp_path, namespace)
    env = {**os.environ, "KUBECONFIG": str(cluster), "HOME": str(tmp_path), "KUBE_EDITOR": ""}
    del env["KUBE_EDITOR"]
    subprocess.run([kubectl, "create", "namespace", namespace], env=env, check=True, capture_output=True)
    words = {"ns": namespace, "dir": str(tmp_path), "port": str(free_port())}
    wrong = {}
    for step in STEPS:
        if step.since > minor:
            SEEN[step.name, minor] = "not in this version"
            continue
        why = attempt(step, f"{kubectl} -n {namespace}", env, words)
        SEEN[step.name, minor] = "differs" if why else "as expected"
        if why:
            wrong[step.name] = why
    assert not wrong, "\n".join(f"{name}: {why}" for name, why in wrong.items())
