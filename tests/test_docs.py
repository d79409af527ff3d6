"""The documents keep their word: code in them runs, links lead somewhere, folders they name exist."""

import re
import sys
import textwrap
import types
from pathlib import Path

import msgspec
import pytest

ROOT = Path(__file__).parent.parent
DOCS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def blocks(name: str) -> list[str]:
    text = (ROOT / "docs" / name).read_text()
    return [textwrap.dedent(code) for code in re.findall(r"^ *```python\n(.*?)^ *```", text, re.S | re.M)]


def module(code: str, name: str) -> types.ModuleType:
    made = types.ModuleType(name)
    sys.modules[name] = made  # msgspec looks annotations up in the module
    exec(compile(code, name, "exec"), made.__dict__)
    return made


def test_the_kind_of_the_document_is_served() -> None:
    from pelamis.api import codec
    from pelamis.api.registry import builtin

    kind = module(blocks("adding-a-kind.md")[0], "documented_kind").KIND
    registry = builtin()
    registry.add(kind)
    assert registry.by_resource("home.example", "v1", "lamps") is kind
    tree = {"metadata": {"name": "a"}, "spec": {}}
    assert codec.clean(kind, tree) == []
    lamp = codec.from_tree(kind, tree)
    assert lamp.spec.brightness == 100 and not kind.validate(lamp)
    bright = msgspec.structs.replace(lamp, spec=msgspec.structs.replace(lamp.spec, brightness=101))
    assert "spec.brightness: Invalid value: 101: must be between" in str(kind.validate(bright)[0])
    assert kind.cells is not None and len(kind.cells(lamp, 0.0)) == len(kind.columns)


def test_the_controller_of_the_document_reconciles() -> None:
    from pelamis.api.core.configmap import ConfigMap
    from pelamis.api.meta import ObjectMeta

    greeter = module(blocks("adding-a-controller.md")[0], "documented_controller")
    config = ConfigMap(metadata=ObjectMeta(name="a", namespace="b", labels={"greet": ""}))
    (action,) = greeter.CONTROLLER.reconcile(config, 0.0).actions
    assert action.body == {"metadata": {"annotations": {"greeting": "hello"}}}


def test_the_program_and_the_scenario_of_the_simulator_run() -> None:
    import yaml

    from pelamis.sim.scenario import parse

    module(blocks("simulator.md")[0], "documented_simulation")
    text = (ROOT / "docs" / "simulator.md").read_text()
    (scenario,) = re.findall(r"^```yaml\n(.*?)^```", text, re.S | re.M)
    tree = yaml.safe_load(scenario)
    tree["workloads"] = tree["workloads"][1:]  # the file stands beside a scenario that a user has
    assert len(parse(tree, ROOT).expects) == 2


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text().replace("\n", ""))
    missing = [t for t in targets if "://" not in t and not (path.parent / t).exists()]
    assert not missing
