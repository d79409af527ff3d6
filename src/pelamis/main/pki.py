"""The certificates and keys of a cluster, made once and kept below ``<data>/pki``.

One CA signs server and client certificates, a second one the front proxy's; a separate key signs service account
tokens. Keys are ECDSA P-256: making one takes a millisecond where RSA takes hundreds. CAs last ten years, leaves
one year; leaves are renewed at start when less than a third of their life is left.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

YEAR_S = 365 * 86400
Names = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """Paths of a PEM certificate and its key."""

    cert: Path
    key: Path


def _utc(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)


def _write(path: Path, data: bytes, mode: int) -> None:
    """Whole or not at all: a crash never leaves half a key."""
    temporary = path.with_name(path.name + ".new")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
    temporary.replace(path)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


class Authority:
    """A certificate authority kept in two files; made when they are absent."""

    def __init__(self, folder: Path, name: str, now: float) -> None:
        self.pair = Pair(folder / f"{name}.crt", folder / f"{name}.key")
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not (self.pair.cert.exists() and self.pair.key.exists()):
            self._make(f"pelamis-{name}", now)
        self.cert = x509.load_pem_x509_certificate(self.pair.cert.read_bytes())
        key = serialization.load_pem_private_key(self.pair.key.read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        self.key = key

    def _make(self, common_name: str, now: float) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        cert = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(_utc(now - 3600))
            .not_valid_after(_utc(now + 10 * YEAR_S))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(
                x509.KeyUsage(True, False, True, False, False, True, True, False, False),
                critical=True,
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        _write(self.pair.key, _pem(key), 0o600)
        _write(self.pair.cert, cert.public_bytes(serialization.Encoding.PEM), 0o644)

    def leaf(
        self, folder: Path, name: str, common_name: str, now: float, *, groups: Names = (), hosts: Names = ()
    ) -> Pair:
        """A certificate for a client (``groups``: its organisations) and, where ``hosts`` is given, a server.

        hosts: DNS names and IP addresses. Kept until a third of its life is left or the hosts change.
        """
        pair = Pair(folder / f"{name}.crt", folder / f"{name}.key")
        if pair.cert.exists() and pair.key.exists() and self._usable(pair.cert, hosts, now):
            return pair
        key = ec.generate_private_key(ec.SECP256R1())
        subject = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
        subject.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name))
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH]
        if hosts:
            usages.append(ExtendedKeyUsageOID.SERVER_AUTH)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name(subject))
            .issuer_name(self.cert.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(_utc(now - 3600))
            .not_valid_after(_utc(now + YEAR_S))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.KeyUsage(True, False, True, False, False, False, False, False, False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        if hosts:
            builder = builder.add_extension(x509.SubjectAlternativeName([_host(h) for h in hosts]), critical=False)
        cert = builder.sign(self.key, hashes.SHA256())
        _write(pair.key, _pem(key), 0o600)
        _write(pair.cert, cert.public_bytes(serialization.Encoding.PEM), 0o644)
        return pair

    def _usable(self, path: Path, hosts: Names, now: float) -> bool:
        cert = x509.load_pem_x509_certificate(path.read_bytes())
        if cert.issuer != self.cert.subject or cert.not_valid_after_utc.timestamp() - now < YEAR_S / 3:
            return False
        try:
            cert.verify_directly_issued_by(self.cert)
        except Exception:
            return False
        if not hosts:
            return True
        try:
            names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            return False
        return set(names) == {_host(h) for h in hosts}


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


@dataclass(frozen=True, slots=True)
class Pki:
    """Everything that the processes of a cluster load."""

    ca: Pair
    front_proxy_ca: Pair
    server: Pair
    admin: Pair
    kubelet_client: Pair
    """How the API server shows itself to kubelets."""
    front_proxy_client: Pair
    node: Pair
    """The node's identity for the API and its serving certificate."""
    service_account: Path


def ensure(folder: Path, now: float, *, server_hosts: Names, node_name: str, node_hosts: Names) -> Pki:
    """Loads what is there and makes what is missing or about to expire."""
    ca = Authority(folder, "ca", now)
    proxy_ca = Authority(folder, "front-proxy-ca", now)
    signer = folder / "sa.key"
    if not signer.exists():
        _write(signer, _pem(ec.generate_private_key(ec.SECP256R1())), 0o600)
    return Pki(
        ca=ca.pair,
        front_proxy_ca=proxy_ca.pair,
        server=ca.leaf(folder, "apiserver", "kube-apiserver", now, hosts=server_hosts),
        admin=ca.leaf(folder, "admin", "kubernetes-admin", now, groups=("system:masters",)),
        kubelet_client=ca.leaf(
            folder, "apiserver-kubelet-client", "kube-apiserver-kubelet-client", now, groups=("system:masters",)
        ),
        front_proxy_client=proxy_ca.leaf(folder, "front-proxy-client", "front-proxy-client", now),
        node=ca.leaf(
            folder, "node", f"system:node:{node_name}", now, groups=("system:nodes",), hosts=(node_name, *node_hosts)
        ),
        service_account=signer,
    )
