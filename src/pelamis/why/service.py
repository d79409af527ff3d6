"""Why a Service leads nowhere: its selector, the readiness of its pods, and the names of ports."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Any

from pelamis.api.core.node import KIND as NODE
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.wellknown import OTHER_PROXY, SERVICE_NAME
from pelamis.api.discovery.endpointslice import KIND as SLICE
from pelamis.kubelet.hollow.node import LABEL as HOLLOW
from pelamis.why.cause import Advice, Cause, sound
from pelamis.why.pod import is_ready_pod
from pelamis.why.workload import why_pods
from pelamis.why.world import World

NEAREST = 3


def why_service(world: World, service: Any) -> Cause:
    meta, spec = service.metadata, service.spec
    about = f"service/{meta.name}"
    if spec.type == "ExternalName":
        return sound(about, f"is another name of {spec.externalName}; the cluster's DNS answers with it")
    slices = [s for s in world.all(SLICE, meta.namespace) if s.metadata.labels.get(SERVICE_NAME) == meta.name]
    ready = {e.addresses[0] for s in slices for e in s.endpoints if e.addresses and e.conditions.ready is not False}
    troubles = list(_ports(world, service))
    if spec.type == "LoadBalancer" and not service.status.loadBalancer.ingress:
        advice = Advice("give the cluster an address pool or a cloud controller; inside, the Service works")
        troubles.append(Cause(about, "has no address from a load balancer yet", advice=(advice,)))
    if not spec.selector:
        if ready:
            return Cause(
                about,
                f"has {len(ready)} endpoints, made by somebody else (it has no selector)",
                not troubles,
                deeper=tuple(troubles),
            )
        if OTHER_PROXY in meta.labels:
            return sound(about, f"is answered by somebody else than service proxies: {meta.labels[OTHER_PROXY]}")
        if (meta.namespace, meta.name) == ("default", "kubernetes"):
            text = "leads nowhere: the API server listens where only this machine reaches it"
            advice = Advice("give it an address that pods reach", "pelamis up --advertise-address ADDRESS")
            # containers are what needs it, and hollow nodes have none
            return Cause(about, text, all(n.metadata.labels.get(HOLLOW) for n in world.all(NODE)), advice=(advice,))
        text = "has no selector, and nobody has made endpoints for it"
        advice = Advice(f"give it a selector, or make an EndpointSlice with the label {SERVICE_NAME}={meta.name}")
        return Cause(about, text, advice=(advice,))
    selector = ",".join(f"{k}={v}" for k, v in sorted(spec.selector.items()))
    everyone = [p for p in world.all(POD, meta.namespace) if p.status.phase not in ("Succeeded", "Failed")]
    chosen = [p for p in everyone if all(p.metadata.labels.get(k) == v for k, v in spec.selector.items())]
    if not chosen:
        return _nobody(world, service, about, selector, everyone)
    well = [p for p in chosen if is_ready_pod(p)]
    if len(well) < len(chosen):
        troubles.extend(why_pods(world, chosen))
    if ready:
        text = f"leads to {len(ready)} of the {len(chosen)} pods that {selector} selects"
        return Cause(about, text, not troubles, deeper=tuple(troubles))
    if not well and not spec.publishNotReadyAddresses:
        text = f"leads nowhere: none of the {len(chosen)} pods that {selector} selects is ready"
        return Cause(about, text, deeper=tuple(troubles))
    text = f"leads nowhere, though {len(well)} pods that {selector} selects are ready"
    if not slices:
        advice = Advice("no EndpointSlice was made for it: look whether the controllers run", "pelamis status")
        return Cause(about, text, advice=(advice,), deeper=tuple(troubles))
    return Cause(about, text, deeper=tuple(troubles))


def _nobody(world: World, service: Any, about: str, selector: str, everyone: list[Any]) -> Cause:
    meta, wanted = service.metadata, service.spec.selector
    near: dict[tuple[str, ...], tuple[float, Any]] = {}
    for pod in everyone:
        own = pod.metadata.labels
        # A value that differs a little is likely what was meant.
        score = sum(SequenceMatcher(None, own[k], v).ratio() for k, v in wanted.items() if k in own)
        differ = tuple(
            f"{k}={own[k]}" if k in own else f"{k} is missing" for k, v in sorted(wanted.items()) if own.get(k) != v
        )
        if score >= 0.3 and differ not in near:
            near[differ] = (score, pod)
    best = sorted(near.items(), key=lambda item: (-item[1][0], item[1][1].metadata.name))[:NEAREST]
    deeper = tuple(Cause(f"pod/{p.metadata.name}", f"comes near, but {', '.join(d)}") for d, (_, p) in best)
    elsewhere = sorted(
        {
            p.metadata.namespace
            for p in (world.all(POD) if not best else ())
            if p.metadata.namespace != meta.namespace and all(p.metadata.labels.get(k) == v for k, v in wanted.items())
        }
    )
    advice = [
        Advice(
            "correct the selector, or the labels of the pods", f"kubectl edit service {meta.name} -n {meta.namespace}"
        )
    ]
    facts = []
    if elsewhere:
        facts.append(f"there are such pods in {', '.join(elsewhere)}; a Service selects in its own namespace only")
    elif not everyone:
        facts.append(f"there are no pods in namespace {meta.namespace}")
    text = f"leads nowhere: its selector {selector} selects no pod"
    return Cause(about, text, facts=tuple(facts), advice=tuple(advice), deeper=deeper)


def _ports(world: World, service: Any) -> Iterator[Cause]:
    """Target ports that are names must be names of container ports; numbers are only compared."""
    spec, meta = service.spec, service.metadata
    if not spec.selector:
        return
    chosen = [
        p
        for p in world.all(POD, meta.namespace)
        if all(p.metadata.labels.get(k) == v for k, v in spec.selector.items()) and p.status.phase == "Running"
    ]
    if not chosen:
        return
    for port in spec.ports:
        target = port.targetPort
        protocol = port.protocol or "TCP"
        have = [
            (c.name, n)
            for p in chosen[:1]
            for c in (*p.spec.containers, *(i for i in p.spec.initContainers if i.restartPolicy == "Always"))
            for n in c.ports
            if (n.protocol or "TCP") == protocol
        ]
        about = f"port {port.name or port.port}"
        if isinstance(target, str) and target and not target.isdigit():
            if target not in {n.name for _, n in have}:
                names = ", ".join(sorted(n.name for _, n in have if n.name)) or "none"
                text = f'its targetPort "{target}" is no name of a container port of the pods (there are: {names})'
                edit = f"kubectl edit service {meta.name} -n {meta.namespace}"
                yield Cause(about, text, advice=(Advice("correct targetPort, or name the container's port", edit),))
            continue
        number = int(target) if target else port.port
        declared = {n.containerPort for _, n in have}
        if declared and number not in declared:
            numbers = ", ".join(str(n) for n in sorted(declared))
            text = f"it leads to port {number}, and the containers declare {numbers}"
            yield Cause(about, text, advice=(Advice("if nothing listens there, correct targetPort"),))
