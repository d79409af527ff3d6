"""A pod and its containers as the runtime wants them declared. Pure: everything found out elsewhere comes in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from pelamis.api.core.pod.signal import STOP_SIGNALS
from pelamis.kubelet import dns, env, resources, securitycontext
from pelamis.kubelet.cri import types as cri
from pelamis.kubelet.podstate import container_hash

POD_NAME = "io.kubernetes.pod.name"
POD_NAMESPACE = "io.kubernetes.pod.namespace"
POD_UID = "io.kubernetes.pod.uid"
CONTAINER_NAME = "io.kubernetes.container.name"
HASH = "io.kubernetes.container.hash"
RESTARTS = "io.kubernetes.container.restartCount"
MESSAGE_PATH = "io.kubernetes.container.terminationMessagePath"
MESSAGE_POLICY = "io.kubernetes.container.terminationMessagePolicy"
PRE_STOP = "io.kubernetes.container.preStopHandler"
PORTS = "io.kubernetes.container.ports"
GRACE = "io.kubernetes.pod.terminationGracePeriod"
_PROPAGATION = {
    None: cri.PRIVATE,
    "None": cri.PRIVATE,
    "HostToContainer": cri.HOST_TO_CONTAINER,
    "Bidirectional": cri.BIDIRECTIONAL,
}
_PROTOCOLS = {"": cri.TCP, "TCP": cri.TCP, "UDP": cri.UDP, "SCTP": cri.SCTP}
_SIGNALS = {name: number for number, name in enumerate(STOP_SIGNALS, start=1)}
_encode = msgspec.json.Encoder().encode


def pod_labels(pod: Any) -> dict[str, str]:
    return {POD_NAME: pod.metadata.name, POD_NAMESPACE: pod.metadata.namespace, POD_UID: pod.metadata.uid}


def log_folder(pod: Any) -> str:
    """Name of the pod's folder below the pod logs."""
    return f"{pod.metadata.namespace}_{pod.metadata.name}_{pod.metadata.uid}"


def sandbox(
    pod: Any, attempt: int, *, resolver: dns.Resolver, cluster_domain: str, logs: str, cgroup: str, seccomp: str
) -> cri.PodSandboxConfig:
    """Raises ValueError when the pod's names cannot be used."""
    spec = pod.spec
    context = spec.securityContext
    ports = []
    for container in (*(c for c in spec.initContainers if c.restartPolicy == "Always"), *spec.containers):
        for port in container.ports:
            if port.hostPort and not spec.hostNetwork:
                ports.append(
                    cri.PortMapping(
                        protocol=_PROTOCOLS[port.protocol],
                        container_port=port.containerPort,
                        host_port=port.hostPort,
                        host_ip=port.hostIP,
                    )
                )
    return cri.PodSandboxConfig(
        metadata=cri.PodSandboxMetadata(
            name=pod.metadata.name, uid=pod.metadata.uid, namespace=pod.metadata.namespace, attempt=attempt
        ),
        hostname="" if spec.hostNetwork else dns.hostname(pod, cluster_domain)[0],
        log_directory=f"{logs}/{log_folder(pod)}",
        dns_config=cri.DNSConfig(servers=resolver.servers, searches=resolver.searches, options=resolver.options),
        port_mappings=tuple(ports),
        labels={**pod.metadata.labels, **pod_labels(pod)},
        annotations={**pod.metadata.annotations, "kubernetes.io/config.source": "api"},
        linux=cri.LinuxPodSandboxConfig(
            cgroup_parent=cgroup,
            security_context=securitycontext.for_sandbox(pod, seccomp),
            sysctls={s.name: s.value for s in context.sysctls} if context is not None else {},
        ),
    )


@dataclass(frozen=True, slots=True)
class Made:
    """What was prepared for one container. mounts: (mount declaration, host path) in order; devices, more_mounts: as
    the runtime wants them; cdi: names of devices that it knows by itself."""

    image: Any
    image_ref: str
    environment: Mapping[str, str]
    mounts: tuple[tuple[Any, str], ...]
    hosts_path: str
    message_path: str
    memory_capacity: int
    seccomp: str
    target_id: str = ""
    devices: tuple[cri.Device, ...] = ()
    cdi: tuple[str, ...] = ()
    more_mounts: tuple[cri.Mount, ...] = ()


def container(pod: Any, declared: Any, attempt: int, made: Made) -> cri.ContainerConfig:
    """Raises env.ConfigError."""
    spec = declared
    variables = made.environment
    mounts = [
        cri.Mount(
            container_path=mount.mountPath if mount.mountPath.startswith("/") else "/" + mount.mountPath,
            host_path=path,
            readonly=mount.readOnly,
            propagation=_PROPAGATION.get(mount.mountPropagation, cri.PRIVATE),
            recursive_read_only=mount.recursiveReadOnly in ("Enabled", "IfPossible"),
        )
        for mount, path in made.mounts
    ]
    taken = {mount.container_path for mount in mounts}
    read_only_root = bool(spec.securityContext is not None and spec.securityContext.readOnlyRootFilesystem)
    if made.hosts_path and "/etc/hosts" not in taken:
        mounts.append(cri.Mount(container_path="/etc/hosts", host_path=made.hosts_path, readonly=read_only_root))
    if made.message_path:
        mounts.append(cri.Mount(container_path=spec.terminationMessagePath, host_path=made.message_path))
    annotations = {
        HASH: container_hash(spec),
        RESTARTS: str(attempt),
        MESSAGE_PATH: spec.terminationMessagePath,
        MESSAGE_POLICY: spec.terminationMessagePolicy,
    }
    grace = pod.spec.terminationGracePeriodSeconds
    if grace is not None:
        annotations[GRACE] = str(grace)
    if spec.lifecycle is not None and spec.lifecycle.preStop is not None:
        annotations[PRE_STOP] = _encode(spec.lifecycle.preStop).decode()
    if spec.ports:
        annotations[PORTS] = _encode(spec.ports).decode()
    stop = spec.lifecycle.stopSignal if spec.lifecycle is not None else None
    return cri.ContainerConfig(
        metadata=cri.ContainerMetadata(name=spec.name, attempt=attempt),
        image=cri.ImageSpec(image=made.image_ref, user_specified_image=spec.image),
        command=tuple(env.expand(text, variables) for text in spec.command),
        args=tuple(env.expand(text, variables) for text in spec.args),
        working_dir=spec.workingDir,
        envs=tuple(
            cri.KeyValue(key=name, value=value.encode("utf-8", "surrogateescape")) for name, value in variables.items()
        ),
        mounts=(*mounts, *made.more_mounts),
        devices=made.devices,
        CDI_devices=tuple(cri.CDIDevice(name=name) for name in made.cdi),
        labels={**pod_labels(pod), CONTAINER_NAME: spec.name},
        annotations=annotations,
        log_path=f"{spec.name}/{attempt}.log",
        stdin=spec.stdin,
        stdin_once=spec.stdinOnce,
        tty=spec.tty,
        linux=cri.LinuxContainerConfig(
            resources=resources.for_container(pod, spec, made.memory_capacity),
            security_context=securitycontext.for_container(
                pod, spec, made.image, seccomp_root=made.seccomp, target_id=made.target_id
            ),
        ),
        stop_signal=_SIGNALS.get(stop or "", 0),
    )
