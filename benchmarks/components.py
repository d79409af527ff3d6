"""Our controllers and scheduler beside Kubernetes' own, against the same API server with hollow nodes.

``PELAMIS_KUBE_CONTROLLER_MANAGER`` and ``PELAMIS_KUBE_SCHEDULER`` name the programs (docs/parts.md tells how they are
run). Deployments are made at once, and the time until every pod of them is available is taken, with the CPU of all
processes but the hollow nodes'. Upstream's clients may send 2,000 requests a second, far above their default. That
upstream's components are well is a row of its own: errors in their logs, but for those that tell of a lost race.
"""

from __future__ import annotations

import asyncio
import base64
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec
import uvloop
from benchmarks.deployments import EACH, _pids, _until, deployment
from benchmarks.frame import Row, cpu_s, say, shown, skipped

from pelamis.api.apps.deployment import KIND as DEPLOYMENT
from pelamis.client.connect import connect
from pelamis.client.kubeconfig import read, resolve
from pelamis.net import tls

MANAGER, SCHEDULER = "PELAMIS_KUBE_CONTROLLER_MANAGER", "PELAMIS_KUBE_SCHEDULER"
NAME, PORT, PORTS = "bench-parts", 16753, (16754, 16755)
NODES, DEPLOYMENTS = 20, 60
RACE = re.compile(r"the object has been modified|is not as new as written version|manifest file is empty")


class _Available:
    wanted = DEPLOYMENTS

    def __call__(self, one: object) -> bool:
        return bool(one.status.availableReplicas == EACH)  # type: ignore[attr-defined]


def _kubeconfig(place: Path, user: str) -> Path:
    ca = tls.Authority(tls.Pair((place / "pki/ca.crt").read_bytes(), (place / "pki/ca.key").read_bytes()))
    pair = ca.issue(user, time.time(), client=True)

    def text(data: bytes) -> str:
        return base64.b64encode(data).decode()

    tree = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [
            {
                "name": "c",
                "cluster": {
                    "server": f"https://127.0.0.1:{PORT}",
                    "certificate-authority-data": text(ca.pair.cert),
                },
            }
        ],
        "users": [
            {"name": "u", "user": {"client-certificate-data": text(pair.cert), "client-key-data": text(pair.key)}}
        ],
    }
    path = place / f"{user.rpartition(':')[2]}.kubeconfig"
    path.write_bytes(msgspec.json.encode(tree))
    return path


def _start(place: Path, programs: Sequence[str], stack: ExitStack) -> list[int]:
    """Upstream's components; ended with the stack. Returns their pids."""
    keys = place / "pki"
    options = (
        {
            "use-service-account-credentials": "true",
            "service-account-private-key-file": keys / "sa.key",
            "root-ca-file": keys / "ca.crt",
            "cluster-signing-cert-file": keys / "ca.crt",
            "cluster-signing-key-file": keys / "ca.key",
        },
        {},
    )
    pids = []
    for program, more, user, port in zip(
        programs, options, ("system:kube-controller-manager", "system:kube-scheduler"), PORTS, strict=True
    ):
        config = _kubeconfig(place, user)
        common = {
            **{f"{use}kubeconfig": config for use in ("", "authentication-", "authorization-")},
            "kube-api-qps": 2000,
            "kube-api-burst": 2000,
            "bind-address": "127.0.0.1",
            "secure-port": port,
            "cert-dir": place / "certs",
        }
        log = stack.enter_context((place / f"{user.rpartition(':')[2]}.log").open("wb"))
        command = [program, *(f"--{name}={value}" for name, value in {**common, **more}.items())]
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        stack.callback(process.wait, 30)
        stack.callback(process.terminate)
        pids.append(process.pid)
    return pids


async def _measure(kubeconfig: Path) -> float:
    client = await connect(resolve(read([kubeconfig])), now=time.time)
    try:
        waiting = asyncio.create_task(_until(client.view(DEPLOYMENT), _Available()))
        began = time.perf_counter()
        for outcome in await client.commit([deployment(i) for i in range(DEPLOYMENTS)]):
            if outcome.error is not None:
                raise RuntimeError(outcome.error.message)
        await waiting
        return time.perf_counter() - began
    finally:
        await client.close()


def _errors(place: Path) -> list[str]:
    lines = [line for path in place.glob("kube-*.log") for line in path.read_text(errors="replace").splitlines()]
    return [line for line in lines if re.match(r"[EF]\d{4} |panic", line) and not RACE.search(line)]


def _run(programs: Sequence[str]) -> tuple[float, float, list[str]]:
    """(seconds until all are available, CPU seconds, errors told) with upstream's programs, or with none: ours."""
    place = Path(tempfile.mkdtemp(prefix="pelamis-bench-"))
    common = ["--name", NAME, "--data-dir", str(place)]
    pelamis = [sys.executable, "-m", "pelamis.main.cli"]
    flags = ["--no-node", "--hollow-nodes", str(NODES), "--no-merge-kubeconfig", "--port", str(PORT)]
    if programs:
        flags += ["--controllers", "", "--no-scheduler"]
    try:
        with ExitStack() as stack:
            subprocess.run([*pelamis, "up", *common, *flags], check=True, stdout=sys.stderr)
            pids = [p for p in _pids(place) if b"hollow" not in Path(f"/proc/{p}/cmdline").read_bytes()]
            pids += _start(place, programs, stack) if programs else []
            time.sleep(20)  # leases are taken, caches are full
            before = sum(cpu_s(p) for p in pids)
            took = uvloop.run(_measure(place / "admin.kubeconfig"))
            return took, sum(cpu_s(p) for p in pids) - before, _errors(place)
    finally:
        subprocess.run([*pelamis, "down", *common, "--purge"], check=False, stdout=sys.stderr)
        shutil.rmtree(place, ignore_errors=True)


def rows() -> Sequence[Row]:
    what = f"{DEPLOYMENTS} Deployments of {EACH} available, beside upstream's controllers and scheduler"
    programs = [os.environ.get(name, "") for name in (MANAGER, SCHEDULER)]
    if not all(programs):
        return [skipped(what, f"{MANAGER} and {SCHEDULER} are not set")]
    ours, cpu, _ = _run(())
    theirs, their_cpu, errors = _run(programs)
    for line in errors[:20]:
        say(line)
    return [
        Row(what, shown(ours, "s"), f"upstream's {shown(theirs, 's')}", ours / theirs, "≤ 1 ×", ours <= theirs),
        Row(
            "… CPU of the control plane",
            shown(cpu, "s"),
            f"upstream's {shown(their_cpu, 's')}",
            cpu / their_cpu,
            "≤ 1 ×",
            cpu <= their_cpu,
        ),
        Row("… errors in the logs of upstream's components", str(len(errors)), "limit", None, "0", not errors),
    ]
