"""The command as a person uses it, with everything that a person gets wrong; control planes without a node.

Each message must say what happened and what to do, and nothing may be left behind by what was refused.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.lab import COMMAND, Lab, Refused, config_map, free_port, run, until

slow = pytest.mark.slow
root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
kubectl = pytest.mark.skipif(shutil.which("kubectl") is None, reason="needs kubectl")


def pelamis(*args: str, code: int = 0, **options: Any) -> str:
    done = run(str(COMMAND), *args, ok=False, **options)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return done.stdout if code == 0 else done.stderr


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(tmp_path, node=False)
    yield made
    made.pelamis("down", "--purge")
    assert not made.data.exists()
    assert not processes(made)


def processes(lab: Lab) -> list[str]:
    needle, found = str(lab.data).encode(), []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if needle in command:
                found.append(command.decode().replace("\0", " "))
    return found


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        ((), 2, "the following arguments are required: COMMAND"),
        (("frobnicate",), 2, "invalid choice: 'frobnicate'"),
        (("up", "--nope"), 2, "unrecognized arguments: --nope"),
        (("up", "--port", "many"), 2, "invalid int value: 'many'"),
        (("up", "--no-node", "--port", "99999"), 1, "--port 99999: a port is a number from 1 to 65535"),
        (("up", "--no-node", "--name", "No"), 1, '"No" cannot name a cluster: use lower-case letters'),
        (("status",), 1, "make one with `pelamis up --name"),
        (("kubeconfig",), 1, "make one with `pelamis up --name"),
        (("logs",), 1, "make one with `pelamis up --name"),
        (("image", "list"), 1, "make one with `pelamis up --name"),
        (("kubectl", "get", "pods"), 1, "make one with `pelamis up --name"),
        (("image", "load"), 2, "the following arguments are required: FILE"),
    ],
)
def test_wrong_words(tmp_path: Path, args: tuple[str, ...], code: int, says: str) -> None:
    own = () if not args or args[0] in ("frobnicate",) or "--name" in args else ("--name", "nobody")
    place = () if not args or args[0] == "frobnicate" else ("--data-dir", str(tmp_path / "d"))
    if args[:1] in (("image",), ("kubectl",)):
        words = (*args[: 2 if args[0] == "image" else 1], *own, *place, *args[2 if args[0] == "image" else 1 :])
    else:
        words = (*args, *own, *place)
    assert says in pelamis(*words, code=code)
    assert list(tmp_path.iterdir()) == []


def test_down_of_nothing(tmp_path: Path) -> None:
    assert "nothing to do" in pelamis("down", "--name", "nobody", "--data-dir", str(tmp_path / "d"))


def test_version() -> None:
    assert re.fullmatch(
        r"pelamis \d+\.\d+\.\d+ \(Kubernetes API v1\.\d+\.\d+, Python 3\.\d+\.\S+\)\n", pelamis("version")
    )


def test_missing_packages_are_named(tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    says = pelamis(
        "up", "--data-dir", str(tmp_path / "d"), "--name", "x", code=1, env={"PATH": str(tools), "HOME": "/"}
    )
    for text in ("containerd: not installed", "apt-get install containerd", "pelamis up --no-node"):
        assert text in says
    assert not (tmp_path / "d").exists()


def test_taken_port(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        args = ("--no-node", "--name", "x", "--data-dir", str(tmp_path / "d"), "--port", str(port))
        says = pelamis("up", *args, code=1)
    assert f"port {port} of 127.0.0.1 is taken by another process" in says and "--port N" in says
    assert list(tmp_path.iterdir()) == []


def test_data_of_another_version(tmp_path: Path) -> None:
    (tmp_path / "cluster.json").write_text('{"format": 99}')
    says = pelamis("up", "--no-node", "--name", "x", "--data-dir", str(tmp_path), code=1)
    assert "written by another version of Pelamis" in says and "Nothing was changed" in says
    assert [entry.name for entry in tmp_path.iterdir()] == ["cluster.json"]


def test_unwritable_data_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    args = ("--no-node", "--name", "x", "--data-dir", str(tmp_path / "file" / "d"), "--port", str(free_port()))
    assert "cannot be written" in pelamis("up", *args, code=1)


@slow
def test_purge_ends_a_cluster_whose_file_is_damaged(lab: Lab) -> None:
    lab.up()
    pid = lab.pid("server")
    (lab.data / "cluster.json").write_text("nonsense")
    said = lab.pelamis("down", "--purge").stdout
    assert "not readable as JSON of a cluster" in said
    assert "is stopped and its data deleted" in said
    assert not Path(f"/proc/{pid}").exists()
    assert not lab.data.exists()


@slow
@kubectl
def test_up_twice_down_twice(lab: Lab) -> None:
    assert "API answers" in lab.up()
    lab.kubectl("create", "configmap", "kept", "--from-literal=a=1")
    assert "is already running" in lab.up()
    assert f"runs on port {lab.port}" in lab.pelamis("up", "--no-node", "--port", "1", ok=False).stderr
    assert "ready" in lab.pelamis("status").stdout
    assert "is stopped; its data stays in" in lab.pelamis("down").stdout
    assert "is stopped" in lab.pelamis("down").stdout
    assert lab.pelamis("status", ok=False).returncode == 3
    lab.up()
    assert lab.get("configmaps", "kept")["data"] == {"a": "1"}


@slow
@kubectl
def test_two_ups_at_once_are_one_cluster(lab: Lab) -> None:
    words = (str(COMMAND), "up", "--name", lab.name, "--data-dir", str(lab.data), "--port", str(lab.port), "--no-node")
    both = [
        subprocess.Popen((*words, "--no-merge-kubeconfig"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outs = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], outs
    assert sorted("already running" in out for out, _ in outs) == [False, True]
    assert len([line for line in processes(lab) if "pelamis.main.supervisor" in line]) == 1
    lab.kubectl("get", "namespaces")


@slow
@kubectl
def test_clusters_side_by_side(lab: Lab, tmp_path: Path) -> None:
    other = Lab(tmp_path, node=False)
    lab.up()
    other.up()
    try:
        lab.kubectl("create", "namespace", "mine")
        assert "mine" not in other.kubectl("get", "namespaces")
        wrong = {"KUBECONFIG": lab.kubeconfig, "PATH": os.environ["PATH"], "HOME": str(tmp_path)}
        done = run("kubectl", f"--server=https://127.0.0.1:{other.port}", "get", "ns", ok=False, env=wrong)
        assert done.returncode and "certificate signed by unknown authority" in done.stderr
        other.down()
        assert "mine" in lab.kubectl("get", "namespaces")
    finally:
        other.pelamis("down", "--purge")


@slow
@kubectl
def test_kubeconfig_is_merged_and_taken_out_again(lab: Lab, tmp_path: Path) -> None:
    config = tmp_path / "config"
    env = {**os.environ, "KUBECONFIG": str(config)}
    for line in (
        ("set-cluster", "work", "--server=https://example.org"),
        ("set-credentials", "me", "--token=secret"),
        ("set-context", "work", "--cluster=work", "--user=me"),
        ("use-context", "work"),
    ):
        run("kubectl", "config", *line, env=env)
    before = run("kubectl", "config", "view", "--raw", "-o", "json", env=env).stdout
    lab.pelamis("up", "--no-node", "--port", str(lab.port), env=env)
    assert run("kubectl", "config", "current-context", env=env).stdout == f"pelamis-{lab.name}\n"
    run("kubectl", "get", "ns", env=env)
    both = json.loads(run("kubectl", "config", "view", "--raw", "-o", "json", env=env).stdout)
    assert {c["name"] for c in both["contexts"]} == {"work", f"pelamis-{lab.name}"}
    lab.pelamis("down", "--purge", env=env)
    after = json.loads(run("kubectl", "config", "view", "--raw", "-o", "json", env=env).stdout)
    assert {**after, "current-context": "work"} == json.loads(before)
    assert config.stat().st_mode & 0o077 == 0


@slow
def test_foreground_ends_with_its_terminal_key(lab: Lab) -> None:
    words = ("--name", lab.name, "--data-dir", str(lab.data), "--port", str(lab.port), "--no-node", "--foreground")
    process = subprocess.Popen((str(COMMAND), "up", *words, "--no-merge-kubeconfig"), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert "Ctrl-C stops it" in process.stdout.readline()
    assert process.stdout.readline() == "API answers\n"
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0 and "is stopped; its data stays in" in out
    assert not processes(lab)


@slow
@kubectl
def test_manifests_that_are_wrong(lab: Lab) -> None:
    lab.up()
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "c"}]}}

    def apply(text: object) -> str:
        return lab.kubectl("apply", "-f", "-", stdin=text if isinstance(text, str) else json.dumps(text), ok=False)

    assert "error parsing STDIN" in apply("kind: Pod\n  bad: [")
    assert "no objects passed to apply" in apply("# nothing\n")
    assert 'no matches for kind "Pot" in version "v1"' in apply({**pod, "kind": "Pot"})
    assert "spec.containers[0].image: Required value" in apply(pod)
    typo = {**pod, "spec": {"containers": [{"name": "c", "image": "x", "imagePullPolice": "Never"}]}}
    assert 'unknown field "spec.containers[0].imagePullPolice"' in apply(typo)
    wrong = {**pod, "spec": {"containers": [{"name": "c", "image": "x", "ports": [{"containerPort": "http"}]}]}}
    assert "containerPort" in apply(wrong)
    assert 'namespaces "nowhere" not found' in apply({**pod, "metadata": {"name": "p", "namespace": "nowhere"}})
    assert "No resources found" in lab.kubectl("get", "pods", ok=False)


@slow
@root
@kubectl
def test_full_disk(tmp_path: Path) -> None:
    """Reads go on, writes say why they fail, nothing acknowledged is lost, and space brings everything back."""
    disk = tmp_path / "disk"
    disk.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=90m", "tmpfs", str(disk))
    lab = Lab(disk, node=False)
    try:
        lab.up()
        acknowledged = []
        big = "x" * 100_000
        filler = disk / "fill"
        with filler.open("wb") as file:
            file.write(bytes(shutil.disk_usage(disk).free - 6_000_000))
        refused = None
        for number in range(120):
            try:
                lab.call("POST", "/api/v1/namespaces/default/configmaps", config_map(f"c{number}", a=big))
            except Refused as error:
                refused = error
                break
            acknowledged.append(f"c{number}")
        assert refused is not None and acknowledged
        assert refused.code == 507 and "no space is left for" in str(refused) and "free some" in str(refused)
        assert "the store is full" in lab.kubectl("create", "configmap", "more", f"--from-literal=a={big}", ok=False)
        names = {item["metadata"]["name"] for item in lab.get("configmaps")["items"]}
        assert names >= set(acknowledged) and "more" not in names
        lab.down()
        again = lab.pelamis("up", "--no-node", "--no-merge-kubeconfig", ok=False)
        assert again.returncode == 1 and "free some space, or use another disk with --data-dir" in again.stderr
        filler.unlink()
        lab.up()
        names = {item["metadata"]["name"] for item in lab.get("configmaps")["items"]}
        assert names >= set(acknowledged) and "more" not in names
        with filler.open("wb") as file, pytest.raises(OSError):
            while True:
                file.write(bytes(1 << 20))
        until(lambda: "full" in lab.kubectl("create", "configmap", "n", f"--from-literal=a={big}", ok=False), "full")
        filler.unlink()
        assert "created" in lab.kubectl("create", "configmap", "n", f"--from-literal=a={big}")
    finally:
        lab.pelamis("down", "--purge", ok=False)
        run("umount", str(disk))


@slow
@root
@kubectl
def test_without_root(tmp_path: Path) -> None:
    """As nobody, who may read everything (so that the code can be anywhere) and write at home only."""
    home = tmp_path / "home"
    home.mkdir()
    for folder in (home, *home.parents[:4]):
        folder.chmod(folder.stat().st_mode | 0o055)
    os.chown(home, 65534, 65534)
    capability = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
    ids = ("--reuid=65534", "--regid=65534", "--clear-groups")
    nobody = ("setpriv", *ids, *capability, "env", f"HOME={home}", "KUBECONFIG=")
    refused = run(*nobody, str(COMMAND), "up", ok=False)
    assert refused.returncode == 1 and "not running as root" in refused.stderr
    assert "pelamis up --no-node" in refused.stderr
    try:
        out = run(*nobody, str(COMMAND), "up", "--no-node", "--port", str(free_port()), timeout=30).stdout
        assert f'context "pelamis" in {home}/.kube/config' in out
        assert "kube-system" in run(*nobody, "kubectl", "get", "namespaces").stdout
        place = str(tmp_path / "elsewhere")
        refused = run(
            *nobody, str(COMMAND), "up", "--no-node", "--data-dir", place, "--port", str(free_port()), ok=False
        )
        assert refused.returncode == 1 and "choose a directory of yours with --data-dir" in refused.stderr
        refused = run(*nobody, str(COMMAND), "up", "--no-node", "--name", "low", "--port", "81", ok=False)
        assert refused.returncode == 1 and "port 81 needs root: choose one above 1023" in refused.stderr
    finally:
        out = run(*nobody, str(COMMAND), "down", "--purge").stdout
    assert "its data deleted" in out and not (home / ".local/share/pelamis/default").exists()


if sys.platform != "linux":
    pytestmark = pytest.mark.skip(reason="these look at /proc")
