"""A whole cluster for a test: the real command, the real containerd, the real kubectl; and proof that nothing stays.

Waiting is by condition, looked at every 50 ms, with a limit that is generous because the machine may be busy.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import secrets
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pelamis.main.config import Cluster as Settings
from pelamis.main.config import load

Tree = dict[str, Any]
LIMIT_S = 60.0
BUSYBOX = "busybox:1"
NGINX = "nginx:1.19"
NGINX_NEXT = "nginx:1.20"
COMMAND = Path(sys.executable).with_name("pelamis")


def missing() -> str:
    """What this machine lacks for a cluster with a node and for calling it; "" when nothing."""
    from pelamis.main.doctor import examine
    from pelamis.main.doctor import missing as lacking

    found = [f"{finding.name}: {finding.detail}" for finding in lacking(examine())]
    if shutil.which("kubectl") is None:
        found.append("kubectl")
    return "; ".join(found)


def kubectls() -> list[str]:
    """The oldest and the newest kubectl of 1.27 or later that the machine has, else the one there is."""
    plain = shutil.which("kubectl")
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(":")]
    if plain:
        folders.append(Path(plain).resolve().parent)
    versions = {}
    for folder in folders:
        for path in folder.glob("kubectl.1.*"):
            if path.suffix[1:].isdigit():
                versions[int(path.suffix[1:])] = str(path)
    if versions:
        return [versions[minor] for minor in dict.fromkeys((min(versions), max(versions)))]
    return [plain] if plain else []


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run(*command: str, ok: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
    options = {"capture_output": True, "text": True, "timeout": 180, **options}
    done = subprocess.run(command, check=False, **options)
    if ok and done.returncode:
        raise AssertionError(f"`{' '.join(command)}` ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done


def until(what: Callable[[], Any], saying: str, seconds: float = LIMIT_S) -> Any:
    """The first true value of ``what``; an exception of it counts as not yet."""
    end = time.monotonic() + seconds
    last: object = None
    while True:
        try:
            last = what()
            if last:
                return last
        except (AssertionError, OSError, http.client.HTTPException, LookupError) as error:
            last = error
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds:g} s: {saying}; last seen: {last!r}")
        time.sleep(0.05)


class Missing(LookupError):
    """The API answered 404."""


class Refused(AssertionError):
    """The API answered with another error status."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code} {text}")
        self.code = code


class Lab:
    """One cluster of the tests, named ``e2e-…``, with its data below ``folder``."""

    def __init__(self, folder: Path, *, node: bool = True, name: str = "") -> None:
        self.name = name or f"e2e-{secrets.token_hex(3)}"
        self.data = folder / self.name
        self.port = free_port()
        self.node = node
        self.folder = folder
        self._connection: http.client.HTTPSConnection | None = None

    # the command

    def pelamis(self, verb: str, *args: str, ok: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
        verbs = verb.split()
        return run(str(COMMAND), *verbs, "--name", self.name, "--data-dir", str(self.data), *args, ok=ok, **options)

    def up(self, *args: str) -> str:
        flags = () if self.node else ("--no-node",)
        self._connection = None
        return self.pelamis("up", "--no-merge-kubeconfig", "--port", str(self.port), *flags, *args).stdout

    def down(self, *args: str) -> None:
        self.pelamis("down", *args)

    @property
    def settings(self) -> Settings:
        found = load(self.data)
        assert found is not None
        return found

    def pid(self, component: str) -> int:
        return int((self.settings.run / f"{component}.pid").read_text())

    @property
    def kubeconfig(self) -> str:
        return str(self.data / "admin.kubeconfig")

    # kubectl

    def kubectl(self, *args: str, ok: bool = True, program: str = "kubectl", stdin: str = "", **options: Any) -> str:
        """What it printed; with ``ok=False`` also what it complained about."""
        done = run(program, *args, ok=ok, input=stdin, env={**os.environ, "KUBECONFIG": self.kubeconfig}, **options)
        return done.stdout if ok else done.stdout + done.stderr

    def start_kubectl(self, *args: str, program: str = "kubectl", **options: Any) -> subprocess.Popen[bytes]:
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        return subprocess.Popen([program, *args], env={**os.environ, "KUBECONFIG": self.kubeconfig}, **options)

    def apply(self, *objects: Tree) -> None:
        self.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    def sh(self, pod: str, script: str, *, container: str = "", namespace: str = "default", ok: bool = True) -> str:
        where = ("-c", container) if container else ()
        return self.kubectl("-n", namespace, "exec", pod, *where, "--", "sh", "-c", script, ok=ok)

    # the API, without the cost of a process

    def _connect(self) -> http.client.HTTPSConnection:
        pki = self.data / "pki"
        context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=context, timeout=20)

    def call(self, method: str, path: str, body: Tree | None = None, kind: str = "application/json") -> Tree:
        data = None if body is None else json.dumps(body)
        if self._connection is None:
            self._connection = self._connect()
        try:
            self._connection.request(method, path, data, {"Content-Type": kind} if data else {})
            answer = self._connection.getresponse()
            text = answer.read().decode()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            self._connection = None
            raise
        if answer.status == 404:
            raise Missing(text)
        if answer.status >= 400:
            raise Refused(answer.status, text)
        found: Tree = json.loads(text)
        return found

    def get(self, resource: str, name: str = "", namespace: str = "default") -> Tree:
        """``resource`` as in a path: ``pods``, ``apps/v1/deployments``; cluster-scoped with ``namespace=""``."""
        return self.call("GET", path(resource, name, namespace))

    def patch(self, resource: str, name: str, change: Tree, namespace: str = "default") -> Tree:
        return self.call("PATCH", path(resource, name, namespace), change, "application/merge-patch+json")

    def pods(self, selector: str = "", namespace: str = "default") -> list[Tree]:
        query = f"?labelSelector={selector.replace('=', '%3D')}" if selector else ""
        items: list[Tree] = self.call("GET", path("pods", "", namespace) + query)["items"]
        return items

    def ready(self, name: str, namespace: str = "default", seconds: float = LIMIT_S) -> Tree:
        """Waits until the pod is Ready and returns it."""

        def look() -> Tree | None:
            pod = self.get("pods", name, namespace)
            return pod if is_ready(pod) else None

        found: Tree = until(look, f"pod {name} is Ready", seconds)
        return found

    def gone(self, resource: str, name: str, namespace: str = "default", seconds: float = LIMIT_S) -> None:
        def look() -> bool:
            try:
                self.get(resource, name, namespace)
            except Missing:
                return True
            return False

        until(look, f"{resource} {name} is gone", seconds)

    def rolled_out(self, name: str, seconds: float = LIMIT_S, namespace: str = "default") -> Tree:
        def look() -> Tree | None:
            found = self.get("apps/v1/deployments", name, namespace)
            status, wanted = found.get("status", {}), found["spec"]["replicas"]
            done = (
                status.get("observedGeneration", 0) >= found["metadata"]["generation"]
                and status.get("updatedReplicas", 0) == wanted
                and status.get("replicas", 0) == wanted
                and status.get("availableReplicas", 0) == wanted
            )
            return found if done else None

        found: Tree = until(look, f"deployment {name} is rolled out", seconds)
        return found

    def http(self, url: str, timeout: float = 5.0) -> tuple[int, str]:
        return fetch(url, timeout)

    # traces on the machine

    def marks(self) -> Marks:
        return Marks(self)


