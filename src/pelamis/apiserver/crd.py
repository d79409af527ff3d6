"""Serves what CustomResourceDefinitions define.

One task follows the definitions in the cache. For each one that changed it settles which names it may use, declares a
kind for every served version (and for the storage version, the hub of the others), and writes the conditions. The
order matters: a definition says Established only when its resource answers requests, and discovery shows the resource
only when that has been said: who finds it there can change the definition without a conflict.

A definition that is deleted first loses its objects: it stays, Terminating, until the last of them is gone.

Objects that were stored under another version or an older schema are brought to the present one when a kind is
declared, so readers never see what the schema does not allow; they are written back only when somebody writes them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import msgspec

from pelamis.api import codec, patchschema
from pelamis.api.apiextensions import structural
from pelamis.api.apiextensions.crdvalidation import approval
from pelamis.api.apiextensions.custom import kind_of, schema_of, version_of
from pelamis.api.apiextensions.customresourcedefinition import (
    CustomResourceDefinition,
    CustomResourceDefinitionCondition,
    CustomResourceDefinitionNames,
)
from pelamis.api.field import Tree
from pelamis.api.kind import Kind
from pelamis.apiserver.conversion import Converter, Shadow
from pelamis.apiserver.deletion import DEFINITION_CLEANUP as CLEANUP
from pelamis.apiserver.request import DeleteOptions
from pelamis.apiserver.subresources.customscale import CustomScale
from pelamis.apiserver.user import LOOPBACK_USER
from pelamis.apiserver.write import Objects, Write
from pelamis.base.clock import rfc3339
from pelamis.base.errors import StatusError

if TYPE_CHECKING:
    from pelamis.apiserver.server import ApiServer

log = logging.getLogger("pelamis.apiserver")

RESOURCE = "customresourcedefinitions.apiextensions.k8s.io"
_BATCH = 200
_FILL_S = 2.0
_PASSES = 4
_APPROVALS = {
    "approved": ("True", "ApprovedAnnotation"),
    "bypassed": ("False", "UnapprovedAnnotation"),
    "missing": ("False", "MissingAnnotation"),
    "invalid": ("False", "InvalidAnnotation"),
}
Condition = CustomResourceDefinitionCondition
Names = CustomResourceDefinitionNames


# -- conditions: pure -------------------------------------------------------------------------------------------------


def condition(crd: CustomResourceDefinition, name: str) -> Condition | None:
    return next((c for c in crd.status.conditions if c.type == name), None)


def is_true(crd: CustomResourceDefinition, name: str) -> bool:
    found = condition(crd, name)
    return found is not None and found.status == "True"


def accept_names(crd: CustomResourceDefinition, others: Sequence[CustomResourceDefinition]) -> tuple[Names, Condition]:
    """The names it may use, beside what the other definitions of its group have, and the condition that says so."""
    resources: set[str] = set()
    kinds: set[str] = set()
    for other in others:
        if other.spec.group != crd.spec.group or other.metadata.name == crd.metadata.name:
            continue
        names = other.status.acceptedNames
        resources |= {n for n in (names.plural, names.singular, *names.shortNames) if n}
        kinds |= {n for n in (names.kind, names.listKind) if n}
    wanted, have = crd.spec.names, crd.status.acceptedNames
    reason = message = ""

    def free(name: str, taken: set[str], why: str) -> bool:
        nonlocal reason, message
        if not name or name not in taken:
            return True
        reason, message = why, f'"{name}" is already in use'
        return False

    plural = wanted.plural if free(wanted.plural, resources, "PluralConflict") else have.plural
    singular = wanted.singular if free(wanted.singular, resources, "SingularConflict") else have.singular
    clashing = sorted(n for n in wanted.shortNames if n in resources)
    if clashing:
        reason = "ShortNamesConflict"
        message = f'"{clashing[0]}" is already in use' if len(clashing) == 1 else (
            "[" + ", ".join(f'"{n}" is already in use' for n in clashing) + "]"
        )  # fmt: skip
    short = have.shortNames if clashing else wanted.shortNames
    kind = wanted.kind if free(wanted.kind, kinds, "KindConflict") else have.kind
    list_kind = wanted.listKind if free(wanted.listKind, kinds, "ListKindConflict") else have.listKind
    names = Names(
        plural=plural,
        singular=singular,
        shortNames=short,
        kind=kind,
        listKind=list_kind,
        categories=wanted.categories,
    )
    if reason:
        return names, Condition(type="NamesAccepted", status="False", reason=reason, message=message)
    return names, Condition(type="NamesAccepted", status="True", reason="NoConflicts", message="no conflicts found")


def _established(crd: CustomResourceDefinition, accepted: Condition) -> Condition:
    if is_true(crd, "Established") or accepted.status == "True":
        return Condition(
            type="Established",
            status="True",
            reason="InitialNamesAccepted",
            message="the initial names have been accepted",
        )
    return Condition(type="Established", status="False", reason="NotAccepted", message="not all names are accepted")


def _non_structural(crd: CustomResourceDefinition) -> Condition | None:
    """Only definitions that an older server let in can have one."""
    errors = []
    for i, version in enumerate(crd.spec.versions):
        schema = schema_of(crd, version.name)
        path = f"spec.versions[{i}].schema.openAPIV3Schema"
        if schema is not None:
            errors += structural.check_structural(schema, path)
    if crd.spec.preserveUnknownFields:
        message = "spec.preserveUnknownFields: Invalid value: true: must be false"
    elif errors:
        texts = [str(e) for e in errors]
        message = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    else:
        return None
    return Condition(type="NonStructuralSchema", status="True", reason="Violations", message=message)


def conditions_of(crd: CustomResourceDefinition, accepted: Condition) -> list[Condition]:
    """What the conditions ought to be, besides Terminating, which is kept; times left out."""
    out = [accepted, _established(crd, accepted)]
    non_structural = _non_structural(crd)
    if non_structural is not None:
        out.append(non_structural)
    state, why = approval(crd)
    if state:
        status, reason = _APPROVALS[state]
        out.append(Condition(type="KubernetesAPIApprovalPolicyConformant", status=status, reason=reason, message=why))
    return out


def merge_conditions(
    have: Sequence[Condition], wanted: Sequence[Condition], dropped: Sequence[str], now: float
) -> list[Tree]:
    """In the order they have; a time changes with its status only."""
    new = {c.type: c for c in wanted}
    out: list[Tree] = []
    for old in have:
        if old.type in dropped and old.type not in new:
            continue
        out.append(_dated(old, new.pop(old.type, old), now))
    out.extend(_dated(None, c, now) for c in new.values())
    return out


def _dated(old: Condition | None, new: Condition, now: float) -> Tree:
    tree = codec.to_tree(new)
    if old is not None and old.status == new.status and old.lastTransitionTime:
        tree["lastTransitionTime"] = old.lastTransitionTime
    else:
        tree["lastTransitionTime"] = rfc3339(now)
    return tree


# -- kinds ------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Served:
    """The kinds that one definition has at the moment. mark: what they were made of."""

    mark: bytes
    hub: Kind
    kinds: list[Kind] = field(default_factory=list)
    """Those in the registry."""
    cancel: Callable[[], None] | None = None
    shadows: list[Kind] = field(default_factory=list)


def refresher(kind: Kind) -> Callable[[bytes], bytes]:
    """Stored or served bytes of any version, as stored bytes of the hub under its present schema."""

    def refresh(data: bytes) -> bytes:
        tree = codec.parse(data)
        tree["kind"], tree["apiVersion"] = kind.kind, kind.api_version
        if kind.prune is not None:
            kind.prune(tree)
        kind.default(tree)
        return codec.stored(kind, tree)

    return refresh


class Definitions:
    """``start`` before the server listens: what is stored and established is served from the first request on."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self._served: dict[str, Served] = {}
        self._terminating: dict[str, str] = {}
        self._dirty: dict[str, None] = {}
        self.changing: dict[str, asyncio.Future[None]] = {}
        """Resources whose versions are being declared anew; requests wait, so as to read and write one version."""
        self._wake = asyncio.Event()
        self._started = False
        self._task: asyncio.Task[None] | None = None
        self._cancel: Callable[[], None] | None = None

    # -- life

    async def start(self) -> None:
        view = self._server.objects.view(RESOURCE)
        for crd in view.list():
            if not is_true(crd, "Established"):
                continue
            try:
                await self._declare(crd)
            except Exception as error:
                # One definition that cannot be served now must not keep the server from starting; it is tried again.
                log.warning("definition %s: %s", crd.metadata.name, error)
        self._started = True
        self._cancel = view.subscribe(self._changed)
        self._task = self._server._spawn(self._run(), "customresourcedefinitions")

    async def stop(self) -> None:
        if self._cancel is not None:
            self._cancel()
        for served in self._served.values():
            if served.cancel is not None:
                served.cancel()
            self._drop_shadows(served)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _changed(self, key: Any, old: Any, new: Any) -> None:
        name = key[1]
        if new is not None and new.metadata.deletionTimestamp is not None:
            resource = f"{new.spec.names.plural}.{new.spec.group}"
            self._terminating[resource] = name
            self._server.discovery.set_ending(resource, is_true(new, "Terminating"))
        if old is not None and new is not None and old.spec != new.spec and name in self._served:
            self.changing.setdefault(self._served[name].hub.resource, self._server.loop.create_future())
        self._mark(name)
        # Names that became free may be what another definition waits for.
        if new is None or (old is not None and old.status.acceptedNames != new.status.acceptedNames):
            for other in self._server.objects.list(RESOURCE):
                if not is_true(other, "NamesAccepted"):
                    self._mark(other.metadata.name)

    def _mark(self, name: str) -> None:
        self._dirty[name] = None
        self._wake.set()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._dirty:
                name = next(iter(self._dirty))
                del self._dirty[name]
                try:
                    await self._sync(name)
                except StatusError as error:
                    if error.reason in ("Conflict", "NotFound"):
                        continue  # the event of what was faster wakes us
                    log.warning("definition %s: %s", name, error.message)
                    self._server.loop.call_later(1.0, self._mark, name)
                except Exception:
                    log.exception("definition %s", name)
                finally:
                    self._settle(name)

    def _settle(self, name: str) -> None:
        """Whoever waits for the definition goes on, unless it has changed again."""
        plural, _, group = name.partition(".")
        if name not in self._dirty and (waiting := self.changing.pop(f"{plural}.{group}", None)) is not None:
            waiting.set_result(None)

    def give_up(self, waiting: asyncio.Future[None]) -> None:
        """The change takes too long: requests meet what there is."""
        self.changing = {resource: future for resource, future in self.changing.items() if future is not waiting}
        if not waiting.done():
            waiting.set_result(None)

    # -- one definition

    async def _sync(self, name: str) -> None:
        crd: CustomResourceDefinition | None = self._server.objects.get(RESOURCE, "", name)
        if crd is None:
            self._withdraw(name)
            return
        if crd.metadata.deletionTimestamp is not None:
            if CLEANUP in crd.metadata.finalizers:
                await self._clean_up(crd)
            elif not crd.metadata.finalizers:
                self._withdraw(name)
            return
        names, accepted = accept_names(crd, self._server.objects.list(RESOURCE))
        wanted = conditions_of(crd, accepted)
        established = next(c for c in wanted if c.type == "Established")
        resource = f"{crd.spec.names.plural}.{crd.spec.group}"
        if established.status == "True":
            if not is_true(crd, "Established"):
                self._server.discovery.set_hidden(resource, True)
            await self._declare(crd, names)
        gone = ("NonStructuralSchema", "KubernetesAPIApprovalPolicyConformant")
        conditions = merge_conditions(crd.status.conditions, wanted, gone, self._server.clock())
        await self._write_status(crd, conditions, names)
        self._server.discovery.set_hidden(resource, False)

    async def _write_status(self, crd: CustomResourceDefinition, conditions: list[Tree], names: Names | None) -> None:
        tree = codec.to_tree(crd)
        before = codec.to_tree(crd)
        tree["status"]["conditions"] = conditions
        if names is not None:
            tree["status"]["acceptedNames"] = codec.to_tree(names)
        if tree != before:
            await self._update(tree, "status")

    async def _update(self, tree: Tree, subresource: str = "") -> None:
        kind = self._server.objects.kind(RESOURCE)
        write = Write("update", kind, LOOPBACK_USER, "", tree["metadata"]["name"], subresource, tree)
        write.user_agent = "kube-apiserver"
        await self._server.rest.one(write)

    # -- serving

    async def _declare(self, crd: CustomResourceDefinition, names: Names | None = None) -> None:
        names = names or crd.status.acceptedNames
        mark = codec.encode([codec.to_tree(crd.spec), codec.to_tree(names)])
        served = self._served.get(crd.metadata.name)
        if served is not None and served.mark == mark:
            return
        status = msgspec.structs.replace(crd.status, acceptedNames=names)
        crd = msgspec.structs.replace(crd, status=status)
        server = self._server
        storage = next(v.name for v in crd.spec.versions if v.storage)
        hub = kind_of(crd, storage)
        kinds = [hub, *(self._pruned(kind_of(crd, v.name, hub)) for v in crd.spec.versions if not v.storage)]
        converter = None
        if crd.spec.conversion is not None and crd.spec.conversion.webhook is not None:
            converter = Converter(crd, server.webhook_client, server.entropy)
            kinds = [hub, *(self._converted(kind, hub, converter) for kind in kinds[1:])]
        wanted = {v.name for v in crd.spec.versions if v.served}
        shown = [k for k in kinds if k.version in wanted and not self._is_builtin(k, served)]
        for kind in kinds:
            patchschema.declare(kind, schema_of(crd, kind.version))
            self._add_scale(crd, kind)
        await server.hold_kind(hub, await self._refresh(hub, converter))
        shadows = await self._shadow(hub, shown, converter)
        cancel: Callable[[], None] | None
        if served is None:
            cancel = server.cache.collection(hub).subscribe(lambda event: self._instance_gone(crd.metadata.name, event))
        else:
            cancel = served.cancel
            kept = {k.version for k in shown}
            for old in served.kinds:
                if old.version not in kept:
                    server.registry.remove(old)
            self._drop_shadows(served)
            for old in (served.hub, *served.kinds):
                patchschema.forget(old)
        self._served[crd.metadata.name] = Served(mark, hub, shown, cancel, shadows)
        for kind in shown:
            server.registry.add(kind)

    @staticmethod
    def _pruned(kind: Kind) -> Kind:
        """Without a webhook versions differ in what their schemas keep."""
        prune = kind.prune
        if prune is None:
            return kind

        def from_hub(tree: Tree) -> None:
            prune(tree)

        return replace(kind, from_hub=from_hub)

    @staticmethod
    def _converted(kind: Kind, hub: Kind, converter: Converter) -> Kind:
        return replace(
            kind,
            to_hub=lambda tree: converter.known(tree, hub.api_version),
            from_hub=lambda tree: converter.known(tree, kind.api_version),
        )

    async def _refresh(self, hub: Kind, converter: Converter | None) -> Callable[[bytes], bytes]:
        """What brings stored or held bytes to the hub; a webhook is asked beforehand about those of other versions."""
        refresh = refresher(hub)
        if converter is None:
            return refresh
        known: dict[bytes, bytes] = {}
        for _ in range(_PASSES):  # what is written while the webhook is asked is of the former version too
            values = [i.value for i in (await self._server.store.range(hub.prefix)).items]
            held = next((c for c in self._server.cache if c.kind.prefix == hub.prefix), None)
            if held is not None:
                values += [e.data for e in held.range("")[0]]
            trees = {v: codec.parse(v) for v in values if v not in known}
            others = [(v, t) for v, t in trees.items() if t.get("apiVersion") != hub.api_version]
            for start in range(0, len(others), _BATCH):
                part = others[start : start + _BATCH]
                made = await converter.convert([t for _, t in part], hub.api_version)
                known.update((value, codec.encode(tree)) for (value, _), tree in zip(part, made, strict=True))
            if not others:
                break
        return lambda value: refresh(known.get(value, value))

    async def _shadow(self, hub: Kind, shown: Sequence[Kind], converter: Converter | None) -> list[Kind]:
        out: list[Kind] = []
        for kind in shown if converter is not None else ():
            if kind is hub:
                continue
            assert converter is not None
            shadow = Shadow(kind, self._server.cache.collection(hub), converter)
            filled = False
            try:
                # A webhook may be a pod that does not run before the server does: nobody waits for it long.
                async with asyncio.timeout(_FILL_S if self._started else 0):
                    await shadow.fill()
                    filled = True
            except TimeoutError:
                shadow.fault = f"conversion webhook for {hub.api_version}, Kind={hub.kind} has not answered yet"
            except StatusError as error:
                shadow.fault = error.message
            self._server.objects.shadows[kind] = shadow
            self._server._spawn(shadow.run(filled), f"conversion {kind.resource}")
            out.append(kind)
        return out

    def _drop_shadows(self, served: Served) -> None:
        for kind in served.shadows:
            shadow = self._server.objects.shadows.pop(kind, None)
            if shadow is not None:
                shadow.stop()

    def _is_builtin(self, kind: Kind, served: Served | None) -> bool:
        found = self._server.registry.by_resource(kind.group, kind.version, kind.plural)
        return found is not None and (served is None or found not in served.kinds)

    def _add_scale(self, crd: CustomResourceDefinition, kind: Kind) -> None:
        key = (kind.resource, "scale")
        given = version_of(crd, kind.version).subresources
        body = self._server.registry.body("autoscaling", "v1", "Scale")
        assert body is not None
        scale = self._server.rest.transforms.get(key)
        if not isinstance(scale, CustomScale):
            scale = CustomScale(body)
        scale.paths[kind.version] = given.scale if given is not None else None
        self._server.rest.transforms[key] = scale
        self._server.specials[key] = scale.answer

    def _withdraw(self, name: str) -> None:
        served = self._served.pop(name, None)
        self._terminating.pop(name, None)
        self._server.discovery.set_ending(name, False)
        self._server.discovery.set_hidden(name, False)
        if served is None:
            return
        if served.cancel is not None:
            served.cancel()
        for kind in served.kinds:
            self._server.registry.remove(kind)
        self._drop_shadows(served)
        for kind in (served.hub, *served.kinds):
            patchschema.forget(kind)
        self._server.rest.transforms.pop((served.hub.resource, "scale"), None)
        self._server.specials.pop((served.hub.resource, "scale"), None)
        self._server.drop_kind(served.hub)

    # -- deletion

    def admit(self, write: Write, objects: Objects) -> None:
        """Nothing is created any more of what is being removed."""
        if not self._terminating or write.operation != "CREATE" or write.subresource:
            return
        if write.kind.resource in self._terminating:
            message = "create not allowed while custom resource definition is terminating"
            raise StatusError(
                405, "MethodNotAllowed", message, details={"group": write.kind.group, "kind": write.kind.plural}
            )

    def _instance_gone(self, name: str, event: Any) -> None:
        if self._terminating and event.new is None and name in self._terminating.values():
            self._mark(name)

    async def _clean_up(self, crd: CustomResourceDefinition) -> None:
        served = self._served.get(crd.metadata.name)
        if served is None and is_true(crd, "Established"):
            await self._declare(crd)
            served = self._served.get(crd.metadata.name)
        if served is not None:
            collection = self._server.cache.collection(served.hub)
            if len(collection):
                await self._progress(
                    crd, "True", "InstanceDeletionInProgress", "CustomResource deletion is in progress"
                )
                waiting = [e for e in collection.snapshot() if not e.obj.metadata.deletionTimestamp]
                for start in range(0, len(waiting), _BATCH):
                    part = waiting[start : start + _BATCH]
                    writes = [
                        Write("delete", served.hub, LOOPBACK_USER, *e.key, deletion=DeleteOptions()) for e in part
                    ]
                    for answer in await self._server.rest.execute(writes):
                        if answer.error is not None and answer.error.reason != "NotFound":
                            raise answer.error
                if len(collection):
                    return  # the last one that goes wakes us
        await self._progress(crd, "False", "InstanceDeletionCompleted", "removed all instances")
        latest = self._server.objects.get(RESOURCE, "", crd.metadata.name)
        if latest is None:
            return
        tree = codec.to_tree(latest)
        tree["metadata"]["finalizers"] = [f for f in latest.metadata.finalizers if f != CLEANUP]
        await self._update(tree)

    async def _progress(self, crd: CustomResourceDefinition, status: str, reason: str, message: str) -> None:
        wanted = Condition(type="Terminating", status=status, reason=reason, message=message)
        latest = self._server.objects.get(RESOURCE, "", crd.metadata.name)
        if latest is not None:
            conditions = merge_conditions(latest.status.conditions, [wanted], (), self._server.clock())
            await self._write_status(latest, conditions, None)
