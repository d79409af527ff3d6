"""Mutating and validating webhooks.

The configurations are compiled when they change, into hooks in the order of their names. Mutating hooks are called one
after the other, each seeing what those before it made; when one of them changed the object, the built-in plugins look
at it again, and the hooks that asked for it (``reinvocationPolicy: IfNeeded``) are called a second time. Validating
hooks are called at the same time, and the first refusal in their order is the answer.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from pelamis.api.field import Tree
from pelamis.api.kind import Kind
from pelamis.api.registry import Registry
from pelamis.apiserver.admission import review
from pelamis.apiserver.admission.condition import VARIABLES, all_hold, authorize_with, values_of
from pelamis.apiserver.admission.review import EXEMPT, Review
from pelamis.apiserver.admission.webhookclient import CallFailed, Webhooks
from pelamis.apiserver.write import Objects, Write
from pelamis.base import ids, jsonpatch
from pelamis.base.errors import BadRequest, Internal, StatusError
from pelamis.base.labels import Selector, from_label_selector

log = logging.getLogger("pelamis.apiserver")

MUTATING = "mutatingwebhookconfigurations.admissionregistration.k8s.io"
VALIDATING = "validatingwebhookconfigurations.admissionregistration.k8s.io"
_REVIEW = "admission.k8s.io/"
_WARNING_LIMIT = 256


@dataclass(slots=True)
class Hook:
    """One webhook of a configuration, with its selectors compiled. declared: the struct."""

    configuration: str
    declared: Any
    namespaces: Selector
    objects: Selector

    @property
    def name(self) -> str:
        name: str = self.declared.name
        return name


@dataclass(slots=True)
class _Call:
    """A hook that wants a write, and the version in which it wants it."""

    hook: Hook
    kind: Kind


class Hooks:
    """The hooks of one sort."""

    def __init__(self, view: Any, registry: Registry) -> None:
        self._view = view
        self._registry = registry
        self._hooks: list[Hook] | None = None
        view.subscribe(self._changed, replay=False)
        registry.subscribe(lambda kind, added: self._memo.clear())
        self._memo: dict[tuple[Any, ...], list[_Call]] = {}

    def _changed(self, key: Any, old: Any, new: Any) -> None:
        self._hooks = None
        self._memo.clear()

    def _all(self) -> list[Hook]:
        if self._hooks is None:
            self._hooks = [
                Hook(
                    config.metadata.name,
                    hook,
                    from_label_selector(hook.namespaceSelector or {}),
                    from_label_selector(hook.objectSelector or {}),
                )
                for config in sorted(self._view.list(), key=lambda c: c.metadata.name)
                for hook in config.webhooks
            ]
        return self._hooks

    def for_write(self, write: Write) -> list[_Call]:
        """Those whose rules match; selectors and conditions are still to be tried."""
        hooks = self._hooks if self._hooks is not None else self._all()
        if not hooks or write.hub.resource in EXEMPT:
            return []
        key = (write.kind, write.operation, write.subresource, bool(write.namespace))
        found = self._memo.get(key)
        if found is None:
            found = self._memo[key] = []
            for hook in hooks:
                kind = review.matching_version(hook.declared.rules, hook.declared.matchPolicy, write, self._registry)
                if kind is not None:
                    found.append(_Call(hook, kind))
        return found


class WebhookAdmission:
    """``rerun(write)``: the built-in mutating plugins once more, after a hook changed the object."""

    def __init__(
        self,
        objects: Objects,
        registry: Registry,
        client: Webhooks,
        entropy: Callable[[int], bytes],
        rerun: Callable[[Write], None],
    ) -> None:
        self._objects = objects
        self._client = client
        self._entropy = entropy
        self._rerun = rerun
        self._mutating = Hooks(objects.view(MUTATING), registry)
        self._validating = Hooks(objects.view(VALIDATING), registry)

    def mutates(self, write: Write) -> bool:
        return bool(self._mutating.for_write(write))

    def validates(self, write: Write) -> bool:
        return bool(self._validating.for_write(write))

    # -- mutating

    async def mutate(self, write: Write) -> None:
        """Changes ``write.tree``. Raises StatusError."""
        calls = self._mutating.for_write(write)
        again: list[_Call] = []
        """Called already, and to be called again should the object change after them."""
        needed: list[_Call] = []
        changed = False
        for call in calls:
            if await self._mutate_once(call, write):
                changed = True
                needed += [c for c in again if c not in needed]
                again = []
            if call.hook.declared.reinvocationPolicy == "IfNeeded":
                again.append(call)
        if not changed:
            return
        before = msgspec.json.encode(write.tree)
        self._rerun(write)
        if msgspec.json.encode(write.tree) != before:
            needed += [c for c in again if c not in needed]
        order = {id(c): i for i, c in enumerate(calls)}
        again_changed = False
        for call in sorted(needed, key=lambda c: order[id(c)]):
            again_changed |= await self._mutate_once(call, write)
        if again_changed:
            self._rerun(write)

    async def _mutate_once(self, call: _Call, write: Write) -> bool:
        shown = Review(write, call.kind)
        if not self._wants(call.hook, shown):
            return False
        response = await self._ask(call.hook, shown)
        patch = response.get("patch")
        if not patch or write.operation == "DELETE":
            return False
        name = call.hook.name
        if response.get("patchType") != "JSONPatch":
            raise Internal(f'failed calling webhook "{name}": received invalid webhook response: '
                           f'invalid patch type "{response.get("patchType") or ""}"')  # fmt: skip
        tree = shown.object
        assert tree is not None
        try:
            operations = jsonpatch.decode(msgspec.json.decode(base64.b64decode(patch, validate=True)))
            new = jsonpatch.apply(tree, operations)
        except (ValueError, binascii.Error) as error:
            raise Internal(str(error)) from None
        if not isinstance(new, dict):
            raise Internal(f'webhook "{name}" made of the object something else')
        if new == tree:
            return False
        if write.shown is not None:
            write.shown = (write.shown[0], new)
        else:
            review.replace_tree(write, new, call.kind)
        return True

    # -- validating

    async def validate(self, write: Write, obj: Any) -> None:
        """Raises StatusError with the first refusal."""
        shown: dict[Kind, Review] = {}
        calls = []
        for call in self._validating.for_write(write):
            seen = shown.setdefault(call.kind, Review(write, call.kind, obj))
            if self._wants(call.hook, seen):
                calls.append((call.hook, seen))
        if len(calls) == 1:
            await self._ask(*calls[0])
            return
        outcomes = await asyncio.gather(*(self._ask(*c) for c in calls), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    # -- one hook

    def _wants(self, hook: Hook, shown: Review) -> bool:
        write = shown.write
        declared = hook.declared
        if not review.namespace_matches(hook.namespaces, write, self._objects):
            return False
        if not review.object_matches(hook.objects, shown):
            return False
        if declared.matchConditions:
            authorize = authorize_with(self._objects, write.user)
            holds, wrong = all_hold(declared.matchConditions, VARIABLES, values_of(shown), authorize)
            if wrong:
                if declared.failurePolicy == "Ignore":
                    log.warning('webhook "%s" is passed over: %s', hook.name, wrong)
                    return False
                raise write.forbid(wrong)
            if not holds:
                return False
        if write.dry_run and declared.sideEffects not in ("None", "NoneOnDryRun"):
            raise BadRequest(f'admission webhook "{hook.name}" does not support dry run')
        return True

    async def _ask(self, hook: Hook, shown: Review) -> Tree:
        """The response of a hook that allowed the write; {} of one that failed and may. Raises StatusError."""
        write, declared = shown.write, hook.declared
        uid = ids.uid(self._entropy(16))
        version = next((v for v in declared.admissionReviewVersions if v in ("v1", "v1beta1")), "v1")
        body = {"kind": "AdmissionReview", "apiVersion": _REVIEW + version, "request": shown.complete(uid)}
        timeout = declared.timeoutSeconds or 10
        try:
            answer = await self._client.ask(declared.clientConfig, body, timeout, f"timeout={timeout}s")
            response = _checked(answer, uid, version)
        except CallFailed as error:
            if declared.failurePolicy == "Ignore":
                log.warning('failed calling webhook "%s", which is let pass: %s', hook.name, error)
                return {}
            raise Internal(f'failed calling webhook "{hook.name}": {error}') from None
        write.warnings.extend(str(w)[:_WARNING_LIMIT] for w in response.get("warnings") or ())
        for key, value in (response.get("auditAnnotations") or {}).items():
            write.audit[f"{hook.name}/{key}"] = str(value)
        if response.get("allowed") is not True:
            raise denial(hook.name, response.get("status"))
        return response


def _checked(answer: Tree, uid: str, version: str) -> Tree:
    """The response within the answer. Raises CallFailed."""

    def invalid(why: str) -> CallFailed:
        return CallFailed(f"received invalid webhook response: {why}")

    if answer.get("apiVersion") != _REVIEW + version or answer.get("kind") != "AdmissionReview":
        group_version = str(answer.get("apiVersion", ""))
        raise invalid(
            f"expected webhook response of {_REVIEW}{version}, Kind=AdmissionReview, "
            f"got {group_version}, Kind={answer.get('kind', '')}"
        )
    response = answer.get("response")
    if not isinstance(response, dict):
        raise CallFailed("webhook response was absent")
    if version == "v1":
        if response.get("uid") != uid:
            raise invalid(f'expected response.uid="{uid}", got "{response.get("uid", "")}"')
        if response.get("patch") and not response.get("patchType"):
            raise invalid("webhook returned response.patch but not response.patchType")
        if response.get("patchType") and not response.get("patch"):
            raise invalid("webhook returned response.patchType but not response.patch")
    elif response.get("patch"):
        response["patchType"] = "JSONPatch"
    return response


def denial(name: str, status: Any) -> StatusError:
    """What a refusal by a webhook becomes, with the code, the reason and the message it gave."""
    given: Tree = status if isinstance(status, dict) else {}
    code = given.get("code")
    if not isinstance(code, int) or code < 400:
        code = 400
    head = f'admission webhook "{name}" denied the request'
    reason = given.get("reason") or ""
    message = given.get("message")
    text = f"{head}: {message}" if message else f"{head}: {reason}" if reason else f"{head} without explanation"
    details = given.get("details") or None
    return StatusError(code, reason, text, details=details)


__all__: Sequence[str] = ("Hook", "WebhookAdmission", "denial")
