"""Custom resources from definition to deletion, over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from tests.apiserver.extension import hooks, reached
from tests.apiserver.harness import Harness, running

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
RESOURCE = "customresourcedefinitions.apiextensions.k8s.io"
MERGE = {"Content-Type": "application/merge-patch+json"}
APPLY = {"Content-Type": "application/apply-patch+yaml"}


def version(name: str, spec: dict[str, Any], *, storage: bool = True, **more: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"spec": {"type": "object", **spec}, "status": {"type": "object",
              "properties": {"replicas": {"type": "integer"}}}}}  # fmt: skip
    return {"name": name, "served": True, "storage": storage, "schema": {"openAPIV3Schema": schema}, **more}


def definition(*versions: dict[str, Any], plural: str = "widgets", kind: str = "Widget", **spec: Any) -> dict[str, Any]:
    names = {"plural": plural, "kind": kind, "shortNames": spec.pop("short", ["wd"])}
    return {
        "metadata": {"name": f"{plural}.x.io"},
        "spec": {"group": "x.io", "scope": "Namespaced", "names": names, "versions": list(versions), **spec},
    }


def established(crd: Any) -> bool:
    return any(c.type == "Established" and c.status == "True" for c in crd.status.conditions)


async def define(h: Harness, crd: dict[str, Any]) -> None:
    status, answer = await h.request("POST", DEFINITIONS, crd)
    assert status == 201, answer
    await reached(h, RESOURCE, "", crd["metadata"]["name"], established)


SPEC = {
    "properties": {
        "size": {"type": "integer", "minimum": 1, "default": 2},
        "min": {"type": "integer"},
        "fixed": {"type": "string", "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "is fixed"}]},
    },
    "x-kubernetes-validations": [
        {
            "rule": "!has(self.min) || self.min <= self.size",
            "messageExpression": "'min %d is too big'.format([self.min])",
        }
    ],
}
SUBRESOURCES = {
    "status": {},
    "scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.replicas"},
}
WIDGETS = "/apis/x.io/v1/namespaces/default/widgets"


def test_objects_of_a_definition_are_served() -> None:
    async def body() -> None:
        async with running() as h:
            await define(h, definition(version("v1", SPEC, subresources=SUBRESOURCES)))
            status, made = await h.request(
                "POST", WIDGETS, {"metadata": {"name": "a"}, "spec": {"extra": 1}, "status": {}}
            )
            assert (status, made["spec"], made["metadata"]["generation"]) == (201, {"size": 2}, 1)
            strict = f"{WIDGETS}?fieldValidation=Strict"
            status, refused = await h.request("POST", strict, {"metadata": {"name": "b"}, "spec": {"extra": 1}})
            assert status == 400 and 'unknown field "spec.extra"' in refused["message"]
            for spec, why in (
                ({"size": 0}, "spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1"),
                ({"size": 1, "min": 5}, 'spec: Invalid value: "object": min 5 is too big'),
            ):
                status, refused = await h.request("POST", WIDGETS, {"metadata": {"name": "b"}, "spec": spec})
                assert (status, refused["message"]) == (422, f'Widget.x.io "b" is invalid: {why}')
            status, changed = await h.request("PATCH", f"{WIDGETS}/a", {"spec": {"fixed": "x"}}, headers=MERGE)
            assert (status, changed["metadata"]["generation"]) == (200, 2)
            status, refused = await h.request("PATCH", f"{WIDGETS}/a", {"spec": {"fixed": "y"}}, headers=MERGE)
            assert (status, refused["details"]["causes"][0]["field"]) == (422, "spec.fixed")
            status, scale = await h.request("PATCH", f"{WIDGETS}/a/scale", {"spec": {"replicas": 5}}, headers=MERGE)
            assert (status, scale["spec"], scale["kind"]) == (200, {"replicas": 5}, "Scale")
            status, same = await h.request("PATCH", f"{WIDGETS}/a/status", {"status": {"replicas": 4}}, headers=MERGE)
            assert (status, same["metadata"]["generation"], same["spec"]["size"]) == (200, 3, 5)
            applied = {"apiVersion": "x.io/v1", "kind": "Widget", "metadata": {"name": "a"}, "spec": {"size": 7}}
            status, conflict = await h.request("PATCH", f"{WIDGETS}/a?fieldManager=m", applied, headers=APPLY)
            assert status == 409 and ".spec.size" in conflict["message"]
            status, resources = await h.request("GET", "/apis/x.io/v1")
            assert [r["name"] for r in resources["resources"]] == ["widgets", "widgets/scale", "widgets/status"]
            status, document = await h.request("GET", "/openapi/v3/apis/x.io/v1")
            assert document["components"]["schemas"]["io.x.v1.Widget"]["properties"]["spec"]["properties"]["size"]

    asyncio.run(body())


def limits(rule: str, **more: Any) -> dict[str, Any]:
    numbers = {"type": "array", "items": {"type": "integer"}, **more}
    return version("v1", {"properties": {"l": numbers}, "x-kubernetes-validations": [{"rule": rule, "message": "no"}]})


def test_rules_that_cost_too_much_are_refused_and_so_are_objects_that_make_them_costly() -> None:
    squared, cubed = (
        "self.l.all(x, self.l.all(y, x + y >= 0))",
        "self.l.all(x, self.l.all(y, self.l.all(z, x + y < z)))",
    )
    where = "spec.validation.openAPIV3Schema.properties[spec].x-kubernetes-validations[0].rule"
    hint = (
        "(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings "
        "are declared)"
    )

    async def body() -> None:
        async with running() as h:
            for one, why in (
                (
                    limits(squared),
                    f"{where}: Forbidden: estimated rule cost exceeds budget by factor of more than 100x {hint}",
                ),
                (
                    limits(cubed, maxItems=150),
                    f"{where}: Forbidden: estimated rule cost exceeds budget by factor of 2.7x {hint}",
                ),
                (limits("self.other == 1"), "undefined field 'other'"),
            ):
                status, refused = await h.request("POST", DEFINITIONS, definition(one))
                assert status == 422 and why in refused["message"], refused["message"]
            await define(h, definition(limits(squared, maxItems=1000)))
            sizes = ((10, 201, ""), (900, 422, "due to call cost exceeds limit for rule: no"))
            for size, expected, why in sizes:
                obj = {"metadata": {"name": f"n{size}"}, "spec": {"l": [1] * size}}
                status, answer = await h.request("POST", WIDGETS, obj)
                assert (status, why in answer.get("message", "")) == (expected, True), answer.get("message")

    asyncio.run(body())


def test_names_that_clash_are_not_accepted_until_they_are_free() -> None:
    async def body() -> None:
        async with running() as h:
            await define(h, definition(version("v1", {})))
            await h.request("POST", DEFINITIONS, definition(version("v1", {}), plural="gadgets"))
            crd = await reached(h, RESOURCE, "", "gadgets.x.io", lambda c: c and len(c.status.conditions) == 2)
            found = {c.type: (c.status, c.reason, c.message) for c in crd.status.conditions}
            assert found["NamesAccepted"] == ("False", "ListKindConflict", '"WidgetList" is already in use')
            assert found["Established"][:2] == ("False", "NotAccepted")
            await h.request("DELETE", f"{DEFINITIONS}/widgets.x.io")
            await reached(h, RESOURCE, "", "gadgets.x.io", established)
            assert (await h.request("GET", "/apis/x.io/v1/gadgets"))[0] == 200

    asyncio.run(body())


def test_a_definition_goes_after_its_objects() -> None:
    async def body() -> None:
        async with running() as h:
            await define(h, definition(version("v1", {})))
            await h.request("POST", WIDGETS, {"metadata": {"name": "a", "finalizers": ["x.io/hold"]}})
            await h.request("POST", WIDGETS, {"metadata": {"name": "b"}})
            status, crd = await h.request("DELETE", f"{DEFINITIONS}/widgets.x.io")
            assert crd["metadata"]["finalizers"] == ["customresourcecleanup.apiextensions.k8s.io"]
            await reached(h, "widgets.x.io", "default", "b", lambda o: o is None)
            status, refused = await h.request("POST", WIDGETS, {"metadata": {"name": "c"}})
            assert (status, refused["message"]) == (
                405,
                "create not allowed while custom resource definition is terminating",
            )
            shown = (await h.request("GET", "/apis/x.io/v1"))[1]["resources"]
            assert shown[0]["verbs"] == ["delete", "deletecollection", "get", "list", "watch"]
            await h.request("PATCH", f"{WIDGETS}/a", {"metadata": {"finalizers": None}}, headers=MERGE)
            await reached(h, RESOURCE, "", "widgets.x.io", lambda c: c is None)
            assert (await h.request("GET", WIDGETS))[0] == 404

    asyncio.run(body())


def test_stored_objects_are_served_after_a_restart_and_follow_the_schema() -> None:
    async def body() -> None:
        async with running() as h:
            old = {"properties": {"gone": {"type": "string"}}}
            await define(h, definition(version("v1", old)))
            await h.request("POST", WIDGETS, {"metadata": {"name": "a"}, "spec": {"gone": "x"}})
            status, crd = await h.request("GET", f"{DEFINITIONS}/widgets.x.io")
            crd["spec"]["versions"] = [
                version("v1", old, storage=False, deprecated=True),
                version("v2", {"properties": {"new": {"type": "string", "default": "d"}}}),
            ]
            status, crd = await h.request("PUT", f"{DEFINITIONS}/widgets.x.io", crd)
            assert (status, crd["status"]["storedVersions"]) == (200, ["v1", "v2"])
            served = asyncio.Event()
            h.server.registry.subscribe(lambda kind, added: served.set() if kind.version == "v2" else None)
            if h.server.registry.by_resource("x.io", "v2", "widgets") is None:
                await asyncio.wait_for(served.wait(), 10)
            found = await h.request("GET", "/apis/x.io/v2/namespaces/default/widgets/a")
            assert found[1]["spec"] == {"new": "d"}
            _, headers, _ = await h.raw("GET", WIDGETS)
            assert headers["warning"] == '299 - "x.io/v1 Widget is deprecated"'

    asyncio.run(body())


def test_defaults_and_fields_show_and_go_with_the_schema_that_has_them() -> None:
    """Upstream applies defaults and prunes when it reads: what is stored stays as it was."""
    plain = {"properties": {"size": {"type": "integer"}}}
    more = {"properties": {"size": {"type": "integer"}, "color": {"type": "string", "default": "red"}}}
    less: dict[str, Any] = {"properties": {}}

    async def body() -> None:
        async with running() as h:
            await define(h, definition(version("v1", plain)))
            await h.request("POST", WIDGETS, {"metadata": {"name": "a"}, "spec": {"size": 1}})
            for schema, wanted in ((more, {"size": 1, "color": "red"}), (plain, {"size": 1}), (less, {})):
                crd = (await h.request("GET", f"{DEFINITIONS}/widgets.x.io"))[1]
                crd["spec"]["versions"] = [version("v1", schema)]
                swapped = asyncio.Event()
                cancel = h.server.registry.subscribe(lambda kind, added, e=swapped: e.set())
                assert (await h.request("PUT", f"{DEFINITIONS}/widgets.x.io", crd))[0] == 200
                await asyncio.wait_for(swapped.wait(), 10)
                cancel()
                found = (await h.request("GET", f"{WIDGETS}/a"))[1]
                assert found["spec"] == wanted
                listed = (await h.request("GET", WIDGETS))[1]["items"][0]
                assert listed["spec"] == wanted
            crd = (await h.request("GET", f"{DEFINITIONS}/widgets.x.io"))[1]
            crd["spec"]["versions"] = [version("v1", plain)]
            swapped = asyncio.Event()
            h.server.registry.subscribe(lambda kind, added: swapped.set())
            await h.request("PUT", f"{DEFINITIONS}/widgets.x.io", crd)
            await asyncio.wait_for(swapped.wait(), 10)
            assert (await h.request("GET", f"{WIDGETS}/a"))[1]["spec"] == {"size": 1}

    asyncio.run(body())


def test_each_version_shows_what_its_schema_has() -> None:
    async def body() -> None:
        async with running() as h:
            text = {"type": "string"}
            v1 = version("v1", {"properties": {"a": text, "b": text}})
            v2 = version("v2", {"properties": {"a": text, "c": text}}, storage=False)
            await define(h, definition(v1, v2))
            second = WIDGETS.replace("v1", "v2")
            await h.request("POST", WIDGETS, {"metadata": {"name": "a"}, "spec": {"a": "1", "b": "2"}})
            assert (await h.request("GET", f"{second}/a"))[1]["spec"] == {"a": "1"}
            assert (await h.request("GET", second))[1]["items"][0]["spec"] == {"a": "1"}
            assert (await h.request("GET", f"{WIDGETS}/a"))[1]["spec"] == {"a": "1", "b": "2"}

    asyncio.run(body())


def test_versions_are_converted_by_a_webhook() -> None:
    asked: list[Callable[[], None]] = []

    def convert(path: str, request: dict[str, Any]) -> Any:
        if asked:
            asked.pop()()
        wanted = request["desiredAPIVersion"]
        if any(obj["apiVersion"] == wanted for obj in request["objects"]):
            return {"convertedObjects": [], "result": {"status": "Failure", "message": "a version into itself"}}
        for obj in request["objects"]:
            spec = obj["spec"]
            if wanted == "x.io/v2" and "at" in spec:
                spec["host"], _, spec["port"] = spec.pop("at").partition(":")
            elif wanted == "x.io/v1" and "host" in spec:
                spec["at"] = f"{spec.pop('host')}:{spec.pop('port')}"
            obj["apiVersion"] = wanted
        return {"convertedObjects": request["objects"], "result": {"status": "Success"}}

    async def body() -> None:
        async with running() as h, hooks(h, convert) as remote:
            text = {"type": "string"}
            conversion = {
                "strategy": "Webhook",
                "webhook": {"clientConfig": remote.client("/convert"), "conversionReviewVersions": ["v1"]},
            }
            v1 = version("v1", {"properties": {"at": text}})
            v2 = version("v2", {"properties": {"host": text, "port": text}}, storage=False)
            await define(h, definition(v1, v2, conversion=conversion))
            second = WIDGETS.replace("v1", "v2")
            await h.request("POST", WIDGETS, {"metadata": {"name": "a"}, "spec": {"at": "h:1"}})
            assert (await h.request("GET", f"{second}/a"))[1]["spec"] == {"host": "h", "port": "1"}
            status, changed = await h.request("PATCH", f"{second}/a", {"spec": {"port": "2"}}, headers=MERGE)
            assert (status, changed["apiVersion"], changed["spec"]) == (200, "x.io/v2", {"host": "h", "port": "2"})
            assert (await h.request("GET", f"{WIDGETS}/a"))[1]["spec"] == {"at": "h:2"}
            made = {"metadata": {"generateName": "b-"}, "spec": {"host": "z", "port": "9"}}
            assert (await h.request("POST", second, made))[0] == 201
            _, items = await h.request("GET", second)
            assert [i["spec"]["port"] for i in items["items"]] == ["2", "9"]
            # The storage version moves: what is written and read while objects are converted is of the new one.
            fresh = {"metadata": {"generateName": "c-"}, "spec": {"at": "y:3"}}
            writes: list[asyncio.Task[Any]] = []
            asked.extend([lambda: writes.append(asyncio.create_task(h.request("POST", WIDGETS, fresh)))] * 2)
            v1["storage"], v2["storage"] = False, True
            status, crd = await h.request("GET", f"{DEFINITIONS}/widgets.x.io")
            crd["spec"]["versions"] = [v1, v2]
            assert (await h.request("PUT", f"{DEFINITIONS}/widgets.x.io", crd))[0] == 200
            _, items = await h.request("GET", WIDGETS)
            assert {i["apiVersion"] for i in items["items"]} == {"x.io/v1"}
            assert [(await write)[0] for write in writes] == [201, 201]
            _, items = await h.request("GET", WIDGETS)
            assert [i["spec"]["at"] for i in items["items"]] == ["h:2", "z:9", "y:3", "y:3"]
            _, items = await h.request("GET", second)
            assert [i["spec"]["port"] for i in items["items"]] == ["2", "9", "3", "3"]
            assert {i["apiVersion"] for i in items["items"]} == {"x.io/v2"}

    asyncio.run(body())


def test_discovery_shows_a_resource_when_its_definition_is_settled() -> None:
    """Who waits for discovery may then change the definition as it was read: nothing else is written to it."""

    async def body() -> None:
        async with running() as h:
            seen: set[tuple[bool, bool]] = set()
            write = h.server.rest.one

            async def observed(*args: Any) -> Any:
                held = h.server.objects.get(RESOURCE, "", "widgets.x.io")
                if held is not None:
                    assert h.server.registry.by_resource("x.io", "v1", "widgets") is not None
                    seen.add((h.server.discovery.answer("/apis/x.io/v1") is not None, established(held)))
                return await write(*args)

            h.server.rest.one = observed  # type: ignore[method-assign,assignment]
            await define(h, definition(version("v1", SPEC)))
            assert seen == {(False, False)}
            for path in ("/apis", "/apis/x.io", "/apis/x.io/v1"):
                status, tree = await h.request("GET", path)
                assert status == 200 and "x.io" in str(tree)

    asyncio.run(body())
