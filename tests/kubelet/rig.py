"""A private containerd in a temporary directory, with a pause and a busybox image built on the spot."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

PAUSE = "localhost/pause:1"
BUSYBOX = "localhost/busybox:1"
_CONFIG = """version = 2
root = "{dir}/root"
state = "{dir}/state"
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
  address = "{dir}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "{snapshotter}"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{dir}/cni"
"""


def missing() -> str:
    """What the machine lacks for real containers; "" when nothing."""
    if os.geteuid() != 0:
        return "root"
    for tool in ("containerd", "ctr", "runc", "busybox"):
        if shutil.which(tool) is None:
            return tool
    if not Path("/usr/lib/cni/bridge").exists():
        return "containernetworking-plugins"
    return ""


def image_tar(name: str, entrypoint: list[str], path: Path) -> None:
    """An OCI layout with one layer that holds /bin/busybox and its applets."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        for folder in ("bin", "etc", "tmp", "root", "proc", "sys", "dev"):
            info = tarfile.TarInfo(folder)
            info.type, info.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            tar.addfile(info)
        tar.add(str(shutil.which("busybox")), "bin/busybox")
        applets = subprocess.run(["busybox", "--list"], capture_output=True, text=True, check=True).stdout.split()
        for applet in applets:
            if applet != "busybox":
                info = tarfile.TarInfo(f"bin/{applet}")
                info.type, info.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(info)
        for file, text in (
            ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1000::/:/bin/sh\n"),
            ("etc/group", "root:x:0:\nweb:x:1000:\n"),
        ):
            info = tarfile.TarInfo(file)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    blobs: dict[str, bytes] = {}

    def blob(data: bytes, kind: str) -> dict[str, object]:
        digest = hashlib.sha256(data).hexdigest()
        blobs[digest] = data
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(data)}

    layer_ref = blob(layer.getvalue(), "application/vnd.oci.image.layer.v1.tar")
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": entrypoint, "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [layer_ref["digest"]]},
    }
    config_ref = blob(json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json")
    manifest = {"schemaVersion": 2, "config": config_ref, "layers": [layer_ref]}
    manifest_ref = blob(json.dumps(manifest).encode(), "application/vnd.oci.image.manifest.v1+json")
    manifest_ref["annotations"] = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name}
    index = {"schemaVersion": 2, "manifests": [manifest_ref]}
    with tarfile.open(path, "w") as tar:
        files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": json.dumps(index).encode()}
        files.update({f"blobs/sha256/{digest}": data for digest, data in blobs.items()})
        for file, data in files.items():
            info = tarfile.TarInfo(file)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


class Rig:
    """``async with Rig() as rig``: rig.socket answers CRI; everything is gone afterwards."""

    def __init__(self, tag: str = "") -> None:
        self.dir = Path(tempfile.mkdtemp(prefix="pelamis-kubelet-"))
        self.tag = tag or self.dir.name[-6:]
        self.bridge = f"pk{self.tag}"[:15]
        number = int(hashlib.sha256(self.tag.encode()).hexdigest(), 16)
        self.subnet = f"10.{200 + number % 40}.{number // 40 % 250}.0/24"
        self.socket = str(self.dir / "containerd.sock")
        self.process: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> Rig:
        (self.dir / "cni").mkdir()
        conf = {
            "cniVersion": "0.4.0",
            "name": self.bridge,
            "plugins": [
                {
                    "type": "bridge",
                    "bridge": self.bridge,
                    "isGateway": True,
                    "ipMasq": False,
                    "hairpinMode": True,
                    "ipam": {
                        "type": "host-local",
                        "subnet": self.subnet,
                        "dataDir": str(self.dir / "ipam"),
                        "routes": [{"dst": "0.0.0.0/0"}],
                    },
                },
            ],
        }
        (self.dir / "cni/10-bridge.conflist").write_text(json.dumps(conf))
        config = self.dir / "config.toml"
        config.write_text(_CONFIG.format(dir=self.dir, pause=PAUSE, snapshotter="overlayfs"))
        self._spawn(config)
        for _ in range(200):
            if self._listens():
                break
            await asyncio.sleep(0.02)
        for name, entrypoint in ((PAUSE, ["/bin/sleep", "2147483647"]), (BUSYBOX, ["/bin/sh"])):
            tar = self.dir / "image.tar"
            image_tar(name, entrypoint, tar)
            await self.ctr("images", "import", str(tar))
        return self

    async def ctr(self, *args: str) -> str:
        process = await asyncio.create_subprocess_exec(
            "ctr",
            "-a",
            self.socket,
            "-n",
            "k8s.io",
            *args,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        if process.returncode:
            raise RuntimeError(f"ctr {args}: {err.decode()}")
        return out.decode()

    async def __aexit__(self, *_: object) -> None:
        from pelamis.kubelet.cri.client import CriClient

        runtime = CriClient(self.socket)
        try:
            for sandbox in await runtime.list_sandboxes():
                await runtime.stop_sandbox(sandbox.id)
                await runtime.remove_sandbox(sandbox.id)
        finally:
            await runtime.close()
            self._tear_down()

    def _spawn(self, config: Path) -> None:
        with (self.dir / "containerd.log").open("wb") as log:
            self.process = subprocess.Popen(["containerd", "--config", str(config)], stdout=log, stderr=log)

    def _listens(self) -> bool:
        return Path(self.socket).exists()

    def _tear_down(self) -> None:
        assert self.process is not None
        self.process.terminate()
        self.process.wait(10)
        subprocess.run(["ip", "link", "delete", self.bridge], capture_output=True)
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in sorted((m for m in mounts if m.startswith(f"{self.dir}/")), reverse=True):
            subprocess.run(["umount", "-l", mount], capture_output=True)
        shutil.rmtree(self.dir, ignore_errors=True)
