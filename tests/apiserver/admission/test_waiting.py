"""A pod made together with its namespace: it waits for the account that a controller is about to make."""

from __future__ import annotations

import asyncio

from tests.apiserver.harness import running

NS = "/api/v1/namespaces"
POD = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}


def test_a_pod_waits_for_the_default_account_of_its_namespace() -> None:
    async def body() -> None:
        async with asyncio.timeout(30), running() as h:
            await h.request("POST", NS, {"metadata": {"name": "n"}})
            waiting = asyncio.create_task(h.request("POST", f"{NS}/n/pods", POD))
            elsewhere = asyncio.create_task(h.request("POST", f"{NS}/default/pods", POD))
            named = {**POD, "spec": {**POD["spec"], "serviceAccountName": "mine"}}
            status, refused = await h.request("POST", f"{NS}/n/pods", named)
            assert (status, refused["message"]) == (
                403,
                'pods "p" is forbidden: error looking up service account n/mine: serviceaccount "mine" not found',
            ), "only the default account comes by itself"
            await h.request("POST", f"{NS}/n/serviceaccounts", {"metadata": {"name": "default"}})
            status, made = await waiting
            assert (status, made["spec"]["serviceAccountName"]) == (201, "default")
            assert made["spec"]["containers"][0]["volumeMounts"], "the rest of admission has run"
            assert made["spec"]["tolerations"], "also what comes after it"
            status, refused = await elsewhere
            assert (status, refused["reason"]) == (403, "Forbidden"), "patience ends"

    asyncio.run(body())
