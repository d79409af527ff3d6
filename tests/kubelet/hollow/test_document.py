"""What docs/hollow-nodes.md shows does what it says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from pelamis.api.core.pod.kind import KIND as POD
from pelamis.client.types import Create
from pelamis.kubelet.hollow.behaviour import _PARSERS, PREFIX, problems
from pelamis.main.hollow import shape
from tests.kubelet.hollow.world import World, phases, play, ready
from tests.test_docs import blocks, module

TEXT = (Path(__file__).parents[3] / "docs/hollow-nodes.md").read_text()


def _template(tree: Any, name: str) -> Create:
    template = tree["spec"]["template"]
    meta = {**template.get("metadata", {}), "name": name, "namespace": "default"}
    return Create(POD, {"metadata": meta, "spec": {**template["spec"], "nodeName": "n1"}})


def test_the_manifests() -> None:
    deployment, job = yaml.safe_load_all(re.findall(r"```yaml\n(.*?)```", TEXT, re.S)[0])

    async def scenario(world: World) -> None:
        assert not problems(deployment["spec"]["template"]["metadata"]["annotations"])
        await world.do(_template(deployment, "web"), _template(job, "import"))
        await world.sleep(1)
        assert not ready(world.pod("web")) and phases(world, "web", "import") == ["Running", "Running"]
        await world.sleep(4.5)
        assert ready(world.pod("web"))
        assert world.pod("import").status.containerStatuses[0].state.terminated.exitCode == 1
        rate = world.nodes.summary("n1")["pods"][0]["cpu"]["usageNanoCores"]
        await world.sleep(120)
        assert (rate, world.nodes.summary("n1")["pods"][0]["cpu"]["usageNanoCores"]) == (150 * 10**6, 1500 * 10**6)

    play(scenario)


def test_the_python() -> None:
    assert callable(module(blocks("hollow-nodes.md")[0], "documented_hollow").run)


def test_every_behaviour_is_there_and_every_value_can_be_read() -> None:
    rows = re.findall(r"^\| ((?:`[a-z-]+`(?:, )?)+) \| (.+?) \|", TEXT.partition("**Annotations**")[2], re.M)
    named = {name for names, _ in rows for name in re.findall(r"`([a-z-]+)`", names)}
    assert named == set(_PARSERS)
    for names, values in rows:
        for name in re.findall(r"`([a-z-]+)`", names):
            for value in re.findall(r"`([^`]+)`", values):
                assert not problems({PREFIX + name: value}), (name, value)


def test_the_flags() -> None:
    found = shape(re.findall(r"--hollow-node '([^']+)'", TEXT)[0])
    assert (found.cpu, found.zones, found.labels) == ("16", 3, {"disk": "ssd", "pool": "web"})
