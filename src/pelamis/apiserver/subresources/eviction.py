"""``pods/eviction``: a deletion that a PodDisruptionBudget may refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pelamis.api import codec
from pelamis.api.field import Tree
from pelamis.apiserver import incoming, verbs
from pelamis.apiserver.request import DeleteOptions, WriteOptions, delete_options
from pelamis.apiserver.rest import Answer
from pelamis.apiserver.user import LOOPBACK_USER
from pelamis.apiserver.write import Patch, Write
from pelamis.base import labels
from pelamis.base.clock import rfc3339
from pelamis.base.errors import BadRequest, Forbidden, Internal, StatusError, TooManyRequests, is_reason

if TYPE_CHECKING:
    from pelamis.apiserver.server import ApiServer

_MAX_DISRUPTED = 2000
_PDBS = "poddisruptionbudgets.policy"
_RETRIES = 8


async def evict(server: ApiServer, write: Write) -> Answer:
    """POST: 201 with a Status, or 429 when the budget says no."""
    tree = write.tree
    body = server.registry.body("policy", "v1", "Eviction")
    assert body is not None
    incoming.report(write, codec.clean(body, tree))
    name = (tree.get("metadata") or {}).get("name") or ""
    if name and name != write.name:
        raise BadRequest("name in URL does not match name in Eviction object")
    options = delete_options((), tree.get("deleteOptions"))
    dry_run = write.options.dry_run or options.dry_run
    pod = server.objects.get("pods", write.namespace, write.name)
    if pod is None:
        raise verbs.absent(write.kind, write.name)
    write.operation, write.shown = "CREATE", (body, tree)
    await server.admission.review(write)
    if not _ignores_budget(pod):
        await _spend(server, write, pod, dry_run)
    if not dry_run:
        await _announce(server, write, pod)
    await _delete(server, write, options, dry_run)
    return Answer(201, None, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201})


def _ignores_budget(pod: Any) -> bool:
    return pod.status.phase in ("Succeeded", "Failed", "Pending") or pod.metadata.deletionTimestamp is not None


def _ready(pod: Any) -> bool:
    return any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions)


async def _spend(server: ApiServer, write: Write, pod: Any, dry_run: bool) -> None:
    """Take one disruption from the pod's budget. Raises StatusError."""
    for _ in range(_RETRIES):
        budgets = [
            b
            for b in server.objects.list(_PDBS, write.namespace)
            if b.spec.selector is not None and labels.from_label_selector(b.spec.selector).matches(pod.metadata.labels)
        ]
        if not budgets:
            return
        if len(budgets) > 1:
            raise StatusError(
                500,
                "InternalError",
                "Internal error occurred: This pod has more than one PodDisruptionBudget, "
                "which the eviction subresource does not support.",
            )
        budget = budgets[0]
        if not _ready(pod):
            if budget.spec.unhealthyPodEvictionPolicy == "AlwaysAllow":
                return
            status = budget.status
            if status.currentHealthy >= status.desiredHealthy and status.desiredHealthy > 0:
                return
        change = _spent(budget, write.name, server.clock())
        kind = server.objects.kind(_PDBS)
        update = Write("update", kind, LOOPBACK_USER, write.namespace, budget.metadata.name, "status")
        update.options = WriteOptions(dry_run=dry_run)
        update.tree = change
        try:
            await server.rest.one(update)
        except StatusError as error:
            if is_reason(error, "Conflict"):
                continue
            raise
        return
    raise TooManyRequests("Cannot evict pod: the disruption budget changes too fast", 10)


def _spent(budget: Any, pod: str, now: float) -> Tree:
    status = budget.status
    name = budget.metadata.name
    if status.observedGeneration < budget.metadata.generation:
        raise _refusal(f"The disruption budget {name} is still being processed by the server.")
    if status.disruptionsAllowed < 0:
        raise Forbidden("poddisruptionbudgets", "policy", name, "pdb disruptions allowed is negative")
    if len(status.disruptedPods) > _MAX_DISRUPTED:
        raise Forbidden(
            "poddisruptionbudgets",
            "policy",
            name,
            "DisruptedPods map too big - too many evictions not confirmed by PDB controller",
        )
    if status.disruptionsAllowed == 0:
        raise _refusal(
            f"The disruption budget {name} needs {status.desiredHealthy} healthy pods "
            f"and has {status.currentHealthy} currently"
        )
    tree = codec.to_tree(budget)
    after: Tree = tree["status"]
    after["disruptionsAllowed"] = status.disruptionsAllowed - 1
    after.setdefault("disruptedPods", {})[pod] = rfc3339(now)
    if not after["disruptionsAllowed"]:
        for condition in after.get("conditions", ()):
            if condition["type"] == "DisruptionAllowed" and condition["status"] != "False":
                condition.update(status="False", reason="InsufficientPods", lastTransitionTime=rfc3339(now))
    return tree


def _refusal(cause: str) -> StatusError:
    details: Tree = {"causes": [{"reason": "DisruptionBudget", "message": cause}]}
    error = TooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", 0, details)
    error.details = details
    error.headers = {}
    return error


async def _announce(server: ApiServer, write: Write, pod: Any) -> None:
    """The condition that tells why the pod is going."""
    condition = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "EvictionByEvictionAPI",
        "message": "Eviction API: evicting",
        "lastTransitionTime": rfc3339(server.clock()),
    }
    update = Write("patch", write.kind, LOOPBACK_USER, write.namespace, write.name, "status")
    update.patch = Patch("strategic", {"metadata": {"uid": pod.metadata.uid}, "status": {"conditions": [condition]}})
    try:
        await server.rest.one(update)
    except StatusError as error:
        if not (is_reason(error, "NotFound") or is_reason(error, "Invalid")):
            raise Internal(str(error)) from None


async def _delete(server: ApiServer, write: Write, options: DeleteOptions, dry_run: bool) -> None:
    options.dry_run = dry_run
    delete = Write("delete", write.kind, write.user, write.namespace, write.name, deletion=options)
    await server.rest.one(delete)
