"""Names, ranges and data directories: what is taken, refused, and left alone."""

from __future__ import annotations

import json
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from pelamis.main import config
from pelamis.main.config import Cluster, ConfigError, check_name, create, load


@pytest.mark.parametrize("name", ["default", "a", "e2e-1", "x" * 32])
def test_good_names(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a_b", "a/b", "..", "x" * 33, "ä"])
def test_bad_names_say_what_is_allowed(name: str) -> None:
    with pytest.raises(ConfigError, match="cannot name a cluster: use lower-case"):
        check_name(name)


def made(base: Path, name: str, port: int | None = None) -> Cluster:
    cluster = create(name, base / name, port=port, node=True, node_name=f"n-{name}")
    cluster.save()
    return cluster


def test_clusters_beside_each_other_share_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "base_dir", lambda: tmp_path)
    clusters = [made(tmp_path, f"c{i}") for i in range(40)]
    taken = {cluster.index for cluster in clusters}
    assert len(taken) == 40
    for what in ("port", "kubelet_port", "pod_cidr", "service_cidr", "bridge", "nft_table", "context", "dns_ip"):
        assert len({getattr(cluster, what) for cluster in clusters}) == 40, what
    ranges = [IPv4Network(cidr) for c in clusters if c.index for cidr in (c.pod_cidr, c.service_cidr)]
    for i, one in enumerate(ranges):
        assert not any(one.overlaps(other) for other in ranges[i + 1 :])
    assert all(0 < c.port < 65536 and 0 < c.kubelet_port < 65536 for c in clusters)


def test_every_range_is_valid() -> None:
    for index in range(100):
        service = IPv4Network(f"172.{30 - index // 16}.{16 * (index % 16)}.0/20")
        assert service.subnet_of(IPv4Network("172.16.0.0/12"))


def test_saved_and_loaded(tmp_path: Path) -> None:
    cluster = create("x", tmp_path / "x", port=7000, node=False, node_name="n")
    cluster.save()
    assert load(tmp_path / "x") == cluster
    assert load(tmp_path / "none") is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"format": 99}', "written by another version of Pelamis (its format is 99"),
        ("{}", "not readable as JSON of a cluster"),
        ("nonsense", "not readable as JSON of a cluster"),
        ("[]", "not readable as JSON of a cluster"),
    ],
)
def test_foreign_data_is_refused_and_kept(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "cluster.json").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path)
    assert says in str(caught.value)
    assert (tmp_path / "cluster.json").read_text() == text


def test_store_without_its_description_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    with pytest.raises(ConfigError, match=r"holds a store but no cluster\.json"):
        load(tmp_path)


def test_unknown_member_is_refused(tmp_path: Path) -> None:
    cluster = create("x", tmp_path, port=1, node=False, node_name="n")
    cluster.save()
    tree = json.loads((tmp_path / "cluster.json").read_text())
    (tmp_path / "cluster.json").write_text(json.dumps({**tree, "color": "red"}))
    with pytest.raises(ConfigError):
        load(tmp_path)
