"""Why a pod is not running and ready: from its place over its volumes and images to how its containers end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from pelamis.api.apps.replicaset import KIND as REPLICASET
from pelamis.api.core.node import KIND as NODE
from pelamis.api.core.persistentvolumeclaim import KIND as CLAIM
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.pod.volume import claim_names
from pelamis.why.cause import Advice, Cause, sound
from pelamis.why.claim import why_claim
from pelamis.why.node import is_ready, why_node
from pelamis.why.scheduling import why_there, why_unscheduled
from pelamis.why.world import World

_IMAGE = (
    "ImagePullBackOff",
    "ErrImagePull",
    "InvalidImageName",
    "ErrImageNeverPull",
    "RegistryUnavailable",
    "ImageInspectError",
    "SignatureValidationFailed",
)
_EXITS = {
    1: "the program ended with an error of its own",
    2: "the program ended with an error of its own, often wrong arguments",
    126: "the command is there but cannot be executed: look at its permissions and at the machine's architecture",
    127: "the command is not in the image: look at command and args",
    134: "the program aborted (SIGABRT)",
    137: "the program was killed (SIGKILL)",
    139: "the program crashed (SIGSEGV)",
    143: "the program was told to end (SIGTERM)",
}


def why_pod(world: World, pod: Any, *, placement: bool = False) -> Cause:
    """placement: also why it is on its node."""
    status, meta = pod.status, pod.metadata
    about = f"pod/{meta.name}"
    if meta.deletionTimestamp is not None:
        return _terminating(world, pod)
    if status.phase == "Succeeded":
        return sound(about, "all its containers have ended well")
    if status.phase == "Failed":
        return _failed(world, pod)
    if not pod.spec.nodeName:
        found = why_unscheduled(world, pod, how_to_change(world, pod))
        claims = tuple(_claims(world, pod))
        return Cause(
            about,
            found.text,
            facts=found.facts,
            advice=found.advice,
            table=found.table,
            data=found.data,
            deeper=claims,
        )
    node = world.get(NODE, "", pod.spec.nodeName)
    if node is None or not is_ready(node):
        name = pod.spec.nodeName
        deeper = (why_node(world, node),) if node is not None else ()
        said = "is not ready" if node is not None else "does not exist"
        advice: tuple[Advice, ...] = ()
        if node is None:
            force = f"kubectl delete pod {meta.name} -n {meta.namespace} --grace-period=0 --force"
            advice = (Advice("the node is gone; if nothing replaces the pod soon, delete it", force),)
        return Cause(about, f"its node {name} {said}", advice=advice, deeper=deeper)
    troubles = tuple(_troubles(world, pod))
    if troubles:
        ready = sum(1 for c in status.containerStatuses if c.ready)
        total = len(pod.spec.containers)
        text = f"{ready} of {total} containers are ready on {pod.spec.nodeName}"
        if len(troubles) == 1 and troubles[0].about == about:
            return troubles[0]
        return Cause(about, text, deeper=troubles)
    there = why_there(world, pod) if placement else None
    since = next((world.ago(c.lastTransitionTime) for c in status.conditions if c.type == "Ready"), "")
    restarts = sum(c.restartCount for c in status.containerStatuses)
    facts = (f"it has had {_times(restarts)}",) if restarts else ()
    return Cause(
        about,
        f"runs on {pod.spec.nodeName} and is ready" + (f" for {since}" if since else ""),
        True,
        facts,
        deeper=(there,) if there is not None else (),
    )


def is_ready_pod(pod: Any) -> bool:
    return any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions)


def how_to_change(world: World, pod: Any) -> Advice | None:
    """Where the spec of the pod comes from: the pod itself can hardly be changed."""
    namespace = pod.metadata.namespace
    owner = next((r for r in pod.metadata.ownerReferences if r.controller), None)
    if owner is None:
        name = pod.metadata.name
        get = f"kubectl get pod {name} -n {namespace} -o yaml > pod.yaml"
        again = f"{get}  # then edit it, and:\nkubectl replace --force -f pod.yaml"
        return Advice("make the pod anew", again)
    kind, name = owner.kind, owner.name
    if kind == "ReplicaSet":
        replicaset = world.get(REPLICASET, namespace, name)
        above = next((r for r in replicaset.metadata.ownerReferences if r.controller), None) if replicaset else None
        if above is not None:
            kind, name = above.kind, above.name
    return Advice(f"change the template of {kind.lower()}/{name}", f"kubectl edit {kind.lower()} {name} -n {namespace}")


def _terminating(world: World, pod: Any) -> Cause:
    meta = pod.metadata
    about = f"pod/{meta.name}"
    if meta.finalizers:
        text = f"is being deleted and waits for its finalizers: {', '.join(meta.finalizers)}"
        return Cause(about, text, advice=(Advice("whoever put a finalizer there has to take it away"),))
    node = world.get(NODE, "", pod.spec.nodeName) if pod.spec.nodeName else None
    if pod.spec.nodeName and (node is None or not is_ready(node)):
        force = f"kubectl delete pod {meta.name} -n {meta.namespace} --grace-period=0 --force"
        text = f"is being deleted, and its node {pod.spec.nodeName} does not answer"
        deeper = (why_node(world, node),) if node is not None else ()
        return Cause(about, text, advice=(Advice("if the node will not come back:", force),), deeper=deeper)
    text = f"is being deleted: its containers have {meta.deletionGracePeriodSeconds} s to end"
    return Cause(about, text)


def _failed(world: World, pod: Any) -> Cause:
    about, status = f"pod/{pod.metadata.name}", pod.status
    ended = [c for c in status.containerStatuses if c.state.terminated is not None and c.state.terminated.exitCode]
    deeper = tuple(_with_logs(pod, _ended(pod, c, c.state.terminated), c.name) for c in ended)
    reason = status.reason or "its containers ended with errors"
    text = f"has failed: {reason}" + (f": {status.message}" if status.message else "")
    advice: tuple[Advice, ...] = ()
    if status.reason == "Evicted":
        advice = (
            Advice("its node ran out of something; request what the pod really uses, so that it is placed right"),
        )
    elif status.reason == "DeadlineExceeded":
        advice = (Advice("it ran longer than spec.activeDeadlineSeconds"),)
    return Cause(about, text, advice=advice, deeper=deeper)


def _with_logs(pod: Any, cause: Cause, name: str) -> Cause:
    command = f"kubectl logs {pod.metadata.name} -n {pod.metadata.namespace} -c {name}"
    return replace(cause, advice=(*cause.advice, Advice("what it printed:", command)))


def _claims(world: World, pod: Any) -> Iterator[Cause]:
    """Those of its claims that hold it up."""
    for name in claim_names(pod):
        claim = world.get(CLAIM, pod.metadata.namespace, name)
        if claim is None:
            text = "does not exist"
            namespace = pod.metadata.namespace
            look = Advice("create it, or correct the name in the pod's volumes", f"kubectl get pvc -n {namespace}")
            yield Cause(f"pvc/{name}", text, advice=(look,))
        elif claim.status.phase != "Bound":
            found = why_claim(world, claim, waiting_pod=pod)
            if not found.ok:
                yield found


def _troubles(world: World, pod: Any) -> Iterator[Cause]:
    """Of a pod that has its node."""
    status, spec = pod.status, pod.spec
    inits = {c.name: c for c in status.initContainerStatuses}
    for container in spec.initContainers:
        found = inits.get(container.name)
        if found is None:
            continue
        done = found.state.terminated is not None and found.state.terminated.exitCode == 0
        if done or (container.restartPolicy == "Always" and found.started):
            continue
        yield from _container(world, pod, container, found, "init container")
        return  # the others wait for it
    if not status.containerStatuses or all(
        c.state.waiting is not None and c.state.waiting.reason in ("ContainerCreating", "PodInitializing")
        for c in status.containerStatuses
    ):
        yield from _creating(world, pod)
        return
    if all(c.state.waiting is not None and not c.restartCount for c in status.containerStatuses):
        yield from _not_set_up(world, pod)
    named = {c.name: c for c in spec.containers}
    for each in status.containerStatuses:
        container = named.get(each.name)
        if container is not None:
            yield from _container(world, pod, container, each, "container")
    conditions = {c.type: c for c in status.conditions}
    for gate in spec.readinessGates:
        condition = conditions.get(gate.conditionType)
        if condition is None or condition.status != "True":
            said = f": {condition.message}" if condition is not None and condition.message else ""
            text = f"its readiness gate {gate.conditionType} is not met{said}"
            yield Cause(f"pod/{pod.metadata.name}", text, advice=(Advice("whoever owns the condition has to set it"),))


_SETUP = (
    "FailedMount",
    "FailedAttachVolume",
    "FailedCreatePodSandBox",
    "NetworkNotReady",
    "FailedMapVolume",
    "FailedBinding",
)


def _not_set_up(world: World, pod: Any) -> Iterator[Cause]:
    """Volumes and network, before any container."""
    events = world.events(POD, pod, *_SETUP)
    if events:
        event = events[0]
        text = f"its node cannot set it up: {event.reason}: {event.message}"
        about = f"pod/{pod.metadata.name}"
        yield Cause(about, text, advice=_for_mount(pod, event.message), deeper=tuple(_claims(world, pod)))


def _creating(world: World, pod: Any) -> Iterator[Cause]:
    about = f"pod/{pod.metadata.name}"
    found = list(_not_set_up(world, pod))
    if found:
        yield from found
        return
    since = world.ago(pod.status.startTime)
    text = f"its containers are being made on {pod.spec.nodeName}" + (f" since {since}" if since else "")
    pulling = world.events(POD, pod, "Pulling")
    pulled = world.events(POD, pod, "Pulled")
    if len(pulling) > len(pulled):
        text += f": {pulling[0].message}"
    yield Cause(about, text, advice=(Advice("wait, or look at the node's agent", "pelamis logs agent"),))


def _for_mount(pod: Any, message: str) -> tuple[Advice, ...]:
    namespace = pod.metadata.namespace
    out = []
    for word, plural in (("configmap", "configmap"), ("secret", "secret")):
        if word in message.lower() and "not found" in message:
            out.append(
                Advice(
                    f"create the {word}, or correct its name in the pod's volumes",
                    f"kubectl get {plural} -n {namespace}",
                )
            )
    return tuple(out)


def _container(world: World, pod: Any, container: Any, status: Any, word: str) -> Iterator[Cause]:
    about = f"{word} {container.name}"
    namespace, name = pod.metadata.namespace, pod.metadata.name
    where = how_to_change(world, pod)
    change = where.command if where is not None else ""
    logs = f"kubectl logs {name} -n {namespace} -c {container.name}"
    waiting, running, ended = status.state.waiting, status.state.running, status.state.terminated
    if waiting is not None and waiting.reason in _IMAGE:
        message = waiting.message
        failed = next((e.message for e in world.events(POD, pod, "Failed") if container.image in e.message), "")
        text = f'its image "{container.image}" cannot be pulled ({waiting.reason})'
        facts = tuple(dict.fromkeys(m for m in (failed, message) if m))[:1]
        yield Cause(about, text, facts=facts, advice=tuple(_for_image(pod, container, failed + message, change)))
    elif waiting is not None and waiting.reason == "CrashLoopBackOff":
        last = status.lastState.terminated
        found = _ended(pod, status, last)
        text = f"ends again and again: {_times(status.restartCount)}"
        facts = (f"the last time: {found.text}", *found.facts)
        probes = world.events(POD, pod, "Unhealthy", "Killing")
        if last is not None and probes and any("Liveness" in e.message or "liveness" in e.message for e in probes):
            facts += (f"the kubelet said: {probes[0].message}",)
        yield Cause(about, text, facts=facts, advice=(*found.advice, Advice("what it printed:", logs + " --previous")))
    elif waiting is not None and waiting.reason in (
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
    ):
        text = f"cannot be made ({waiting.reason}): {waiting.message}"
        advice = _for_mount(pod, waiting.message) or (Advice("correct what the message says", change),)
        yield Cause(about, text, advice=advice)
    elif waiting is not None:
        text = f"waits: {waiting.reason}" + (f": {waiting.message}" if waiting.message else "")
        yield Cause(about, text)
    elif ended is not None and (ended.exitCode or pod.spec.restartPolicy == "Always"):
        yield _ended(pod, status, ended)
    elif running is not None and word == "init container":
        since = world.ago(running.startedAt)
        text = f"has been running for {since}; the pod's containers start after it"
        yield Cause(about, text, advice=(Advice("what it does:", logs),))
    elif running is not None and not status.ready:
        yield _unready(world, pod, container, status, about, logs)


def _unready(world: World, pod: Any, container: Any, status: Any, about: str, logs: str) -> Cause:
    probe, kind = container.readinessProbe, "readiness"
    if status.started is False and container.startupProbe is not None:
        probe, kind = container.startupProbe, "startup"
    if probe is None:
        return Cause(about, "runs, and is not ready yet")
    events = [e for e in world.events(POD, pod, "Unhealthy") if kind in e.message.lower()]
    since = world.ago(status.state.running.startedAt)
    facts = (events[0].message.strip(),) if events else ()
    text = f"runs for {since}, but its {kind} probe does not succeed ({_probe(probe)})"
    first = (
        f"the probe asks first {probe.initialDelaySeconds} s after the start, then every {probe.periodSeconds or 10} s"
    )
    advice = [Advice("what the program says:", logs)]
    if not events:
        facts = (first,)
    return Cause(about, text, facts=facts, advice=tuple(advice))


def _times(restarts: int) -> str:
    return "1 restart" if restarts == 1 else f"{restarts} restarts"


def _probe(probe: Any) -> str:
    if probe.httpGet is not None:
        return f"GET {probe.httpGet.path or '/'} on port {probe.httpGet.port}"
    if probe.tcpSocket is not None:
        return f"connect to port {probe.tcpSocket.port}"
    if probe.grpc is not None:
        return f"gRPC health on port {probe.grpc.port}"
    return f"run {' '.join(probe.exec.command)}" if probe.exec is not None else "?"


def _for_image(pod: Any, container: Any, message: str, change: str) -> Iterator[Advice]:
    low = message.lower()
    if any(word in low for word in ("unauthorized", "denied", "authentication required", "no basic auth")):
        yield Advice(
            "the registry wants to know who asks: name a Secret in imagePullSecrets; or the image is not there", change
        )
    elif any(word in low for word in ("not found", "manifest unknown", "does not exist", "repository name not known")):
        yield Advice("there is no such image or tag in the registry: correct the name", change)
    elif any(
        word in low for word in ("no such host", "timeout", "connection refused", "dial tcp", "network", "resolve")
    ):
        yield Advice("the node does not reach the registry: look at its network and DNS")
        yield Advice("or load the image onto the node from a file", "pelamis image load FILE.tar")
    elif "invalid" in low:
        yield Advice("that is not a valid name of an image: correct it", change)
    else:
        yield Advice("correct the image, or load it onto the node", change)


def _ended(pod: Any, status: Any, ended: Any) -> Cause:
    about = f"container {status.name}"
    if ended is None:
        return Cause(about, "ended")
    spec = next((c for c in (*pod.spec.containers, *pod.spec.initContainers) if c.name == status.name), None)
    facts = (f"it left the message: {ended.message.strip()}",) if ended.message.strip() else ()
    if ended.reason == "OOMKilled":
        limit = spec.resources.limits.get("memory", "") if spec is not None else ""
        used = f" of {limit}" if limit else ""
        text = f"it was killed for using more memory than its limit{used} (OOMKilled, exit code {ended.exitCode})"
        hint = (
            "raise limits.memory, or make the program use less"
            if limit
            else "its node ran out of memory: set requests.memory"
        )
        return Cause(about, text, facts=facts, advice=(Advice(hint),))
    if ended.exitCode == 0:
        text = "it ended well (exit code 0), but a container of this pod is meant to go on"
        hint = "let the program stay in the foreground, or use a Job if it is meant to end"
        return Cause(about, text, facts=facts, advice=(Advice(hint),))
    known = _EXITS.get(ended.exitCode, "")
    if not known and ended.exitCode > 128:
        known = f"the program was ended by signal {ended.exitCode - 128}"
    reason = f"{ended.reason}, " if ended.reason not in ("", "Error") else ""
    text = f"{reason}exit code {ended.exitCode}" + (f": {known}" if known else "")
    return Cause(about, text, facts=facts)
