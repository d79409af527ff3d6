"""The pure parts of the API server, by tables and naive twins."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pelamis.apiserver import admission
from pelamis.apiserver.allocator import Pool, Range, ServiceAllocator
from pelamis.apiserver.authn.token import InvalidToken, Issuer, Validator
from pelamis.apiserver.authz.attributes import Attributes, refusal
from pelamis.apiserver.authz.rbac import Rule
from pelamis.apiserver.bootstrap import policy
from pelamis.apiserver.deletion import gc_finalizers
from pelamis.apiserver.negotiate import Format, negotiate
from pelamis.apiserver.request import delete_options, list_options, parse_info, write_options
from pelamis.apiserver.user import User
from pelamis.base.errors import StatusError
from pelamis.net import tls


@pytest.mark.parametrize(
    ("method", "url", "expected"),
    [
        ("GET", "/api/v1/pods", ("list", "", "v1", "", "pods", "", "")),
        ("GET", "/api/v1/pods?watch=1", ("watch", "", "v1", "", "pods", "", "")),
        ("GET", "/api/v1/pods?watch=false", ("list", "", "v1", "", "pods", "", "")),
        ("GET", "/api/v1/watch/pods", ("watch", "", "v1", "", "pods", "", "")),
        ("GET", "/api/v1/watch/namespaces/n/pods/p", ("watch", "", "v1", "n", "pods", "", "p")),
        ("GET", "/api/v1/namespaces/n/pods/p", ("get", "", "v1", "n", "pods", "", "p")),
        ("HEAD", "/api/v1/namespaces/n/pods/p", ("get", "", "v1", "n", "pods", "", "p")),
        ("GET", "/api/v1/namespaces", ("list", "", "v1", "", "namespaces", "", "")),
        ("GET", "/api/v1/namespaces/n", ("get", "", "v1", "n", "namespaces", "", "n")),
        ("PUT", "/api/v1/namespaces/n/finalize", ("update", "", "v1", "n", "namespaces", "finalize", "n")),
        ("PUT", "/api/v1/namespaces/n/status", ("update", "", "v1", "n", "namespaces", "status", "n")),
        (
            "DELETE",
            "/apis/apps/v1/namespaces/n/deployments",
            ("deletecollection", "apps", "v1", "n", "deployments", "", ""),
        ),
        ("DELETE", "/apis/apps/v1/namespaces/n/deployments/d", ("delete", "apps", "v1", "n", "deployments", "", "d")),
        (
            "PATCH",
            "/apis/apps/v1/namespaces/n/deployments/d/scale",
            ("patch", "apps", "v1", "n", "deployments", "scale", "d"),
        ),
        ("POST", "/api/v1/namespaces/n/pods/p/exec?command=a", ("create", "", "v1", "n", "pods", "exec", "p")),
        ("GET", "/api/v1/secrets?fieldSelector=metadata.name%3Da", ("list", "", "v1", "", "secrets", "", "a")),
    ],
)
def test_request_info(method: str, url: str, expected: tuple[str, ...]) -> None:
    path, _, query = url.partition("?")
    i = parse_info(method, path, query)
    assert (i.verb, i.group, i.version, i.namespace, i.resource, i.subresource, i.name) == expected


@pytest.mark.parametrize(
    "path", ["/", "/healthz", "/api", "/api/v1", "/apis", "/apis/apps", "/apis/apps/v1", "/version"]
)
def test_what_is_no_resource(path: str) -> None:
    assert not parse_info("GET", path).is_resource


def test_proxy_paths_keep_their_rest() -> None:
    info = parse_info("GET", "/api/v1/namespaces/n/services/s:80/proxy/a/b")
    assert (info.name, info.subresource, info.parts) == ("s:80", "proxy", ("a", "b"))


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", Format()),
        ("*/*", Format()),
        ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", Format("application/json", "Table")),
        (
            "application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
            Format("application/json", "Table", version="v1beta1"),
        ),
        ("application/json;as=Table;v=v2;g=meta.k8s.io,application/json", Format()),
        ("application/yaml;q=0.5, application/json", Format()),
        ("application/vnd.kubernetes.protobuf,application/json", Format("application/vnd.kubernetes.protobuf")),
        ("text/html,application/yaml", Format("application/yaml")),
    ],
)
def test_accept(accept: str, expected: Format) -> None:
    assert negotiate(accept) == expected


@pytest.mark.parametrize(
    ("verb", "items", "wrong"),
    [
        ("patch", [("force", "true")], "force: Forbidden: may not be specified for non-apply patch"),
        ("create", [("fieldManager", "x" * 129)], "fieldManager"),
        ("update", [("fieldValidation", "strict")], "fieldValidation: Unsupported value"),
    ],
)
def test_write_options(verb: str, items: list[tuple[str, str]], wrong: str) -> None:
    with pytest.raises(StatusError, match=wrong.replace("(", r"\(")):
        write_options(verb, items)


def test_other_options() -> None:
    assert list_options([("limit", "5"), ("continue", "x"), ("watch", "true")]).limit == 5
    with pytest.raises(StatusError, match="resourceVersionMatch is forbidden for watch"):
        list_options([("watch", "1"), ("resourceVersionMatch", "Exact"), ("resourceVersion", "1")])
    with pytest.raises(StatusError, match="cannot be both set"):
        delete_options((), {"orphanDependents": True, "propagationPolicy": "Orphan"})
    assert delete_options([("gracePeriodSeconds", "3")], None).grace_s == 3


def rule(**more: Any) -> Rule:
    given_ = {"verbs": ("get",), "groups": ("",), "resources": ("pods",), "names": (), "urls": (), **more}
    verbs, groups, resources, names = (frozenset(given_[n]) for n in ("verbs", "groups", "resources", "names"))
    return Rule(verbs, groups, resources, names, tuple(given_["urls"]))


@pytest.mark.parametrize(
    ("r", "a", "allowed"),
    [
        (rule(), Attributes("get", resource="pods"), True),
        (rule(), Attributes("list", resource="pods"), False),
        (rule(), Attributes("get", resource="pods", subresource="log"), False),
        (rule(resources=("pods/log",)), Attributes("get", resource="pods", subresource="log"), True),
        (rule(resources=("*/scale",)), Attributes("get", resource="x", subresource="scale"), True),
        (rule(resources=("*",)), Attributes("get", resource="x", subresource="y"), True),
        (rule(groups=("apps",)), Attributes("get", resource="pods"), False),
        (rule(verbs=("*",), groups=("*",)), Attributes("x", group="y", resource="pods"), True),
        (rule(names=("a",)), Attributes("get", resource="pods", name="a"), True),
        (rule(names=("a",)), Attributes("get", resource="pods", name="b"), False),
        (rule(names=("a",)), Attributes("get", resource="pods"), False),
        (rule(urls=("/healthz", "/api/*")), Attributes("get", path="/api/x"), True),
        (rule(urls=("/healthz",)), Attributes("get", path="/healthz/x"), False),
        (rule(urls=("*",)), Attributes("get", path="/any"), True),
    ],
)
def test_rules(r: Rule, a: Attributes, allowed: bool) -> None:
    assert r.allows(a) is allowed


def test_refusals_are_worded_as_upstream() -> None:
    a = Attributes("create", "apps", "v1", "deployments", "scale", "n", "d")
    assert refusal(User("joe"), a, "RBAC: x").message == (
        'deployments.apps "d" is forbidden: User "joe" cannot create resource "deployments/scale" in API group "apps" '
        'in the namespace "n": RBAC: x'
    )


def test_bootstrap_policy_is_complete() -> None:
    found = {(t["kind"], t["metadata"]["name"]) for t in policy()}
    for name in ("cluster-admin", "admin", "edit", "view", "system:node", "system:kube-scheduler", "system:discovery"):
        assert ("ClusterRole", name) in found


def test_admission_lists_every_file() -> None:
    import pkgutil

    files = {m.name for m in pkgutil.iter_modules(admission.__path__)}
    listed = {p.mutate or p.validate for p in admission.PLUGINS}
    modules = {fn.__module__.rpartition(".")[2] for fn in listed if fn is not None}
    assert modules <= files
    order = [p.name for p in admission.PLUGINS]
    assert order.index("NamespaceLifecycle") < order.index("ServiceAccount") < order.index("PodSecurity")


@given(st.lists(st.tuples(st.sampled_from(["choose", "reserve", "release"]), st.integers(0, 7)), max_size=60))
def test_a_pool_never_gives_a_number_twice(steps: list[tuple[str, int]]) -> None:
    pool = Pool(Range(0, 7, 4), lambda n: b"\x05" * n)
    held: set[int] = set()
    for step, number in steps:
        if step == "choose":
            found = pool.choose()
            assert (found is None) == (len(held) == 8)
            if found is not None:
                assert found not in held
                pool.used(found)
                held.add(found)
        elif step == "reserve":
            assert pool.reserve(number) == (number not in held)
            pool.used(number) if number not in held else None
            held.add(number)
        elif number in held:
            pool.released(number)
            held.discard(number)


def test_the_first_address_and_the_families() -> None:
    allocator = ServiceAllocator(("10.96.0.0/12", "fd00::/112"), (30000, 32767), lambda n: bytes(n))
    assert allocator.first_ip() == "10.96.0.1" and allocator.families == ["IPv4", "IPv6"]


@pytest.mark.parametrize(
    ("have", "propagation", "orphan", "expected"),
    [
        ((), "", None, []),
        ((), "Foreground", None, ["foregroundDeletion"]),
        (("a",), "Orphan", None, ["a", "orphan"]),
        (("orphan",), "Background", None, []),
        (("foregroundDeletion",), "", None, ["foregroundDeletion"]),
        ((), "", True, ["orphan"]),
        (("orphan", "a"), "", False, ["a"]),
    ],
)
def test_gc_finalizers(have: tuple[str, ...], propagation: str, orphan: bool | None, expected: list[str]) -> None:
    from pelamis.api.core.configmap import KIND

    assert gc_finalizers(KIND, have, propagation, orphan) == expected


class Thing:
    def __init__(self, uid: str, deleted: str | None = None) -> None:
        self.metadata = type("M", (), {"uid": uid, "deletionTimestamp": deleted})


def test_tokens() -> None:
    key = tls.new_key()
    things: dict[str, Thing] = {"serviceaccounts": Thing("u"), "pods": Thing("p")}
    validator = Validator([key.public_key()], lambda plural, ns, name: things.get(plural))
    issuer = Issuer(key)

    def issue(**more: Any) -> str:
        given_: dict[str, Any] = {
            "audiences": [issuer.issuer],
            "now": 1000.0,
            "expires_s": 600,
            "token_id": "j",
            **more,
        }
        return issuer.issue("ns", "sa", "u", **given_)

    token = issue(bound={"pod": {"name": "p", "uid": "p"}})
    found = validator.validate(token, 1001.0)
    assert found is not None and found[0].name == "system:serviceaccount:ns:sa"
    for bad, now, why in (
        (token, 1601.0, "expired"),
        (issue(audiences=["other"]), 1001.0, "audiences"),
        (token[:-4] + "AAAA", 1001.0, "invalid signature"),
        (issue(bound={"pod": {"name": "p", "uid": "old"}}), 1001.0, "UID"),
        (issue(bound={"secret": {"name": "s", "uid": "s"}}), 1001.0, "not found"),
    ):
        with pytest.raises(InvalidToken, match=why):
            validator.validate(bad, now)
    assert validator.validate("a.b.c", 1001.0) is None
    things.pop("pods")
    with pytest.raises(InvalidToken):
        validator.validate(token, 1001.0)
