"""Makes the image nginx:1.19 available to the cluster: pulled where a registry answers, else built from Debian's nginx.

Building downloads Debian's nginx and everything it depends on (nothing is installed on this machine), unpacks the
packages into a directory, adds a shell, and loads the result as nginx:1.19.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from pelamis.main.config import base_dir, load
from pelamis.main.image import Spec, build, full_name, names
from pelamis.main.image import load as load_image

NAME = "nginx:1.19"
PACKAGES = ("nginx", "busybox-static", "curl", "ca-certificates")
UNUSED = (
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "usr/share/info",
    "usr/share/perl",
    "usr/lib/x86_64-linux-gnu/perl-base",
)
CONF = b"""user www-data;
worker_processes auto;
pid /run/nginx.pid;
error_log /dev/stderr notice;
events { worker_connections 1024; }
http {
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    access_log /dev/stdout;
    sendfile on;
    keepalive_timeout 65;
    server {
        listen 80;
        location / { root /usr/share/nginx/html; index index.html; }
    }
}
"""
PAGE = b"""<!DOCTYPE html>
<html><head><title>Welcome to nginx!</title></head>
<body><h1>Welcome to nginx!</h1><p>This page is served by a pod.</p></body></html>
"""


def run(*command: str, cwd: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"`{' '.join(command)}` failed:\n{done.stderr.strip()[-2000:]}")


def pull(socket: Path) -> bool:
    """Tries the registry for a few seconds."""
    command = ["ctr", "--address", str(socket), "--namespace", "k8s.io", "images", "pull", "-q", full_name(NAME)]
    try:
        return subprocess.run(command, capture_output=True, timeout=20, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def unpack(folder: Path) -> Path:
    """The root file system: Debian's packages with all they depend on, unpacked side by side."""
    archives, root = folder / "archives", folder / "root"
    (archives / "partial").mkdir(parents=True)
    root.mkdir()
    status = folder / "status"
    status.write_text("")  # pretend that nothing is installed, so that every dependency is downloaded
    if not any(Path("/var/lib/apt/lists").glob("*Packages*")):
        run("apt-get", "update", "-q")
    print(f"downloading {', '.join(PACKAGES)} and what they depend on …", flush=True)
    run(
        "apt-get",
        "-q",
        "-y",
        "--no-install-recommends",
        "--download-only",
        "-o",
        f"Dir::State::status={status}",
        "-o",
        f"Dir::Cache::archives={archives}",
        "-o",
        "APT::Sandbox::User=root",
        "install",
        *PACKAGES,
    )
    packages = sorted(archives.glob("*.deb"))
    print(f"unpacking {len(packages)} packages …", flush=True)
    for package in packages:
        run("dpkg-deb", "-x", str(package), str(root))
    for name in UNUSED:
        shutil.rmtree(root / name, ignore_errors=True)
    return root


def furnish(root: Path) -> Spec:
    """Users, configuration, a page, and a shell with the usual tools."""
    busybox = next(path for path in (root / "bin/busybox", root / "usr/bin/busybox") if path.exists())
    tools = subprocess.run([str(busybox), "--list"], capture_output=True, text=True, check=True).stdout.split()
    links = {}
    for tool in tools:
        if tool == "busybox":
            continue
        if not any((root / folder / tool).exists() for folder in ("bin", "usr/bin", "sbin", "usr/sbin")):
            links[f"usr/bin/{tool}" if (root / "bin").is_symlink() else f"bin/{tool}"] = "/bin/busybox"
    return Spec(
        NAME,
        entrypoint=("nginx",),
        cmd=("-g", "daemon off;"),
        ports=("80/tcp",),
        stop_signal="SIGQUIT",
        files={
            "etc/passwd": (
                0o644,
                b"root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33::/var/www:/usr/sbin/nologin\nnobody:x:65534:65534::/:/usr/sbin/nologin\n",
            ),
            "etc/group": (0o644, b"root:x:0:\nadm:x:4:\nwww-data:x:33:\nnogroup:x:65534:\n"),
            "etc/nsswitch.conf": (0o644, b"passwd: files\ngroup: files\nhosts: files dns\n"),
            "etc/nginx/nginx.conf": (0o644, CONF),
            "usr/share/nginx/html/index.html": (0o644, PAGE),
        },
        links=links,
        folders={
            "var/log/nginx": 0o755,
            "var/lib/nginx": 0o755,
            "run": 0o755,
            "tmp": 0o1777,
            "root": 0o700,
            "var/www": 0o755,
        },
    )


def main() -> int:
    cluster = load(base_dir() / "default")
    if cluster is None:
        raise SystemExit("there is no cluster: run `pelamis up` first")
    socket = cluster.containerd_socket
    if full_name(NAME) in names(socket):
        print(f"{NAME} is there already")
        return 0
    if os.environ.get("PELAMIS_PULL", "yes") != "no" and pull(socket):
        print(f"{NAME} was pulled from its registry")
        return 0
    print(f"no registry answers: {NAME} is built from Debian's nginx package", flush=True)
    with tempfile.TemporaryDirectory(prefix="pelamis-image-") as folder:
        root = unpack(Path(folder))
        archive = build(furnish(root), root)
    print(f"loading {len(archive) / 2**20:.0f} MiB …", flush=True)
    load_image(socket, archive)
    print(f"{NAME} is loaded")
    return 0


if __name__ == "__main__":
    sys.exit(main())
