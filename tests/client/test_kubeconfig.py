from __future__ import annotations

import base64
from pathlib import Path

import pytest
import yaml

from pelamis.client.kubeconfig import KubeconfigError, merge_file, paths, read, remove_context, resolve, write

OTHERS = """
apiVersion: v1
kind: Config
current-context: work
extensions: [{name: keep, extension: {a: 1}}]
clusters:
- name: work
  cluster: {server: "https://work:6443", certificate-authority: ca.pem, extensions: [x]}
users:
- name: me
  user: {token: t, as: boss, as-groups: [g], exec: {command: login}}
contexts:
- name: work
  context: {cluster: work, user: me, namespace: team}
"""


def test_merging_keeps_everything_else(tmp_path: Path) -> None:
    target, own = tmp_path / "config", tmp_path / "own"
    target.write_text(OTHERS)
    target.chmod(0o640)
    before = yaml.safe_load(OTHERS)
    write(own, "pelamis", "https://127.0.0.1:6443", ca=b"CA", cert=b"CERT", key=b"KEY")
    for _ in range(2):
        merge_file(own, target)
    tree = yaml.safe_load(target.read_text())
    assert [c["name"] for c in tree["clusters"]] == ["work", "pelamis"]
    assert (tree["current-context"], tree["extensions"]) == ("pelamis", before["extensions"])
    access = resolve(read([target]))
    assert (access.server, access.ca, access.cert, access.key) == ("https://127.0.0.1:6443", b"CA", b"CERT", b"KEY")
    remove_context(target, "pelamis")
    remove_context(target, "pelamis")
    assert yaml.safe_load(target.read_text()) == {**before, "current-context": ""}
    assert target.stat().st_mode & 0o777 == 0o640
    assert sorted(p.name for p in tmp_path.iterdir()) == ["config", "own"]


def test_a_new_file_is_private_and_a_link_stays_one(tmp_path: Path) -> None:
    own, link = tmp_path / "own", tmp_path / "link"
    write(own, "a", "https://x", ca=b"", token="t")
    merge_file(own, tmp_path / "sub" / "config")
    assert (tmp_path / "sub" / "config").stat().st_mode & 0o777 == 0o600
    link.symlink_to(tmp_path / "sub" / "config")
    remove_context(link, "a")
    assert link.is_symlink()
    assert read([link])["contexts"] == []


def test_removing_keeps_what_another_context_uses(tmp_path: Path) -> None:
    path = tmp_path / "config"
    tree = yaml.safe_load(OTHERS)
    tree["contexts"].append({"name": "second", "context": {"cluster": "work", "user": "other"}})
    path.write_text(yaml.safe_dump(tree))
    remove_context(path, "work")
    left = yaml.safe_load(path.read_text())
    assert [c["name"] for c in left["clusters"]] == ["work"]
    assert left["users"] == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "error loading config file"),
        ("- 1", "it is not a kubeconfig"),
        ("clusters: [1]", "an entry of clusters is not an object"),
    ],
)
def test_a_file_that_cannot_be_read_is_left_alone(tmp_path: Path, text: str, message: str) -> None:
    path, own = tmp_path / "config", tmp_path / "own"
    path.write_text(text)
    write(own, "a", "https://x", ca=b"")
    with pytest.raises(KubeconfigError, match=message):
        merge_file(own, path)
    assert path.read_text() == text
    (tmp_path / "config.lock").touch()
    with pytest.raises(KubeconfigError, match="changed by another program"):
        merge_file(own, path)


def test_reading_follows_kubectl(tmp_path: Path) -> None:
    first, second = tmp_path / "a" / "config", tmp_path / "b"
    first.parent.mkdir()
    first.write_text(OTHERS)
    (first.parent / "ca.pem").write_bytes(b"PEM")
    data = base64.b64encode(b"INLINE").decode()
    second.write_text(
        "current-context: late\n"
        "clusters:\n- {name: work, cluster: {server: no}}\n"
        f"- {{name: late, cluster: {{server: l, certificate-authority-data: {data}}}}}\n"
        "contexts: [{name: late, context: {cluster: late}}, {name: broken, context: {cluster: gone}}]\n"
    )
    environ = {"KUBECONFIG": f"{first}:{tmp_path / 'missing'}:{second}"}
    tree = read(paths(environ))
    access = resolve(tree)
    assert (access.server, access.ca, access.namespace, access.token) == ("https://work:6443", b"PEM", "team", "t")
    assert access.headers() == [
        ("Authorization", "Bearer t"),
        ("Impersonate-User", "boss"),
        ("Impersonate-Group", "g"),
    ]
    assert access.exec == {"command": "login"}
    late = resolve(tree, context="late", user="me")
    assert (late.ca, late.token) == (b"INLINE", "t")
    for arguments, message in (
        ({"context": "none"}, 'context "none" does not exist'),
        ({"context": "broken"}, 'cluster "gone" does not exist'),
        ({"user": "nobody"}, 'auth info "nobody" does not exist'),
    ):
        with pytest.raises(KubeconfigError, match=message):
            resolve(tree, **arguments)
    with pytest.raises(KubeconfigError, match="no cluster is configured"):
        resolve(read([tmp_path / "missing"]))
