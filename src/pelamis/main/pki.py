"""The certificates and keys of a cluster, made once and kept below ``<data>/pki``.

One CA signs server and client certificates, a second one the front proxy's; a separate key signs service account
tokens. CAs last ten years, leaves one year; a leaf is renewed at start when less than a third of its life is left or
its hosts have changed.

Keys are ECDSA, made in a millisecond. Only the administrator's is RSA: it goes into the kubeconfig that every client
library reads, and some (fabric8 for Java) read no other without further libraries.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from pelamis.net import tls
from pelamis.net.tls import YEAR_S, Authority, Pair

Names = tuple[str, ...]
LOCAL_STORAGE_USER = "pelamis:local-storage"


@dataclass(frozen=True, slots=True)
class Pki:
    """Everything that the processes of a cluster load, as PEM."""

    ca: Pair
    front_proxy_ca: Pair
    server: Pair
    admin: Pair
    kubelet_client: Pair
    """How the API server shows itself to kubelets."""
    front_proxy_client: Pair
    node: Pair
    """The node's identity for the API and its serving certificate."""
    proxy: Pair
    """The identity of each node's service proxy and DNS."""
    local_storage: Pair
    """The identity of each node's provisioner of local volumes."""
    service_account_key: bytes


def _write(path: Path, data: bytes, mode: int) -> None:
    """Whole or not at all: a crash never leaves half a key."""
    temporary = path.with_name(path.name + ".new")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
    temporary.replace(path)


def load(folder: Path, name: str) -> Pair | None:
    """A pair that was kept before; None when it is not there or only in half."""
    try:
        return Pair((folder / f"{name}.crt").read_bytes(), (folder / f"{name}.key").read_bytes())
    except FileNotFoundError:
        return None


def _keep(folder: Path, name: str, pair: Pair) -> Pair:
    _write(folder / f"{name}.key", pair.key, 0o600)
    _write(folder / f"{name}.crt", pair.cert, 0o644)
    return pair


def _authority(folder: Path, name: str, now: float) -> Authority:
    kept = load(folder, name)
    return Authority(kept or _keep(folder, name, tls.new_authority(f"pelamis-{name}", now)))


def _usable(authority: Authority, pair: Pair, hosts: Names, now: float) -> bool:
    cert = x509.load_pem_x509_certificate(pair.cert)
    if cert.not_valid_after_utc.timestamp() - now < YEAR_S / 3:
        return False
    try:
        cert.verify_directly_issued_by(authority.cert)
    except Exception:  # the library raises several kinds, all of which mean: not ours
        return False
    return tls.hosts(cert) == set(hosts)


def hollow(folder: Path, now: float, user: str, hosts: Names) -> tuple[Pair, Pair]:
    """The identity of the process of hollow nodes, and its serving certificate for all their addresses.

    They are two: the API server keeps what each of hundreds of connections shows, and the addresses are thousands.
    """
    authority = _authority(folder, "ca", now)

    def leaf(name: str, hosts: Names) -> Pair:
        kept = load(folder, name)
        if kept is not None and _usable(authority, kept, hosts, now):
            return kept
        return _keep(folder, name, authority.issue(user, now, hosts=hosts, server=bool(hosts), client=not hosts))

    return leaf("hollow", ()), leaf("hollow-server", hosts)


def ensure(folder: Path, now: float, *, server_hosts: Names, node_name: str, node_hosts: Names) -> Pki:
    """Loads what is there and makes what is missing or about to expire."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    ca = _authority(folder, "ca", now)
    proxy_ca = _authority(folder, "front-proxy-ca", now)

    def leaf(
        authority: Authority, name: str, user: str, groups: Names = (), hosts: Names = (), rsa: bool = False
    ) -> Pair:
        kept = load(folder, name)
        if kept is not None and _usable(authority, kept, hosts, now):
            return kept
        server = bool(hosts)
        made = authority.issue(user, now, organizations=groups, hosts=hosts, server=server, client=True, rsa_key=rsa)
        return _keep(folder, name, made)

    signer = folder / "sa.key"
    if not signer.exists():
        _write(signer, tls.key_pem(tls.new_key()), 0o600)
    return Pki(
        ca=ca.pair,
        front_proxy_ca=proxy_ca.pair,
        server=leaf(ca, "apiserver", "kube-apiserver", hosts=server_hosts),
        admin=leaf(ca, "admin", "kubernetes-admin", ("system:masters",), rsa=True),
        kubelet_client=leaf(ca, "apiserver-kubelet-client", "kube-apiserver-kubelet-client", ("system:masters",)),
        front_proxy_client=leaf(proxy_ca, "front-proxy-client", "front-proxy-client"),
        node=leaf(ca, "node", f"system:node:{node_name}", ("system:nodes",), (node_name, *node_hosts)),
        proxy=leaf(ca, "kube-proxy", "system:kube-proxy"),
        local_storage=leaf(ca, "local-storage", LOCAL_STORAGE_USER),
        service_account_key=signer.read_bytes(),
    )
