"""Every built-in kind, in every version, by one journey: verbs, forms of a body, patches, lists, watches, removal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pytest
import yaml

from pelamis.api import codec, protobuf
from pelamis.api.field import Tree
from pelamis.api.kind import Kind
from tests.conformance import corpus
from tests.conformance.conftest import PROTOBUF, TABLE, YAML, Api
from tests.conformance.status import STATUS

RUNTIME_CONFIG = "api/all=true"
KINDS = corpus.every_kind()
NAMESPACE = "conformance"
CONFLICT = "the object has been modified; please apply your changes to the latest version and try again"
_FIRST = "Namespace", "ServiceAccount", "Secret"
PATCHES: dict[str, Callable[[Kind], Any]] = {
    "application/json-patch+json": lambda k: [{"op": "add", "path": "/metadata/labels/patched", "value": "json"}],
    "application/merge-patch+json": lambda k: {"metadata": {"labels": {"patched": "merge"}}},
    "application/strategic-merge-patch+json": lambda k: {"metadata": {"labels": {"patched": "strategic"}}},
    "application/apply-patch+yaml": lambda k: {
        "apiVersion": k.api_version,
        "kind": k.kind,
        "metadata": {"labels": {"patched": "apply"}},
    },
}
_LABELS_FIXED: frozenset[str] = frozenset()


def folder(kind: Kind, namespace: str = NAMESPACE) -> str:
    root = f"/apis/{kind.api_version}" if kind.group else "/api/v1"
    return f"{root}/namespaces/{namespace}/{kind.plural}" if kind.namespaced else f"{root}/{kind.plural}"


def renamed(tree: Tree, name: str) -> Tree:
    return {**tree, "metadata": {**tree["metadata"], "name": name}}


def other(kind: Kind, tree: Tree) -> Tree:
    """The same object as another one: a second name, and whatever may not be had twice made different."""
    name = tree["metadata"]["name"]
    if kind.kind == "APIService":
        return {**renamed(tree, "v2.nothing.example.test"), "spec": {**tree["spec"], "version": "v2"}}
    if kind.kind == "CustomResourceDefinition":
        text = msgspec.json.encode(tree).replace(b"full.example.test", b"other.example.test")
        return msgspec.json.decode(text)  # type: ignore[no-any-return]
    if kind.kind == "IPAddress":
        return renamed(tree, "192.0.2.78")
    if kind.kind == "StorageVersion":
        return renamed(tree, "other.example.test.things")
    if kind.kind == "ServiceCIDR":
        return {**renamed(tree, "other"), "spec": {"cidrs": ["192.0.2.16/28"]}}
    return renamed(tree, name + "2")


def essence(tree: Any) -> Any:
    """An object without what two objects of one content differ in."""
    meta = {k: v for k, v in tree["metadata"].items() if k in ("labels", "annotations", "finalizers")}
    meta["labels"] = {k: v for k, v in meta["labels"].items() if not k.endswith("metadata.name")}
    spec = {
        k: v
        for k, v in (tree.get("spec") or {}).items()
        if k not in ("clusterIP", "clusterIPs", "healthCheckNodePort", "ports", "names", "group", "version", "cidrs")
    }
    for at in (spec, (spec.get("template") or {}).get("metadata", {}), spec.get("selector") or {}):
        for key in ("labels", "matchLabels"):  # a job's own label holds its uid
            if isinstance(at.get(key), dict):
                at[key] = {k: v for k, v in at[key].items() if "uid" not in k and "job-name" not in k}
    return {**{k: v for k, v in tree.items() if k not in ("metadata", "status")}, "metadata": meta, "spec": spec}


def remove(api: Api, kind: Kind, path: str) -> None:
    """Deletes, and takes away the finalizers that a controller would."""
    status, gone = api("DELETE", path, {"propagationPolicy": "Background"})
    assert status == 200, gone
    if gone["kind"] == "Status":
        assert gone["status"] == "Success" and gone["details"]["uid"], gone
    elif kind.kind == "Namespace":
        free = {"metadata": {"finalizers": None}}
        gone = api.ok("PATCH", path, free, type="application/merge-patch+json")
        api.ok("PUT", f"{path}/finalize", {**gone, "spec": {}})
    elif "deletionTimestamp" in gone["metadata"]:
        api("PATCH", path, {"metadata": {"finalizers": None}}, type="application/merge-patch+json")
    assert api("GET", path)[0] == 404


@pytest.fixture(scope="module", autouse=True)
def ground(api: Api) -> None:
    """What the objects of the corpus refer to."""
    api.ok("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    for name in ("default", "full-sa"):
        api.ok("POST", f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts", {"metadata": {"name": name}})


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: f"{k.api_version}/{k.kind}")
def test_journey(api: Api, kind: Kind) -> None:
    tree = corpus.populated(kind, NAMESPACE)
    if kind.kind == "ServiceAccount":
        tree = renamed(tree, "journey")
    name, rest = tree["metadata"]["name"], folder(kind)
    path = f"{rest}/{name}"

    start = api.ok("GET", rest)["metadata"]["resourceVersion"]

    # create: dry, then for good; what was written is there
    status, dry = api("POST", f"{rest}?dryRun=All&fieldValidation=Strict", tree)
    assert status == 201 and api("GET", path)[0] == 404, dry
    status, made = api("POST", f"{rest}?fieldValidation=Strict&fieldManager=creator", tree)
    assert status == 201, made
    if kind.kind == "Secret":
        del tree["stringData"]
    if kind.kind != "Node":  # gets a taint more
        assert corpus.missing(tree, made) == []
    meta = made["metadata"]
    assert meta["uid"] and meta["creationTimestamp"] and meta["resourceVersion"]
    assert next(m["manager"] for m in meta["managedFields"] if "subresource" not in m) == "creator"
    assert api("POST", rest, tree)[1]["reason"] == "AlreadyExists"

    # unknown fields: named, told, or passed over
    odd = {**other(kind, tree), "oddity": 1}
    status, error = api("POST", f"{rest}?dryRun=All&fieldValidation=Strict", odd)
    assert (status, error["reason"]) == (400, "BadRequest") and 'unknown field "oddity"' in error["message"]
    _, headers, _ = api.raw("POST", f"{rest}?dryRun=All", odd)
    assert 'unknown field \\"oddity\\"' in headers["warning"]

    # every form of a body says the same
    present = api.ok("GET", path)
    _, _, text = api.raw("GET", path, accept=YAML)
    assert yaml.load(text, yaml.CBaseLoader)["metadata"]["uid"] == meta["uid"]
    assert msgspec.yaml.decode(text) == present
    if kind.group != "apiextensions.k8s.io":
        assert _of_protobuf(kind, api.raw("GET", path, accept=PROTOBUF)[2]) == present
    second = other(kind, corpus.populated(kind, NAMESPACE))
    status, _, text = api.raw("POST", rest, msgspec.yaml.encode(second), type=YAML, accept=YAML)
    assert status == 201, text
    again = msgspec.yaml.decode(text)
    assert essence(again) == essence(made) or kind.kind in ("Job", "CustomResourceDefinition")
    second_path = f"{rest}/{second['metadata']['name']}"
    remove(api, kind, second_path)
    clean = msgspec.json.decode(msgspec.json.encode(second))
    codec.clean(kind, clean, defaults=False)
    wire = protobuf.encode(kind, codec.from_tree(kind, clean))
    status, _, text = api.raw("POST", rest, wire, type=PROTOBUF, accept=PROTOBUF)
    assert status == 201, text
    assert essence(_of_protobuf(kind, text)) == essence(again) or kind.kind in ("Job", "CustomResourceDefinition")

    check_lists(api, kind, rest, name, present)
    check_tables(api, kind, rest, name)
    check_updates(api, kind, path, meta)
    if kind.subresource("status"):
        check_status(api, kind, path)
    check_removal(api, kind, rest, path, second_path, meta["uid"], start)


def _of_protobuf(kind: Kind, data: bytes) -> Tree:
    tree = protobuf.decode_body(kind, data)
    return codec.to_tree(codec.from_tree(kind, tree))


def check_lists(api: Api, kind: Kind, rest: str, name: str, present: Tree) -> None:
    rev = api.ok("GET", rest)["metadata"]["resourceVersion"]
    for query in (
        "",
        "resourceVersion=0",
        f"resourceVersion={rev}&resourceVersionMatch=Exact",
        f"resourceVersion={rev}&resourceVersionMatch=NotOlderThan",
        "labelSelector=app%3Dfull,nope!%3Dx,app+in+(full)",
        f"limit=500&fieldSelector=metadata.name%3D{name}",
    ):
        found = api.ok("GET", f"{rest}?{query}")
        assert found["kind"] == f"{kind.kind}List" and found["apiVersion"] == kind.api_version
        mine = [i for i in found["items"] if i["metadata"]["name"] == name]
        bare = {k: v for k, v in present.items() if k not in ("kind", "apiVersion")}
        assert [{k: v for k, v in i.items() if k not in ("kind", "apiVersion")} for i in mine] == [bare]
    names, token = [], ""
    while True:
        page = api.ok("GET", f"{rest}?limit=1&continue={token}")
        names += [i["metadata"]["name"] for i in page["items"]]
        token = page["metadata"].get("continue")
        if not token:
            break
    everything = api.ok("GET", rest)["items"]
    assert names == [i["metadata"]["name"] for i in everything] and len(names) >= 2
    if kind.namespaced:
        anywhere = api.ok("GET", rest.replace(f"/namespaces/{NAMESPACE}", ""))["items"]
        assert present["metadata"]["uid"] in {i["metadata"]["uid"] for i in anywhere}
    partial = api.raw(
        "GET", f"{rest}?limit=1", accept="application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
    )
    assert msgspec.json.decode(partial[2])["kind"] == "PartialObjectMetadataList"


def check_tables(api: Api, kind: Kind, rest: str, name: str) -> None:
    for path in (rest, f"{rest}/{name}"):
        table = msgspec.json.decode(api.raw("GET", path, accept=TABLE)[2])
        assert table["kind"] == "Table"
        assert [c["name"] for c in table["columnDefinitions"]] == [c.name for c in kind.columns]
        rows = [r for r in table["rows"] if r["object"]["metadata"]["name"] == name]
        assert len(rows) == 1 and rows[0]["object"]["kind"] == "PartialObjectMetadata"
        assert all(len(r["cells"]) == len(kind.columns) for r in table["rows"])


def check_updates(
    api: Api, kind: Kind, path: str, meta: Tree, patches: Mapping[str, Callable[[Kind], Any]] = PATCHES
) -> None:
    rev = meta["resourceVersion"]
    now = api.ok("GET", path)
    status, same = api("PUT", path, now)
    assert status == 200 and same["metadata"]["resourceVersion"] == now["metadata"]["resourceVersion"]
    now["metadata"]["labels"] = {**now["metadata"].get("labels", {}), "put": "yes"}
    dry = api.ok("PUT", f"{path}?dryRun=All", now)
    assert dry["metadata"]["labels"]["put"] == "yes"
    assert "put" not in api.ok("GET", path)["metadata"]["labels"]
    put = api.ok("PUT", path, now)
    assert put["metadata"]["uid"] == meta["uid"] and int(put["metadata"]["resourceVersion"]) > int(rev)
    generation = now["metadata"].get("generation")
    assert put["metadata"].get("generation") == generation, "a label is not the spec"
    now["metadata"]["labels"]["put"] = "again"
    status, error = api("PUT", path, now)
    assert (status, error["reason"]) == (409, "Conflict")
    name = f'{kind.resource} "{meta["name"]}"'
    assert error["message"] == f"Operation cannot be fulfilled on {name}: {CONFLICT}"
    now["metadata"]["resourceVersion"] = ""
    status, error = api("PUT", path, now)
    if kind.unconditional_update:
        assert status == 200, error
    else:
        assert status == 422 and "metadata.resourceVersion: Invalid value:" in error["message"], error
        assert error["message"].endswith("must be specified for an update")
    for type_, patch in patches.items():
        force = "&force=true" if "apply" in type_ else ""
        out = api.ok("PATCH", f"{path}?fieldManager=patcher{force}", patch(kind), type=type_)
        assert out["metadata"]["labels"]["patched"] in type_
    dry = {"metadata": {"labels": {"dry": "x"}}}
    out = api.ok("PATCH", f"{path}?dryRun=All", dry, type="application/merge-patch+json")
    assert out["metadata"]["labels"]["dry"] == "x"
    managers = {(m["manager"], m["operation"]) for m in api.ok("GET", path)["metadata"]["managedFields"]}
    assert {("patcher", "Apply"), ("creator", "Update")} <= managers
    clash = {**PATCHES["application/apply-patch+yaml"](kind), "metadata": {"labels": {"patched": "clash"}}}
    status, error = api("PATCH", f"{path}?fieldManager=second", clash, type="application/apply-patch+yaml")
    assert (status, error["reason"]) == (409, "Conflict")
    assert error["details"]["causes"][0]["reason"] == "FieldManagerConflict"


def check_status(api: Api, kind: Kind, path: str, wanted: Tree | None = None) -> None:
    before = api.ok("GET", path)
    wanted = STATUS[kind.kind] if wanted is None else wanted
    body = {**before, "status": wanted}
    if kind.kind != "CSINode":
        body["metadata"] = {**body["metadata"], "labels": {**body["metadata"]["labels"], "by-status": "x"}}
    done = api.ok("PUT", f"{path}/status", body)
    assert corpus.missing({k: v for k, v in wanted.items() if v is not None}, done.get("status", {})) == []
    assert done.get("spec") == before.get("spec"), "status leaves the spec alone"
    assert done["metadata"].get("generation") == before["metadata"].get("generation")
    assert api.ok("GET", f"{path}/status") == api.ok("GET", path)
    patch = {"metadata": {"annotations": {"touched": "1"}}, "status": {}}
    api.ok("PATCH", f"{path}/status", patch, type="application/merge-patch+json")
    owners = {m.get("subresource") for m in done["metadata"]["managedFields"]}
    if wanted:
        assert "status" in owners
    main = api.ok("GET", path)
    if "status" in main and kind.kind not in ("Namespace", "Node", "APIService"):
        written = api.ok("PUT", path, {**main, "status": {}})
        assert written.get("status") == main.get("status"), "the main resource leaves the status alone"


def check_removal(api: Api, kind: Kind, rest: str, path: str, second: str, uid: str, rev: str) -> None:
    status, error = api("DELETE", path, {"preconditions": {"uid": "other"}})
    assert (status, error["reason"]) == (409, "Conflict")
    assert "the UID in the precondition (other) does not match the UID in record (" in error["message"]
    status, error = api("DELETE", path, {"preconditions": {"resourceVersion": "1"}})
    assert (status, error["reason"]) == (409, "Conflict")
    assert (
        "the ResourceVersion in the precondition (1) does not match the ResourceVersion in record (" in error["message"]
    )
    status, error = api("DELETE", path, {"propagationPolicy": "Sideways"})
    assert status == 422 and "propagationPolicy" in error["message"]
    api.ok("DELETE", f"{path}?dryRun=All")
    held = api.ok("DELETE", path, {"propagationPolicy": "Foreground"})
    if "deletionTimestamp" in held["metadata"] and kind.kind not in ("Namespace", "CustomResourceDefinition"):
        assert "foregroundDeletion" in held["metadata"]["finalizers"] and held["metadata"]["deletionTimestamp"]
    if api("GET", path)[0] == 200:
        remove(api, kind, path)
    if "deletecollection" in kind.verbs:
        gone = api.ok("DELETE", f"{rest}?labelSelector=app%3Dfull", {"gracePeriodSeconds": 0})
        assert gone["kind"] == f"{kind.kind}List" and gone["items"]
    if api("GET", second)[0] != 404:
        remove(api, kind, second)
    events = api.events(
        f"{rest}?watch=1&resourceVersion={rev}", lambda t, o: (t, o["metadata"]["uid"]) == ("DELETED", uid)
    )
    mine = [(t, int(o["metadata"]["resourceVersion"])) for t, o in events if o["metadata"]["uid"] == uid]
    assert mine[0][0] == "ADDED" and {t for t, _ in mine[1:-1]} == {"MODIFIED"}
    revisions = [r for _, r in mine]
    assert revisions == sorted(set(revisions)) and int(rev) < revisions[0]


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: f"{k.api_version}/{k.kind}")
def test_minimal(api: Api, kind: Kind) -> None:
    """What has no more than it needs is taken; a stored object is a fixed point of defaults; names can be made up."""
    tree, rest = corpus.minimal(kind), folder(kind, "default")
    status, made = api("POST", f"{rest}?fieldValidation=Strict", tree)
    assert status == 201, made
    path = f"{rest}/{tree['metadata']['name']}"
    while True:  # some kinds get a status from the server itself
        made = api.ok("GET", path)
        status, same = api("PUT", path, made)
        if status == 200:
            break
        assert status == 409, same
    assert same["metadata"]["resourceVersion"] == api.ok("GET", path)["metadata"]["resourceVersion"]
    assert {k: v for k, v in same.items() if k != "metadata"} == {k: v for k, v in made.items() if k != "metadata"}
    remove(api, kind, path)
    named = {**tree, "metadata": {"generateName": "made-"}}
    status, out = api("POST", f"{rest}?dryRun=All", named)
    if status == 201:
        assert out["metadata"]["name"].startswith("made-") and len(out["metadata"]["name"]) == 10
    else:
        assert status == 422 and out["reason"] == "Invalid", out  # the name must say more
    empty = {k: v for k, v in tree.items() if k in ("apiVersion", "kind", "metadata")}
    status, out = api("POST", f"{rest}?dryRun=All", empty)
    assert status == 201 or (status == 422 and out["details"]["causes"]), out
