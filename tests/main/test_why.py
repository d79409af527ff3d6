"""``pelamis why`` against a real server with hollow nodes: what it prints, and how it refuses."""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from pelamis.api.core.namespace import KIND as NAMESPACE
from pelamis.api.core.node import KIND as NODE
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.service import KIND as SERVICE
from pelamis.api.core.serviceaccount import KIND as SERVICEACCOUNT
from pelamis.apiserver.user import LOOPBACK_USER
from pelamis.client.types import Create, Patch
from pelamis.main import cli
from pelamis.main.config import ConfigError
from pelamis.main.why import find_kind, run, target
from tests.apiserver.harness import running
from tests.flows.hollow import hollow_nodes, tasks


def args(*words: str) -> argparse.Namespace:
    return cli._parser().parse_args(["why", *words])


def pod(name: str, cpu: str = "1", **spec: Any) -> dict[str, Any]:
    container = {"name": "c", "image": "busybox:1.36", "resources": {"requests": {"cpu": cpu}}}
    container["command"] = ["sleep", "inf"]
    # no controller here publishes the CA that a token comes with
    body = {"containers": [container], "automountServiceAccountToken": False, **spec}
    return {"metadata": {"name": name, "namespace": "shop"}, "spec": body}


async def until(client: Any, kind: Any, holds: Any) -> None:
    view = client.view(kind)
    changed = asyncio.Event()
    cancel = view.subscribe(lambda key, old, new: changed.set())
    try:
        async with asyncio.timeout(20):
            while not holds(view.list()):
                changed.clear()
                await changed.wait()
    finally:
        cancel()


def test_a_cluster_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    async def ask(config: Path, *words: str) -> str:
        found = await asyncio.to_thread(run, args(*words, "--kubeconfig", str(config)))
        assert found == 0
        return capsys.readouterr().out

    async def main() -> None:
        async with running() as harness:
            client = harness.server.client(LOOPBACK_USER)
            await client.commit([Create(NAMESPACE, {"metadata": {"name": "shop"}})])
            await client.commit([Create(SERVICEACCOUNT, {"metadata": {"name": "default", "namespace": "shop"}})])
            running_now = tasks(harness.server, hollow_nodes(harness.server, "n1", "n2"))
            await until(
                client, NODE, lambda ns: sum(any(c.type == "Ready" for c in n.status.conditions) for n in ns) == 2
            )
            # No controller runs here that would take the taint of new nodes away.
            await client.commit([Patch(NODE, "", name, {"spec": {"taints": None}}) for name in ("n1", "n2")])
            outcomes = await client.commit(
                [
                    Create(POD, pod("small")),
                    Create(POD, pod("big", "500")),
                    Create(
                        SERVICE,
                        {
                            "metadata": {"name": "web", "namespace": "shop"},
                            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
                        },
                    ),
                ]
            )
            assert [o.error for o in outcomes] == [None] * 3

            def settled(pods: Any) -> bool:
                by = {p.metadata.name: p for p in pods}
                return len(by) == 2 and by["small"].status.phase == "Running" and bool(by["big"].status.conditions)

            await until(client, POD, settled)
            config = harness.kubeconfig()
            big = await ask(config, "pod/big", "-n", "shop")
            assert "pod/big: none of the 2 nodes fits" in big and "lower requests.cpu of container c from 500" in big
            tree = json.loads(await ask(config, "pod", "small", "-n", "shop", "-o", "json"))
            assert tree["causes"][0]["data"]["nodes"][0]["scores"], "each plugin's score, for each node"
            everything = await ask(config, "-A")
            assert "shop/service/web: leads nowhere" in everything and "shop/pod/big" in everything
            for words, said in (
                (("pod/bigg", "-n", "shop"), "did you mean big?"),
                (("pod/big",), "there is one in shop: -n shop"),
            ):
                with pytest.raises(ConfigError, match=said):
                    await ask(config, *words)
            nobody = harness.kubeconfig(harness.pair("nobody"), "nobody")
            with pytest.raises(ConfigError, match="your user may not read it"):
                await ask(nobody, "pod/big", "-n", "shop")
            for task in running_now:
                task.cancel()
            await asyncio.gather(*running_now, return_exceptions=True)

    asyncio.run(main())


@pytest.mark.parametrize("words", [["pod"], ["a/b/c", "d"], ["/x"], ["pod/"], ["a", "b", "c"]])
def test_what_names_no_object(words: list[str]) -> None:
    with pytest.raises(ConfigError, match="write TYPE/NAME"):
        target(words)


def test_kinds() -> None:
    assert find_kind("deploy").kind == "Deployment" and find_kind("PVC").kind == "PersistentVolumeClaim"
    with pytest.raises(ConfigError, match="did you mean"):
        find_kind("deploymnt")


def test_no_server(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
        "contexts: [{name: c, context: {cluster: c}}]\nclusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]\n"
    )
    with pytest.raises(ConfigError, match="the cluster cannot be reached"):
        run(args("pod/x", "--kubeconfig", str(config)))
