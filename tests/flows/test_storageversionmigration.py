"""Storage version migrations on a whole server: what is stored before and after."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from pelamis.api.core.configmap import KIND as CONFIGMAP
from pelamis.api.storagemigration.storageversionmigration import KIND as MIGRATION
from pelamis.api.storagemigration.storageversionmigration import StorageVersionMigration
from pelamis.apiserver.crd import refresher
from pelamis.apiserver.user import LOOPBACK_USER
from pelamis.client.types import Create
from pelamis.controllers import storageversionmigrator
from pelamis.reconcile.kinds import RegistryKinds
from pelamis.reconcile.runner import run_all
from pelamis.store.types import Put
from tests.apiserver.extension import reached
from tests.apiserver.harness import Harness, running
from tests.apiserver.test_crd import DEFINITIONS, RESOURCE, WIDGETS, define, definition, version

MIGRATIONS = "/apis/storagemigration.k8s.io/v1/storageversionmigrations"
OLD = {"properties": {"size": {"type": "integer"}}}
NEW = {"properties": {"size": {"type": "integer"}, "color": {"type": "string", "default": "red"}}}


@asynccontextmanager
async def migrating() -> AsyncIterator[Harness]:
    async with running() as h:
        reader = h.server.client("system:kube-controller-manager")

        def client_for(user: str) -> Any:
            class Split:
                view = staticmethod(reader.view)
                commit = staticmethod(h.server.client(user).commit)

            return Split()

        kinds = RegistryKinds(h.server.registry)
        task = asyncio.ensure_future(
            run_all([storageversionmigrator.CONTROLLER], client_for, clock=time.time, kinds=kinds)
        )
        try:
            yield h
            assert not task.done(), task
        finally:
            task.cancel()
            await asyncio.wait([task])


async def migrate(h: Harness, name: str, group: str, resource: str) -> StorageVersionMigration:
    spec = {"resource": {"group": group, "resource": resource}}
    status, answer = await h.request("POST", MIGRATIONS, {"metadata": {"name": name}, "spec": spec})
    assert status == 201, answer
    await reached(h, MIGRATION.resource, "", name, lambda m: states(m).get("Running") == "False")
    found: StorageVersionMigration = h.server.objects.get(MIGRATION.resource, "", name)
    return found


def states(migration: StorageVersionMigration) -> dict[str, str]:
    return {c.type: c.status for c in migration.status.conditions}


def marks(h: Harness) -> tuple[tuple[str, ...], dict[str, Any]]:
    crd = h.server.objects.get(RESOURCE, "", "widgets.x.io")
    mark = next((c for c in crd.status.conditions if c.type == "StorageMigrating"), None)
    return crd.status.storedVersions, msgspec.to_builtins(mark)


async def stored(h: Harness, prefix: str) -> dict[str, Any]:
    items = (await h.server.store.range(prefix)).items
    return {i.key.rpartition("/")[2]: (i.mod_rev, msgspec.json.decode(i.value)) for i in items}


async def store_in(h: Harness, *versions: dict[str, Any]) -> None:
    crd = (await h.request("GET", f"{DEFINITIONS}/widgets.x.io"))[1]
    crd["spec"]["versions"] = list(versions)
    swapped = asyncio.Event()
    cancel = h.server.registry.subscribe(lambda kind, added: swapped.set())
    status, answer = await h.request("PUT", f"{DEFINITIONS}/widgets.x.io", crd)
    assert status == 200, answer
    await asyncio.wait_for(swapped.wait(), 10)
    cancel()


def test_custom_resources_come_to_be_stored_in_the_new_version() -> None:
    async def main() -> None:
        async with migrating() as h:
            await define(h, definition(version("v1", OLD)))
            kind = h.server.registry.by_resource("x.io", "v1", "widgets")
            assert kind is not None
            admin = h.server.client(LOOPBACK_USER)
            made = [{"metadata": {"name": f"w{i}", "namespace": "default"}, "spec": {"size": i}} for i in range(300)]
            assert all(o.error is None for o in await admin.commit([Create(kind, m) for m in made]))
            await store_in(h, version("v1", OLD, storage=False), version("v2", NEW))
            assert marks(h)[0] == ("v1", "v2")
            # Written since, and so in the new version already.
            fresh = f"{WIDGETS.replace('v1', 'v2')}/w7"
            assert (
                await h.request(
                    "PATCH", fresh, {"spec": {"size": 70}}, headers={"Content-Type": "application/merge-patch+json"}
                )
            )[0] == 200
            before = await stored(h, "/registry/x.io/widgets/")
            assert sorted({v["apiVersion"] for _, v in before.values()}) == ["x.io/v1", "x.io/v2"]

            done = await migrate(h, "first", "x.io", "widgets")
            assert states(done) == {"Running": "False", "Succeeded": "True"}
            assert [(c.reason, c.message) for c in done.status.conditions] == [
                ("MigrationCompleted", "Migration completed"),
                ("StorageVersionMigrationSucceeded", "Migration completed"),
            ]
            after = await stored(h, "/registry/x.io/widgets/")
            assert {v["apiVersion"] for _, v in after.values()} == {"x.io/v2"}
            assert after["w3"][1]["spec"] == {"size": 3, "color": "red"}
            assert after["w7"] == before["w7"] and after["w3"][0] > before["w3"][0]
            versions, mark = marks(h)
            assert versions == ("v2",)
            assert (mark["status"], mark["reason"], mark["message"], mark["observedGeneration"]) == (
                "False",
                "MigrationSucceeded",
                "The migration has succeeded and the stored versions have been updated",
                2,
            )
            again = await migrate(h, "second", "x.io", "widgets")
            assert states(again)["Succeeded"] == "True" and await stored(h, "/registry/x.io/widgets/") == after
            await store_in(h, version("v2", NEW))  # the old version may go now
            await store_in(h, version("v2", NEW, storage=False), version("v3", NEW))
            assert marks(h)[0] == ("v2", "v3")
            assert states(await migrate(h, "third", "x.io", "widgets"))["Succeeded"] == "True"
            assert marks(h)[0] == ("v3",)
            table = (
                await h.request(
                    "GET", f"{MIGRATIONS}/third", headers={"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
                )
            )[1]
            assert table["rows"][0]["cells"] == ["third", "widgets.x.io", "Succeeded"]

    asyncio.run(main())


def test_objects_that_another_server_wrote_get_our_form() -> None:
    async def main() -> None:
        async with migrating() as h:
            theirs = (
                b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"default"},"data":{"k":"v"}}'
            )
            await h.server.store.commit([Put(CONFIGMAP.key("default", "a"), theirs, 0)])
            done = await migrate(h, "maps", "", "configmaps")
            assert states(done)["Succeeded"] == "True"
            value = (await h.server.store.range(CONFIGMAP.key("default", "a"))).items[0].value
            assert value.startswith(b'{"kind":"ConfigMap","apiVersion":"v1"') and b'"k":"v"' in value

    asyncio.run(main())


def test_the_next_migration_of_a_resource_waits_for_the_first() -> None:
    async def main() -> None:
        async with migrating() as h:
            seen: list[tuple[str, dict[str, str]]] = []
            view = h.server.objects.view(MIGRATION.resource)
            view.subscribe(lambda key, old, new: seen.append((key[1], states(new))))
            for name in ("a", "b"):
                spec = {"resource": {"group": "", "resource": "secrets"}}
                await h.request("POST", MIGRATIONS, {"metadata": {"name": name}, "spec": spec})
            await reached(h, MIGRATION.resource, "", "b", lambda m: states(m).get("Running") == "False")
            runs = [name for name, state in seen if state == {"Running": "True"}]
            assert runs.index("b") > max(i for i, n in enumerate(runs) if n == "a")

    asyncio.run(main())


@pytest.mark.parametrize("outdated", [True, False])
def test_a_patch_that_changes_nothing_is_written_only_where_what_is_stored_is_not_ours(outdated: bool) -> None:
    async def main() -> None:
        async with running() as h:
            value = (
                b'{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a","namespace":"default"},"data":{"k":"v"}}'
            )
            if outdated:
                value = value.replace(b'"kind":"ConfigMap","apiVersion":"v1"', b'"apiVersion":"v1","kind":"ConfigMap"')
            await h.server.store.commit([Put(CONFIGMAP.key("default", "a"), value, 0)])
            revs = []
            for _ in range(2):
                status, answer = await h.request(
                    "PATCH",
                    "/api/v1/namespaces/default/configmaps/a",
                    {},
                    headers={"Content-Type": "application/merge-patch+json"},
                )
                assert status == 200
                revs.append(answer["metadata"]["resourceVersion"])
            first = (await h.server.store.range(CONFIGMAP.key("default", "a"))).items[0]
            assert (int(revs[0]) > 1, revs[0] == revs[1] == str(first.mod_rev)) == (True, True)
            assert (first.value == value) is not outdated

    asyncio.run(main())


def test_after_a_restart_old_versions_are_known_to_be_old() -> None:
    async def main() -> None:
        async with running() as h:
            await define(h, definition(version("v1", OLD)))
            await h.request("POST", WIDGETS, {"metadata": {"name": "a"}, "spec": {"size": 1}})
            await store_in(h, version("v1", OLD, storage=False), version("v2", NEW))
            kind = h.server.registry.by_resource("x.io", "v2", "widgets")
            assert kind is not None
            collection = h.server.cache.collection(kind)
            known = dict(collection.outdated)
            assert list(known) == [("default", "a")]
            h.server.drop_kind(collection.kind)
            await h.server.hold_kind(collection.kind, refresher(collection.kind))
            assert h.server.cache.collection(collection.kind).outdated == known

    asyncio.run(main())
