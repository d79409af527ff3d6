"""What the flags about the datastore mean, and what is said when they cannot be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pelamis.main import config
from pelamis.main.config import Cluster, ConfigError
from pelamis.main.datastore import SHARED_KEYS, copy_keys, endpoints, joined, make_store, with_datastore

ETCD = "etcd=http://127.0.0.1:2379"


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return config.create("t", tmp_path / "t", port=None, node=False, node_name="here")


def test_endpoints() -> None:
    assert endpoints("etcd=http://a:1,http://b") == ["http://a:1", "http://b"]
    assert endpoints("etcd=https://[::1]:2379/") == ["https://[::1]:2379"]


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("sqlite", {}, "the only datastore besides the built-in one is etcd"),
        ("etcd=", {}, "no address"),
        ("etcd=localhost:2379", {}, "must begin with http:// or https://"),
        ("etcd=http://a:x", {}, "is not an address"),
        ("etcd=http://u:p@a", {}, "--datastore-user"),
        ("etcd=http://a/b", {}, "no path"),
        ("etcd=http://a,https://b", {}, "all addresses"),
        (None, {"datastore_ca": "x"}, "--datastore-ca needs --datastore"),
        (ETCD, {"datastore_ca": "x"}, "need https://"),
        ("etcd=https://a", {"datastore_cert": "x"}, "give both"),
        (ETCD, {"datastore_user": "x"}, "give both"),
    ],
)
def test_mistakes(cluster: Cluster, text: str | None, options: dict[str, str | None], said: str) -> None:
    with pytest.raises(ConfigError, match=said.replace("(", r"\(")):
        with_datastore(cluster, text, options)


def test_a_store_in_a_file_is_not_left_behind(cluster: Cluster) -> None:
    cluster.path("store").mkdir(parents=True)
    with pytest.raises(ConfigError, match="cannot be moved to etcd"):
        with_datastore(cluster, ETCD, {})
    assert with_datastore(cluster, None, {"datastore_ca": None}) == cluster


def test_what_is_given_is_kept(cluster: Cluster) -> None:
    found = with_datastore(cluster, "etcd=https://a", {"datastore_ca": "ca.crt"})
    assert found.datastore_ca == str(Path("ca.crt").resolve())
    found.save()
    assert config.load(Path(found.data)) == found
    with pytest.raises(ConfigError, match=r"ca\.crt cannot be used for the datastore"):
        make_store(found)


def test_a_further_server_has_the_same_keys_and_ranges(cluster: Cluster, tmp_path: Path) -> None:
    other = replace(cluster, name="o", data=str(tmp_path / "o"), service_cidr="10.1.0.0/16", datastore=ETCD)
    assert joined(cluster, other).service_cidr == "10.1.0.0/16"
    with pytest.raises(ConfigError, match="file of its own"):
        joined(cluster, replace(other, datastore=""))
    with pytest.raises(ConfigError, match=r"needs .*ca\.crt"):
        copy_keys(cluster, Path(other.data))
    (tmp_path / "o" / "pki").mkdir(parents=True)
    for name in SHARED_KEYS:
        (tmp_path / "o" / "pki" / name).write_text(name)
    copy_keys(cluster, Path(other.data))
    assert cluster.path("pki", "sa.key").read_text() == "sa.key"
    assert cluster.path("pki", "ca.key").stat().st_mode & 0o777 == 0o600
