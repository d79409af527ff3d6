"""Images from a registry: pulled, with a password where one is asked for, and refused in the words that users know."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import lab as kit
from tests.e2e.lab import Lab, container, container_status, free_port, metadata, pod, until

pytestmark = pytest.mark.e2e
HASH = "$2b$05$aVBqO22OqoPRBH/Q/LTGMeG/ZVM7qmHJud3qK/U4al27FpWJsS3/q"
"""bcrypt of "opensesame"."""


def registry_program() -> str:
    program = shutil.which("docker-registry")
    if program is None:
        message = "docker-registry is not installed (Debian: apt-get install docker-registry)"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return program


class Registry:
    """Debian's docker-registry on a port of its own, open or with one user."""

    def __init__(self, folder: Path, auth: str = "") -> None:
        self.port = free_port()
        self.host = f"127.0.0.1:{self.port}"
        login = ""
        self.headers: dict[str, str] = {}
        if auth:
            (folder / "htpasswd").write_text(f"who:{auth}\n")
            login = f"auth:\n  htpasswd:\n    realm: here\n    path: {folder}/htpasswd\n"
            self.headers["Authorization"] = "Basic " + base64.b64encode(b"who:opensesame").decode()
        config = folder / "config.yml"
        config.write_text(
            f"version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {folder}/store\n"
            f"http:\n  addr: {self.host}\n{login}"
        )
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen([registry_program(), "serve", str(config)], stdout=log, stderr=log)
        try:
            until(lambda: self.request("GET", "/v2/")[0] == 200, f"the registry answers; see {folder}/log", 20)
        except BaseException:
            self.end()
            raise

    def request(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, dict[str, str]]:
        connection = http.client.HTTPConnection(self.host, timeout=10)
        try:
            connection.request(method, path, body, {**self.headers, **headers})
            answer = connection.getresponse()
            answer.read()
            return answer.status, {key.lower(): value for key, value in answer.getheaders()}
        finally:
            connection.close()

    def push(self, archive: Path, name: str, tag: str) -> None:
        """Uploads an OCI layout tar."""
        with tarfile.open(archive) as tar:
            blobs = {
                member.name.rsplit("/", 1)[1]: tar.extractfile(member).read()  # type: ignore[union-attr]
                for member in tar
                if member.name.startswith("blobs/")
            }
            index = json.load(tar.extractfile("index.json"))  # type: ignore[arg-type]
        manifest = blobs.pop(index["manifests"][0]["digest"].removeprefix("sha256:"))
        for digest, data in blobs.items():
            assert hashlib.sha256(data).hexdigest() == digest
            code, headers = self.request("POST", f"/v2/{name}/blobs/uploads/")
            assert code == 202
            place = headers["location"].removeprefix(f"http://{self.host}")
            code, _ = self.request(
                "PUT", f"{place}&digest=sha256:{digest}", data, **{"Content-Type": "application/octet-stream"}
            )
            assert code == 201, code
        kind = {"Content-Type": "application/vnd.oci.image.manifest.v1+json"}
        code, _ = self.request("PUT", f"/v2/{name}/manifests/{tag}", manifest, **kind)
        assert code == 201, code

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(10)


@pytest.fixture
def registry(tmp_path: Path, machine: Path) -> Iterator[Registry]:
    made = Registry(tmp_path)
    made.push(kit.busybox(machine), "team/tool", "v1")
    yield made
    made.end()


@pytest.fixture
def closed_registry(tmp_path: Path, machine: Path) -> Iterator[Registry]:
    made = Registry(tmp_path, HASH)
    made.push(kit.busybox(machine), "secret/tool", "v1")
    yield made
    made.end()


def test_pull(lab: Lab, registry: Registry) -> None:
    image = f"{registry.host}/team/tool:v1"
    lab.apply(pod("pulled", container(image=image, imagePullPolicy="Always")))
    found = lab.ready("pulled")
    assert container_status(found)["imageID"].startswith(f"{registry.host}/team/tool@sha256:")
    assert image in lab.pelamis("image list").stdout.splitlines()
    items = lab.call("GET", "/api/v1/namespaces/default/events?fieldSelector=involvedObject.name%3Dpulled")["items"]
    messages = {item["reason"]: item["message"] for item in items}
    assert messages["Pulling"] == f'Pulling image "{image}"'
    assert messages["Pulled"].startswith(f'Successfully pulled image "{image}" in ')
    lab.apply(pod("absent", container(image=f"{registry.host}/team/tool:v2")))

    def message() -> str:
        waiting = container_status(lab.get("pods", "absent"))["state"]["waiting"]
        return str(waiting["message"]) if waiting["reason"] == "ErrImagePull" else ""

    assert "not found" in until(message, "ErrImagePull")
    lab.kubectl("delete", "pod", "pulled", "absent", "--wait=false")


def test_pull_secret(lab: Lab, closed_registry: Registry) -> None:
    image = f"{closed_registry.host}/secret/tool:v1"
    lab.apply(pod("stranger", container(image=image)))
    until(lambda: "waiting" in container_status(lab.get("pods", "stranger"))["state"], "it waits")

    def refused() -> bool:
        waiting = container_status(lab.get("pods", "stranger"))["state"]["waiting"]
        return waiting["reason"] in ("ErrImagePull", "ImagePullBackOff")

    until(refused, "it is refused without a password")
    login = {"auths": {closed_registry.host: {"username": "who", "password": "opensesame"}}}
    lab.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/dockerconfigjson",
            "metadata": metadata("login"),
            "data": {".dockerconfigjson": base64.b64encode(json.dumps(login).encode()).decode()},
        },
        pod("member", container(image=image), imagePullSecrets=[{"name": "login"}]),
    )
    lab.ready("member")
    lab.kubectl("delete", "pod/stranger", "pod/member", "secret/login", "--wait=false")