def path(resource: str, name: str = "", namespace: str = "default") -> str:
    group, _, plural = resource.rpartition("/")
    base = f"/apis/{group}" if group else "/api/v1"
    where = f"/namespaces/{namespace}" if namespace else ""
    return f"{base}{where}/{plural}" + (f"/{name}" if name else "")


def fetch(url: str, timeout: float = 5.0) -> tuple[int, str]:
    """Status and text of one request on a connection of its own."""
    host, _, rest = url.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(host, timeout=timeout)
    try:
        connection.request("GET", "/" + rest, headers={"Connection": "close"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def is_ready(pod: Tree) -> bool:
    conditions = pod.get("status", {}).get("conditions", ())
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def container_status(pod: Tree, name: str = "") -> Tree:
    status = pod.get("status", {})
    everything = [
        *status.get("containerStatuses", ()),
        *status.get("initContainerStatuses", ()),
        *status.get("ephemeralContainerStatuses", ()),
    ]
    for found in everything:
        if not name or found["name"] == name:
            return dict(found)
    raise LookupError(f"no status of container {name!r} yet")


# objects


def metadata(name: str, labels: Mapping[str, str] | None = None, **more: Any) -> Tree:
    return {"name": name, "namespace": "default", "labels": dict(labels or {"app": name}), **more}


def container(script: str = "sleep 100000", *, name: str = "main", image: str = BUSYBOX, **more: Any) -> Tree:
    """busybox running a shell script that stops at once when told to."""
    body = f"trap 'exit 0' TERM INT; {script} & wait" if script.startswith("sleep") else script
    return {"name": name, "image": image, "command": ["sh", "-c", body], **more}


def pod(name: str, *containers: Tree, labels: Mapping[str, str] | None = None, **spec: Any) -> Tree:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata(name, labels),
        "spec": {"containers": list(containers) or [container()], "terminationGracePeriodSeconds": 2, **spec},
    }


WEB = "mkdir -p /www; echo $HOSTNAME > /www/index.html; exec httpd -f -p 80 -h /www"
"""A web server that says its pod's name."""


def web(name: str = "main", **more: Any) -> Tree:
    probe = {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 1}
    return container(WEB, name=name, ports=[{"containerPort": 80}], readinessProbe=probe, **more)


def deployment(name: str, replicas: int, *containers: Tree, spec: Tree | None = None, **pod_spec: Any) -> Tree:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(name),
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": list(containers) or [web()], "terminationGracePeriodSeconds": 5, **pod_spec},
            },
            **(spec or {}),
        },
    }


def service(name: str, *, app: str = "", port: int = 80, **spec: Any) -> Tree:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(name),
        "spec": {"selector": {"app": app or name}, "ports": [{"port": port, "targetPort": 80}], **spec},
    }


def config_map(name: str, **data: str) -> Tree:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata(name), "data": data}


