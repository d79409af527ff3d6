"""Tokens: those of accounts in Secrets, those that let nodes join; and the TTL that nodes are told."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from typing import Any

import pytest

from pelamis.api.core.configmap import ConfigMap
from pelamis.api.core.secret import Secret
from pelamis.api.core.serviceaccount import ServiceAccount
from pelamis.base.clock import rfc3339
from pelamis.client.types import Delete, Patch, Update
from pelamis.controllers import bootstrapsigner, legacytokencleaner, serviceaccounttoken, tokencleaner
from pelamis.controllers.ttl import seconds
from pelamis.reconcile.bootstraptoken import TYPE
from pelamis.reconcile.plan import Plan
from tests.api.made import of
from tests.apiserver.harness import Harness, running

NOW = 1_800_000_000.0
DAY = 86400.0


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def secret(name: str = "t", type: str = "kubernetes.io/service-account-token", **tree: Any) -> Any:
    meta = {"name": name, "namespace": "ns", "uid": "s", "creationTimestamp": rfc3339(NOW - 800 * DAY)}
    meta.update(tree.pop("metadata", {}))
    return of(Secret, metadata=meta, type=type, **tree)


def account(**tree: Any) -> Any:
    return of(ServiceAccount, metadata={"name": "robot", "namespace": "ns", "uid": "u"}, **tree)


def filled(found: Any, owner: Any) -> Plan:
    world = serviceaccounttoken.World(found, owner, "CA", lambda *names: "/".join(names))
    return serviceaccounttoken.reconcile(world, NOW)


def test_a_secret_of_an_account_is_filled_in_and_goes_with_it() -> None:
    (action,) = filled(secret(), account()).actions
    assert isinstance(action, Update)
    assert action.obj.data == {"ca.crt": b"CA", "namespace": b"ns", "token": b"ns/t/robot/u"}
    assert action.obj.metadata.annotations == {serviceaccounttoken.UID: "u"}
    assert not filled(action.obj, account()).actions
    other = secret(metadata={"annotations": {serviceaccounttoken.UID: "old"}})
    for found, owner in ((secret(), None), (other, account())):
        (action,) = filled(found, owner).actions
        assert isinstance(action, Delete)
        assert action.uid == "s"


def test_an_account_forgets_a_secret_that_is_gone() -> None:
    listing = account(secrets=[{"name": "t"}, {"name": "other"}])
    (action,) = serviceaccounttoken.reconcile(serviceaccounttoken.Gone("t", [listing]), NOW).actions
    assert isinstance(action, Update)
    assert [ref.name for ref in action.obj.secrets] == ["other"]


@pytest.mark.parametrize(
    ("since", "labels", "created", "expected"),
    [
        (400, {}, 400, "label"),
        (300, {}, 400, ""),
        (400, {}, 300, ""),
        (400, {legacytokencleaner.LAST_USED: rfc3339(NOW - 10 * DAY)[:10]}, 400, ""),
        (800, {legacytokencleaner.LAST_USED: rfc3339(NOW - 500 * DAY)[:10]}, 800, "label"),
        (800, {legacytokencleaner.INVALID_SINCE: rfc3339(NOW - 300 * DAY)[:10]}, 800, ""),
        (800, {legacytokencleaner.INVALID_SINCE: rfc3339(NOW - 400 * DAY)[:10]}, 800, "delete"),
    ],
)
def test_tokens_that_nobody_uses(since: int, labels: dict[str, str], created: int, expected: str) -> None:
    tracking = of(ConfigMap, metadata={}, data={"since": rfc3339(NOW - since * DAY)[:10]})
    found = secret(metadata={"labels": labels, "creationTimestamp": rfc3339(NOW - created * DAY)})
    plan = legacytokencleaner.reconcile(legacytokencleaner.World(tracking, [found]), NOW)
    did = "".join("label" if isinstance(a, Patch) else "delete" for a in plan.actions)
    assert did == expected
    assert plan.requeue_at == NOW + DAY


def bootstrap(name: str = "bootstrap-token-abcdef", **data: str) -> Any:
    data = {"token-id": "abcdef", "token-secret": "0123456789abcdef", "usage-bootstrap-signing": "true", **data}
    return secret(name, "bootstrap.kubernetes.io/token", data={k: b64(v) for k, v in data.items()})


def test_a_bootstrap_token_goes_when_it_expires() -> None:
    assert not tokencleaner.reconcile(bootstrap(), NOW).actions
    assert tokencleaner.reconcile(bootstrap(expiration=rfc3339(NOW + 5)), NOW) == Plan(requeue_at=NOW + 5)
    (action,) = tokencleaner.reconcile(bootstrap(expiration=rfc3339(NOW - 5)), NOW).actions
    assert isinstance(action, Delete)


def test_cluster_info_is_signed() -> None:
    info = of(ConfigMap, metadata={"name": "cluster-info"}, data={"kubeconfig": "text", "jws-kubeconfig-gone": "x"})
    tokens = [
        bootstrap(expiration=rfc3339(NOW + 60)),
        bootstrap("bootstrap-token-zzzzzz"),
        bootstrap(expiration=rfc3339(NOW - 60)),
        bootstrap(**{"usage-bootstrap-signing": "false"}),
    ]
    plan = bootstrapsigner.reconcile(bootstrapsigner.World(info, tokens), NOW)
    assert plan.requeue_at == NOW + 60
    data = plan.actions[0].obj.data  # type: ignore[union-attr]
    assert set(data) == {"kubeconfig", "jws-kubeconfig-abcdef"}
    head, empty, signature = data["jws-kubeconfig-abcdef"].split(".")
    assert empty == ""
    assert json.loads(base64.urlsafe_b64decode(head + "==")) == {"alg": "HS256", "kid": "abcdef"}
    payload = base64.urlsafe_b64encode(b"text").rstrip(b"=").decode()
    wanted = hmac.new(b"0123456789abcdef", f"{head}.{payload}".encode(), hashlib.sha256).digest()
    assert base64.urlsafe_b64decode(signature + "=") == wanted
    assert not bootstrapsigner.reconcile(bootstrapsigner.World(plan.actions[0].obj, tokens), NOW).actions  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("count", "current", "expected"),
    [(1, None, 0), (100, "0", 0), (101, "0", 15), (95, "15", 15), (95, None, 0), (89, "15", 0), (950, "30", 30),
     (1001, "30", 60), (5000, None, 300), (10001, "300", 600), (9500, "600", 600), (95, "7", 0)],
)  # fmt: skip
def test_the_ttl_of_a_node(count: int, current: str | None, expected: int) -> None:
    assert seconds(count, current) == expected


REVIEW = {"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1"}


async def _who(h: Harness, token: str) -> Any:
    headers = {"Authorization": f"Bearer {token}"}
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    status, tree = await h.request("POST", path, REVIEW, headers=headers, anonymous=True)
    return tree["status"]["userInfo"]["username"] if status == 201 else status


def test_what_the_api_server_makes_of_them() -> None:
    async def main() -> None:
        async with running() as h:
            accounts = "/api/v1/namespaces/default/serviceaccounts"
            _, made = await h.request("POST", accounts, {"metadata": {"name": "robot"}})
            secrets = "/api/v1/namespaces/default/secrets"
            token = h.server.issuer.issue_legacy("default", "t", "robot", made["metadata"]["uid"])
            annotations = {serviceaccounttoken.NAME: "robot"}
            body = {
                "metadata": {"name": "t", "annotations": annotations},
                "type": serviceaccounttoken.TYPE,
                "data": {"token": b64(token)},
            }
            assert await _who(h, token) == 401, "its Secret is not there yet"
            await h.request("POST", secrets, body)
            assert await _who(h, token) == "system:serviceaccount:default:robot"
            merge = {"Content-Type": "application/merge-patch+json"}
            label = {"metadata": {"labels": {legacytokencleaner.INVALID_SINCE: "2026-01-01"}}}
            await h.request("PATCH", f"{secrets}/t", label, headers=merge)
            assert await _who(h, token) == 401
            label["metadata"]["labels"][legacytokencleaner.INVALID_SINCE] = None  # type: ignore[assignment]
            _, found = await h.request("PATCH", f"{secrets}/t", label, headers=merge)
            assert legacytokencleaner.LAST_USED in found["metadata"]["labels"]
            await h.request("DELETE", f"{accounts}/robot")
            assert await _who(h, token) == 401
            data = {"token-id": "abcdef", "token-secret": "0123456789abcdef", "usage-bootstrap-authentication": "true"}
            body = {"metadata": {"name": "bootstrap-token-abcdef"}, "type": TYPE, "stringData": data}
            await h.request("POST", "/api/v1/namespaces/kube-system/secrets", body)
            assert await _who(h, "abcdef.0123456789abcdef") == "system:bootstrap:abcdef"
            assert await _who(h, "abcdef.0123456789abcdee") == 401
            tracking = "kube-apiserver-legacy-service-account-token-tracking"
            _, found = await h.request("GET", f"/api/v1/namespaces/kube-system/configmaps/{tracking}")
            assert list(found["data"]) == ["since"]

    asyncio.run(main())
