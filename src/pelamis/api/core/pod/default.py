"""Computed defaults of pods and pod templates.

Constant defaults are declared on the fields and are already in the tree. What remains falls in two groups: defaults
that every pod spec gets, templates included (``default_pod_spec``), and defaults that only a Pod gets
(``default_pod``), so that a template keeps saying what its author wrote.
"""

from __future__ import annotations

from collections.abc import Iterable

from pelamis.api.core.pod.image import pull_policy
from pelamis.api.core.pod.resources import (
    Amounts,
    all_have_limit,
    is_overcommit_allowed,
    is_supported_pod_level,
    round_resource_list,
    tree_container_limits,
    tree_container_requests,
    write_amount,
)
from pelamis.api.field import Tree

_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_PROBE = (("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3))


def default_pod_template(template: Tree) -> None:
    """Defaults of a PodTemplateSpec tree."""
    spec = template.get("spec")
    if spec:
        default_pod_spec(spec)


def default_pod_spec(spec: Tree) -> None:
    """Defaults of a PodSpec tree that hold in pods and in templates. Idempotent."""
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    for volume in spec.get("volumes") or ():
        _default_volume(volume)
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(field) or ():
            _default_container(container)
    overhead = spec.get("overhead")
    if overhead:
        round_resource_list(overhead)
    resources = spec.get("resources")
    if resources:
        _round_requirements(resources)


def default_pod(pod: Tree) -> None:
    """Defaults of a Pod tree. Idempotent."""
    spec = pod.setdefault("spec", {})
    default_pod_spec(spec)
    if (spec.get("terminationGracePeriodSeconds") or 0) < 0:
        spec["terminationGracePeriodSeconds"] = 1  # of a pod; a template keeps what it says
    containers = spec.get("containers") or ()
    inits = spec.get("initContainers") or ()
    for container in (*containers, *inits):
        resources = container.get("resources")
        limits = resources.get("limits") if resources else None
        if limits:
            requests = resources.get("requests")
            if requests is None:
                requests = resources["requests"] = {}
            for name, amount in limits.items():
                requests.setdefault(name, amount)
    if spec.get("resources") is not None:
        _default_pod_level(spec)
    if spec.get("enableServiceLinks") is None:
        spec["enableServiceLinks"] = True
    if spec.get("hostNetwork"):
        _default_host_ports(containers)
        _default_host_ports(inits)
    if pod.get("status"):
        _align_addresses(pod["status"])


def _align_addresses(status: Tree) -> None:
    """podIP is the first of podIPs; where the two differ, podIP says what is meant."""
    one, several = status.get("podIP"), status.get("podIPs")
    if one and (not several or several[0].get("ip") != one):
        status["podIPs"] = [{"ip": one}]
    elif several and not one:
        status["podIP"] = several[0].get("ip", "")


def _default_volume(volume: Tree) -> None:
    sourced = False
    for name, source in volume.items():
        if name != "name" and source is not None:
            sourced = True
            break
    if not sourced:
        volume["emptyDir"] = {}
        return
    image = volume.get("image")
    if image is not None and not image.get("pullPolicy"):
        image["pullPolicy"] = pull_policy(image.get("reference") or "")
    ephemeral = volume.get("ephemeral")
    if ephemeral:
        template = (ephemeral.get("volumeClaimTemplate") or {}).get("spec") or {}
        if template.get("resources"):
            _round_requirements(template["resources"])


def _default_container(container: Tree) -> None:
    if not container.get("imagePullPolicy"):
        container["imagePullPolicy"] = pull_policy(container.get("image") or "")
    for name in _PROBES:
        probe = container.get(name)
        if probe is not None:
            for field, value in _PROBE:
                if not probe.get(field):
                    probe[field] = value
    resources = container.get("resources")
    if resources:
        _round_requirements(resources)


def _round_requirements(resources: Tree) -> None:
    for field in ("limits", "requests"):
        amounts = resources.get(field)
        if amounts:
            round_resource_list(amounts)


def _default_host_ports(containers: Iterable[Tree]) -> None:
    for container in containers:
        for port in container.get("ports") or ():
            if not port.get("hostPort") and port.get("containerPort"):
                port["hostPort"] = port["containerPort"]


def _default_pod_level(spec: Tree) -> None:
    """Pod-level requests and limits that follow from the containers', once the pod states some itself."""
    resources = spec["resources"]
    _default_hugepage_limits(spec, resources)
    limits = resources.get("limits") or {}
    requests = resources.get("requests") or {}
    if limits:
        have: Amounts = tree_container_requests(spec)
        for name, amount in have.items():
            if name not in requests and is_supported_pod_level(name) and is_overcommit_allowed(name):
                requests[name] = write_amount(name, amount)
        for name, limit in limits.items():
            if name not in requests and is_supported_pod_level(name):
                requests[name] = limit
        if requests:
            resources["requests"] = requests
    if any(is_supported_pod_level(name) for name in limits):
        return
    if not any(is_supported_pod_level(name) for name in requests):
        return
    for name, amount in tree_container_limits(spec).items():
        if (
            name not in limits
            and is_supported_pod_level(name)
            and is_overcommit_allowed(name)
            and all_have_limit(spec, name)
        ):
            limits[name] = write_amount(name, amount)
    if limits:
        resources["limits"] = limits


def _default_hugepage_limits(spec: Tree, resources: Tree) -> None:
    requests = resources.get("requests") or {}
    limits = resources.get("limits") or {}
    if not limits and not requests:
        return
    for name, amount in tree_container_limits(spec).items():
        if name.startswith("hugepages-") and name not in requests and name not in limits:
            limits[name] = write_amount(name, amount)
    if limits:
        resources["limits"] = limits