def secret(name: str, **data: str) -> Tree:
    encoded = {key: base64.b64encode(text.encode()).decode() for key, text in data.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata(name), "data": encoded}


# images


def busybox(folder: Path) -> Path:
    """An image with Debian's busybox-static and all its applets, as a tar."""
    from pelamis.main.image import Spec, build

    archive = folder / "busybox.tar"
    if not archive.exists():
        program = shutil.which("busybox")
        assert program, "busybox is not installed (Debian: apt-get install busybox-static)"
        applets = run(program, "--list").stdout.split()
        links = {f"bin/{applet}": "busybox" for applet in applets if applet != "busybox"}
        spec = Spec(
            BUSYBOX,
            cmd=("sh",),
            files={
                "bin/busybox": (0o755, Path(program).read_bytes()),
                "etc/passwd": (0o644, b"root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1000::/:/bin/sh\n"),
                "etc/group": (0o644, b"root:x:0:\nweb:x:1000:\n"),
            },
            links=links,
            folders={"tmp": 0o1777, "root": 0o700, "www": 0o777, "var": 0o755, "etc": 0o755},
        )
        archive.write_bytes(build(spec))
    return archive


def nginx(folder: Path) -> list[Path]:
    """nginx:1.19 and nginx:1.20 (the same program), built once a machine from Debian's package as script/up does."""
    from dataclasses import replace

    from pelamis.main.image import build

    archives = [folder / "nginx-1.19.tar", folder / "nginx-1.20.tar"]
    if not all(archive.exists() for archive in archives):
        script = str(Path(__file__).parents[2] / "script")
        sys.path.insert(0, script)
        try:
            import example_image
        finally:
            sys.path.remove(script)
        work = folder / "nginx"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        root = example_image.unpack(work)
        spec = example_image.furnish(root)
        for name, archive in zip((NGINX, NGINX_NEXT), archives, strict=True):
            archive.with_suffix(".new").write_bytes(build(replace(spec, name=name), root))
            archive.with_suffix(".new").replace(archive)
        shutil.rmtree(work)
    return archives


class Marks:
    """What a cluster has put on the machine, noted while it runs; ``left`` says what of it is still there."""

    def __init__(self, lab: Lab) -> None:
        cluster = lab.settings
        self.needles = [str(lab.data).encode(), f"/run/pelamis/{lab.name}/".encode()]
        self.paths = [cluster.run, lab.data / "containerd", lab.data / "kubelet" / "pods"]
        self.roots = (f"{lab.data}/", f"{cluster.run}/")
        self.table, self.bridge, self.address = cluster.nft_table, cluster.bridge, cluster.dns_ip
        self.cgroup = cluster.cgroup
        uids = [pod["metadata"]["uid"] for pod in lab.call("GET", "/api/v1/pods")["items"]]
        folders = [folder for folder in Path("/var/log/pods").glob("*") if folder.name.rsplit("_", 1)[-1] in uids]
        links = [link for link in Path("/var/log/containers").glob("*.log") if lab.name in os.readlink(link)]
        links += [link for link in Path("/var/log/containers").glob("*.log") if link.resolve().parents[1] in folders]
        self.paths += folders + links
        self.results = []
        for cache in (Path("/var/lib/cni/results"), Path("/var/lib/cni/cache/results")):
            for path in cache.glob(f"{self.cgroup}-*"):
                self.results += cache.glob(f"*-{path.name.rsplit('-', 2)[1]}-*")
        self.namespaces = []
        for spec in (cluster.run / "containerd").glob("io.containerd.runtime.v2.task/k8s.io/*/config.json"):
            for space in json.loads(spec.read_text())["linux"]["namespaces"]:
                if space["type"] == "network" and "netns" in space.get("path", ""):
                    self.namespaces.append(Path(space["path"]))

    def left(self) -> Iterator[str]:
        yield from (f"path {path}" for path in (*self.paths, *self.namespaces) if path.exists() or path.is_symlink())
        own = os.getpid()
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != own:
                try:
                    command = (entry / "cmdline").read_bytes()
                except OSError:
                    continue
                if any(needle in command for needle in self.needles):
                    yield f"process {entry.name} {command!r}"
        for line in Path("/proc/self/mountinfo").read_text().splitlines():
            point = line.split()[4]
            if point.startswith(self.roots) or point in map(str, self.namespaces):
                yield f"mount {point}"
        yield from (f"cgroup {path}" for path in Path("/sys/fs/cgroup").glob(f"**/{self.cgroup}"))
        tables = run("nft", "list", "ruleset").stdout
        if f'"{self.table}"' in tables or f" {self.table} " in tables:
            yield f"nft table {self.table}"
        links = run("ip", "-o", "link").stdout
        if f" {self.bridge}:" in links or f"master {self.bridge} " in links:
            yield f"link {self.bridge}"
        if f" {self.address}/" in run("ip", "-o", "address", "show", "dev", "lo").stdout:
            yield f"address {self.address} on lo"
        if shutil.which("iptables-save") and self.bridge in run("iptables-save").stdout:
            yield "iptables rules"
        yield from (f"file {path}" for path in self.results if path.exists())
