"""What commands do, as far as it can be known; with the environment that a pod's declaration gives."""

from __future__ import annotations

from typing import Any

import pytest

from pelamis.kubelet.hollow.script import Script, understand
from tests.kubelet.hollow.world import World, phases, play, pod

KNOWN = {"JOB_COMPLETION_INDEX": "2", "JOB": "other", "EMPTY": "", "NAME": "web-0"}


@pytest.mark.parametrize(
    ("text", "lasts", "code", "lines"),
    [
        ("exit $JOB_COMPLETION_INDEX", 0, 2, []),
        ("exit ${JOB_COMPLETION_INDEX}", 0, 2, []),
        ('test "$JOB_COMPLETION_INDEX" = 1', 0, 1, []),
        ('test "$JOB_COMPLETION_INDEX" = 2', 0, 0, []),
        ('[ "$JOB_COMPLETION_INDEX" -gt 1 ] && exit 7', 0, 7, []),
        ('[ "$JOB_COMPLETION_INDEX" -le 1 ] && exit 7; sleep 3', 3, 0, []),
        ('[ "$JOB_COMPLETION_INDEX" ] && hostname', 0, 0, []),
        ('[ -z "$EMPTY" ] || exit 1', 0, 0, []),
        ('[ -n "$EMPTY" ] || exit 4', 0, 4, []),
        ('[ "$NOBODY" = 1 ] && exit 5', 0, 5, []),  # what is not known counts as true
        ("[ -f /data ] && exit 6", 0, 6, []),
        ('if [ "$NAME" = web-0 ]; then echo first; sleep 2; else exit 1; fi; echo end', 2, 0, ["first", "end"]),
        ('if [ "$NAME" != web-0 ]; then echo first; fi; echo end', 0, 0, ["end"]),
        ("if false; then exit 1; elif [ $JOB_COMPLETION_INDEX = 2 ]\nthen exit 2; else exit 3; fi", 0, 2, []),
        ("if false; then exit 1; elif false; then exit 2; else exit 3; fi", 0, 3, []),
        ("if true; then if false; then exit 1; else exit 4; fi; fi", 0, 4, []),
        ("echo if; for i in 1 2; do if [ $i = 2 ]; then exit 9; fi; sleep 1; done", 1, 9, ["if"]),
        ("if true; then exit 1", None, 0, []),  # it has no end
        ("echo $JOB$JOB_COMPLETION_INDEX $?", 0, 0, ["other2 0"]),
    ],
)
def test_scripts(text: str, lasts: float | None, code: int, lines: list[str]) -> None:
    found = understand(("sh", "-c", text), KNOWN)
    assert found == Script(lasts, code, tuple((at, line) for (at, _), line in zip(found.lines, lines, strict=True)))


def test_the_environment_of_a_pod() -> None:
    index = {"fieldRef": {"fieldPath": "metadata.labels['index']"}}
    variables: list[dict[str, Any]] = [
        {"name": "INDEX", "valueFrom": index},
        {"name": "TWICE", "value": "$(INDEX)$(INDEX)"},
        {"name": "LIMIT", "valueFrom": {"resourceFieldRef": {"resource": "requests.cpu"}}},
    ]

    async def scenario(world: World) -> None:
        def one(name: str, *command: str) -> dict[str, Any]:
            made = pod(name, *command, restartPolicy="Never", c_env=variables)
            made["metadata"]["labels"] = {"index": "3"}
            return made

        await world.create(
            one("shell", "sh", "-c", "exit $INDEX"),
            one("expanded", "sh", "-c", "exit $(TWICE)"),
            one("right", "sh", "-c", 'test "$INDEX" = 3'),
            one("amount", "sh", "-c", '[ "$LIMIT" -eq 0 ] && [ $HOSTNAME = amount ]'),
        )
        await world.sleep(5)
        assert phases(world, "shell", "expanded", "right", "amount") == ["Failed", "Failed", "Succeeded", "Succeeded"]
        codes = [world.pod(n).status.containerStatuses[0].state.terminated.exitCode for n in ("shell", "expanded")]
        assert codes == [3, 33]

    play(scenario)
