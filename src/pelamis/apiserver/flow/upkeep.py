"""Keeps the flow objects as they must be: the condition ``Dangling`` of each FlowSchema says whether its priority level
exists, and what every cluster starts with comes back when somebody deletes it, within a minute.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from pelamis.api import codec
from pelamis.api.field import Tree
from pelamis.apiserver.flow import objects
from pelamis.base.errors import StatusError
from pelamis.client.types import Action, Create, Patch

if TYPE_CHECKING:
    from pelamis.apiserver.server import ApiServer

log = logging.getLogger("pelamis.apiserver")
RESTORE_S = 60.0
_RETRY_S = 5.0
_KEPT = ("type", "status", "reason", "message")


class Upkeep:
    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self._client: Any = None
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._again = False
        self._restore = True

    async def start(self) -> None:
        """Makes what is missing, then follows the objects."""
        self._client = self._server.client("system:apiserver", "system:masters", agent="api-priority-and-fairness")
        await self._sync()
        for resource in (objects.SCHEMAS, objects.LEVELS):
            self._server.objects.view(resource).subscribe(self._changed, replay=False)

    def stop(self) -> None:
        self._client = None
        if self._timer is not None:
            self._timer.cancel()

    def _changed(self, key: Any, old: Any, new: Any) -> None:
        if self._client is None:
            return
        if new is None:
            self._later(RESTORE_S)
        self._go()

    def _later(self, seconds: float) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._restore_now)

    def _restore_now(self) -> None:
        self._timer = None
        self._restore = True
        self._go()

    def _go(self) -> None:
        if self._task is not None:
            self._again = True
            return
        self._task = self._server._spawn(self._work(), "upkeep of flow schemas")

    async def _work(self) -> None:
        try:
            while self._client is not None:
                self._again = False
                await self._sync()
                if not self._again:
                    return
        except StatusError as error:
            log.warning("flow schemas cannot be kept up: %s", error)
            self._later(_RETRY_S)
        finally:
            self._task = None

    async def _sync(self) -> None:
        if self._restore:
            self._restore = False
            for resource, trees in ((objects.LEVELS, objects.levels()), (objects.SCHEMAS, objects.schemas())):
                found = self._server.objects
                missing = [t for t in trees if found.get(resource, "", t["metadata"]["name"]) is None]
                await self._commit([Create(found.kind(resource), t) for t in missing])
        await self._commit(self._conditions())

    def _conditions(self) -> list[Action]:
        found = self._server.objects
        out: list[Action] = []
        for schema in found.list(objects.SCHEMAS):
            level = schema.spec.priorityLevelConfiguration.name
            there = found.get(objects.LEVELS, "", level) is not None
            wanted = objects.dangling(level, there, self._server.clock())
            have = next((c for c in schema.status.conditions if c.type == "Dangling"), None)
            if have is None or any(codec.to_tree(have).get(k) != wanted[k] for k in _KEPT):
                body: Tree = {"status": {"conditions": [wanted]}}
                name = schema.metadata.name
                out.append(Patch(found.kind(objects.SCHEMAS), "", name, body, "strategic", "status"))
        return out

    async def _commit(self, actions: list[Action]) -> None:
        if actions and self._client is not None:
            for outcome in await self._client.commit(actions):
                if outcome.error is not None and outcome.error.code not in (404, 409):
                    raise outcome.error
