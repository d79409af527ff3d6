"""The keys of a cluster: which kind, and when they are kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from pelamis.main import pki
from pelamis.net import tls

NOW = 1_700_000_000.0


def test_the_administrators_key_is_one_that_every_client_library_reads(tmp_path: Path) -> None:
    kwargs = {"server_hosts": ("localhost",), "node_name": "n", "node_hosts": ("127.0.0.1",)}
    keys = pki.ensure(tmp_path, NOW, **kwargs)  # type: ignore[arg-type]
    assert keys.admin.key.startswith(b"-----BEGIN RSA PRIVATE KEY-----")
    assert isinstance(load_pem_private_key(keys.admin.key, None), rsa.RSAPrivateKey)
    assert isinstance(load_pem_private_key(keys.node.key, None), ec.EllipticCurvePrivateKey)
    tls.client_context(keys.ca.cert, keys.admin)
    assert pki.ensure(tmp_path, NOW, **kwargs) == keys, "kept"  # type: ignore[arg-type]


@pytest.mark.parametrize(("later_s", "same"), [(tls.YEAR_S / 2, True), (tls.YEAR_S * 0.7, False)])
def test_leaves_are_renewed_in_the_last_third_of_their_life(tmp_path: Path, later_s: float, same: bool) -> None:
    kwargs = {"server_hosts": ("localhost",), "node_name": "n", "node_hosts": ("127.0.0.1",)}
    keys = pki.ensure(tmp_path, NOW, **kwargs)  # type: ignore[arg-type]
    later = pki.ensure(tmp_path, NOW + later_s, **kwargs)  # type: ignore[arg-type]
    assert (later.admin == keys.admin, later.ca) == (same, keys.ca)


def test_hollow_nodes_speak_with_a_certificate_that_does_not_name_them_all(tmp_path: Path) -> None:
    hosts = tuple(f"10.0.0.{i}" for i in range(1, 200))
    own, serving = pki.hollow(tmp_path, NOW, "hollow", hosts)
    shown = [x509.load_pem_x509_certificate(pair.cert) for pair in (own, serving)]
    assert [tls.hosts(cert) for cert in shown] == [set(), set(hosts)]
    assert pki.hollow(tmp_path, NOW, "hollow", hosts) == (own, serving)
    again = pki.hollow(tmp_path, NOW, "hollow", hosts[:3])
    assert again[0] == own and again[1] != serving
