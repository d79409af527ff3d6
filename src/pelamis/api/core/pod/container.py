"""Containers: image, command, environment, resources, mounts, probes, hooks, security."""

from __future__ import annotations

from typing import Annotated

from pelamis.api.core.pod.volume import ObjectFieldSelector, ResourceFieldSelector
from pelamis.api.field import F, Int32, Int64, IntOrString, Quantity, Struct, always


class ContainerPort(Struct, frozen=True):
    name: Annotated[str, F(1)] = ""
    hostPort: Annotated[Int32, F(2)] = 0
    containerPort: Annotated[Int32, F(3, required=True)] = always(int)
    protocol: Annotated[
        str,
        F(
            4,
            enum=(
                "TCP",
                "UDP",
                "SCTP",
            ),
            default="TCP",
            shown=True,
        ),
    ] = ""
    hostIP: Annotated[str, F(5)] = ""


class ConfigMapEnvSource(Struct, frozen=True):
    name: Annotated[str, F(1, within=(1,), default="", shown=True)] = ""
    optional: Annotated[bool | None, F(2)] = None


class SecretEnvSource(Struct, frozen=True):
    name: Annotated[str, F(1, within=(1,), default="", shown=True)] = ""
    optional: Annotated[bool | None, F(2)] = None


class EnvFromSource(Struct, frozen=True):
    prefix: Annotated[str, F(1)] = ""
    configMapRef: Annotated[ConfigMapEnvSource | None, F(2)] = None
    secretRef: Annotated[SecretEnvSource | None, F(3)] = None


class ConfigMapKeySelector(Struct, frozen=True):
    name: Annotated[str, F(1, within=(1,), default="", shown=True)] = ""
    key: Annotated[str, F(2, required=True)] = always(str)
    optional: Annotated[bool | None, F(3)] = None


class SecretKeySelector(Struct, frozen=True):
    name: Annotated[str, F(1, within=(1,), default="", shown=True)] = ""
    key: Annotated[str, F(2, required=True)] = always(str)
    optional: Annotated[bool | None, F(3)] = None


class FileKeySelector(Struct, frozen=True):
    volumeName: Annotated[str, F(1, required=True)] = always(str)
    path: Annotated[str, F(2, required=True)] = always(str)
    key: Annotated[str, F(3, required=True)] = always(str)
    optional: Annotated[bool | None, F(4, default=False, shown=True)] = None


class EnvVarSource(Struct, frozen=True):
    fieldRef: Annotated[ObjectFieldSelector | None, F(1)] = None
    resourceFieldRef: Annotated[ResourceFieldSelector | None, F(2)] = None
    configMapKeyRef: Annotated[ConfigMapKeySelector | None, F(3)] = None
    secretKeyRef: Annotated[SecretKeySelector | None, F(4)] = None
    fileKeyRef: Annotated[FileKeySelector | None, F(5)] = None


class EnvVar(Struct, frozen=True):
    name: Annotated[str, F(1, required=True)] = always(str)
    value: Annotated[str, F(2)] = ""
    valueFrom: Annotated[EnvVarSource | None, F(3)] = None


class ResourceClaim(Struct, frozen=True):
    name: Annotated[str, F(1, required=True)] = always(str)
    request: Annotated[str, F(2)] = ""


class ResourceRequirements(Struct, frozen=True):
    limits: Annotated[dict[str, Quantity], F(1)] = {}
    requests: Annotated[dict[str, Quantity], F(2)] = {}
    claims: Annotated[tuple[ResourceClaim, ...], F(3, list="map", keys=("name",))] = ()


class ContainerResizePolicy(Struct, frozen=True):
    resourceName: Annotated[str, F(1, required=True)] = always(str)
    restartPolicy: Annotated[str, F(2, required=True)] = always(str)


class ContainerRestartRuleOnExitCodes(Struct, frozen=True):
    operator: Annotated[str, F(1, required=True)] = ""
    values: Annotated[tuple[Int32, ...], F(2, list="set")] = ()


class ContainerRestartRule(Struct, frozen=True):
    action: Annotated[str, F(1, required=True)] = ""
    exitCodes: Annotated[ContainerRestartRuleOnExitCodes | None, F(2)] = None


class VolumeMount(Struct, frozen=True):
    name: Annotated[str, F(1, required=True)] = always(str)
    readOnly: Annotated[bool, F(2)] = False
    recursiveReadOnly: Annotated[str | None, F(7)] = None
    mountPath: Annotated[str, F(3, required=True)] = always(str)
    subPath: Annotated[str, F(4)] = ""
    mountPropagation: Annotated[
        str | None,
        F(
            5,
            enum=(
                "None",
                "HostToContainer",
                "Bidirectional",
            ),
        ),
    ] = None
    subPathExpr: Annotated[str, F(6)] = ""
    bindMountOptions: Annotated[tuple[str, ...], F(8, list="set")] = ()


class VolumeDevice(Struct, frozen=True):
    name: Annotated[str, F(1, required=True)] = always(str)
    devicePath: Annotated[str, F(2, required=True)] = always(str)


class ExecAction(Struct, frozen=True):
    command: Annotated[tuple[str, ...], F(1, list="atomic")] = ()


class HTTPHeader(Struct, frozen=True):
    name: Annotated[str, F(1, required=True)] = always(str)
    value: Annotated[str, F(2, required=True)] = always(str)


class HTTPGetAction(Struct, frozen=True):
    path: Annotated[str, F(1, default="/")] = ""
    port: Annotated[IntOrString, F(2, required=True)] = always(lambda: 0)
    host: Annotated[str, F(3)] = ""
    scheme: Annotated[
        str,
        F(
            4,
            enum=(
                "HTTP",
                "HTTPS",
            ),
            default="HTTP",
        ),
    ] = ""
    httpHeaders: Annotated[tuple[HTTPHeader, ...], F(5, list="atomic")] = ()
    protocol: Annotated[
        str | None,
        F(
            6,
            enum=(
                "HTTP1",
                "HTTP2",
            ),
        ),
    ] = None


class TCPSocketAction(Struct, frozen=True):
    port: Annotated[IntOrString, F(1, required=True)] = always(lambda: 0)
    host: Annotated[str, F(2)] = ""


class GRPCAction(Struct, frozen=True):
    port: Annotated[Int32, F(1, required=True)] = always(int)
    service: Annotated[str | None, F(2, default="", shown=True)] = None
    mode: Annotated[
        str | None,
        F(
            3,
            enum=(
                "Plaintext",
                "TLS",
            ),
        ),
    ] = None


class Probe(Struct, frozen=True):
    exec: Annotated[ExecAction | None, F(1, within=(1,))] = None
    httpGet: Annotated[HTTPGetAction | None, F(2, within=(1,))] = None
    tcpSocket: Annotated[TCPSocketAction | None, F(3, within=(1,))] = None
    grpc: Annotated[GRPCAction | None, F(4, within=(1,))] = None
    initialDelaySeconds: Annotated[Int32, F(2)] = 0
    timeoutSeconds: Annotated[Int32, F(3)] = 0
    periodSeconds: Annotated[Int32, F(4)] = 0
    successThreshold: Annotated[Int32, F(5)] = 0
    failureThreshold: Annotated[Int32, F(6)] = 0
    terminationGracePeriodSeconds: Annotated[Int64 | None, F(7)] = None


class SleepAction(Struct, frozen=True):
    seconds: Annotated[Int64, F(1, required=True)] = always(int)


class LifecycleHandler(Struct, frozen=True):
    exec: Annotated[ExecAction | None, F(1)] = None
    httpGet: Annotated[HTTPGetAction | None, F(2)] = None
    tcpSocket: Annotated[TCPSocketAction | None, F(3)] = None
    sleep: Annotated[SleepAction | None, F(4)] = None


class Lifecycle(Struct, frozen=True):
    postStart: Annotated[LifecycleHandler | None, F(1)] = None
    preStop: Annotated[LifecycleHandler | None, F(2)] = None
    stopSignal: Annotated[
        str | None,
        F(
            3,
            enum=(
                "SIGABRT",
                "SIGALRM",
                "SIGBUS",
                "SIGCHLD",
                "SIGCLD",
                "SIGCONT",
                "SIGFPE",
                "SIGHUP",
                "SIGILL",
                "SIGINT",
                "SIGIO",
                "SIGIOT",
                "SIGKILL",
                "SIGPIPE",
                "SIGPOLL",
                "SIGPROF",
                "SIGPWR",
                "SIGQUIT",
                "SIGSEGV",
                "SIGSTKFLT",
                "SIGSTOP",
                "SIGSYS",
                "SIGTERM",
                "SIGTRAP",
                "SIGTSTP",
                "SIGTTIN",
                "SIGTTOU",
                "SIGURG",
                "SIGUSR1",
                "SIGUSR2",
                "SIGVTALRM",
                "SIGWINCH",
                "SIGXCPU",
                "SIGXFSZ",
                "SIGRTMIN",
                "SIGRTMIN+1",
                "SIGRTMIN+2",
                "SIGRTMIN+3",
                "SIGRTMIN+4",
                "SIGRTMIN+5",
                "SIGRTMIN+6",
                "SIGRTMIN+7",
                "SIGRTMIN+8",
                "SIGRTMIN+9",
                "SIGRTMIN+10",
                "SIGRTMIN+11",
                "SIGRTMIN+12",
                "SIGRTMIN+13",
                "SIGRTMIN+14",
                "SIGRTMIN+15",
                "SIGRTMAX-14",
                "SIGRTMAX-13",
                "SIGRTMAX-12",
                "SIGRTMAX-11",
                "SIGRTMAX-10",
                "SIGRTMAX-9",
                "SIGRTMAX-8",
                "SIGRTMAX-7",
                "SIGRTMAX-6",
                "SIGRTMAX-5",
                "SIGRTMAX-4",
                "SIGRTMAX-3",
                "SIGRTMAX-2",
                "SIGRTMAX-1",
                "SIGRTMAX",
            ),
        ),
    ] = None


class Capabilities(Struct, frozen=True):
    add: Annotated[tuple[str, ...], F(1, list="atomic")] = ()
    drop: Annotated[tuple[str, ...], F(2, list="atomic")] = ()


class SELinuxOptions(Struct, frozen=True):
    user: Annotated[str, F(1)] = ""
    role: Annotated[str, F(2)] = ""
    type: Annotated[str, F(3)] = ""
    level: Annotated[str, F(4)] = ""


class WindowsSecurityContextOptions(Struct, frozen=True):
    gmsaCredentialSpecName: Annotated[str | None, F(1)] = None
    gmsaCredentialSpec: Annotated[str | None, F(2)] = None
    runAsUserName: Annotated[str | None, F(3)] = None
    hostProcess: Annotated[bool | None, F(4)] = None


class SeccompProfile(Struct, frozen=True):
    type: Annotated[
        str,
        F(
            1,
            enum=(
                "Unconfined",
                "RuntimeDefault",
                "Localhost",
            ),
            required=True,
        ),
    ] = always(str)
    localhostProfile: Annotated[str | None, F(2)] = None


class AppArmorProfile(Struct, frozen=True):
    type: Annotated[
        str,
        F(
            1,
            enum=(
                "Unconfined",
                "RuntimeDefault",
                "Localhost",
            ),
            required=True,
        ),
    ] = always(str)
    localhostProfile: Annotated[str | None, F(2)] = None


class SecurityContext(Struct, frozen=True):
    capabilities: Annotated[Capabilities | None, F(1)] = None
    privileged: Annotated[bool | None, F(2)] = None
    seLinuxOptions: Annotated[SELinuxOptions | None, F(3)] = None
    windowsOptions: Annotated[WindowsSecurityContextOptions | None, F(10)] = None
    runAsUser: Annotated[Int64 | None, F(4)] = None
    runAsGroup: Annotated[Int64 | None, F(8)] = None
    runAsNonRoot: Annotated[bool | None, F(5)] = None
    readOnlyRootFilesystem: Annotated[bool | None, F(6)] = None
    allowPrivilegeEscalation: Annotated[bool | None, F(7)] = None
    procMount: Annotated[
        str | None,
        F(
            9,
            enum=(
                "Default",
                "Unmasked",
            ),
        ),
    ] = None
    seccompProfile: Annotated[SeccompProfile | None, F(11)] = None
    appArmorProfile: Annotated[AppArmorProfile | None, F(12)] = None


class Container(Struct, frozen=True):
    name: Annotated[str, F(1, required=True)] = always(str)
    image: Annotated[str, F(2)] = ""
    command: Annotated[tuple[str, ...], F(3, list="atomic")] = ()
    args: Annotated[tuple[str, ...], F(4, list="atomic")] = ()
    workingDir: Annotated[str, F(5)] = ""
    ports: Annotated[
        tuple[ContainerPort, ...],
        F(
            6,
            merge="merge",
            key="containerPort",
            list="map",
            keys=(
                "containerPort",
                "protocol",
            ),
        ),
    ] = ()
    envFrom: Annotated[tuple[EnvFromSource, ...], F(19, list="atomic")] = ()
    env: Annotated[tuple[EnvVar, ...], F(7, merge="merge", key="name", list="map", keys=("name",))] = ()
    resources: Annotated[ResourceRequirements, F(8)] = always(ResourceRequirements)
    resizePolicy: Annotated[tuple[ContainerResizePolicy, ...], F(23, list="atomic")] = ()
    restartPolicy: Annotated[str | None, F(24)] = None
    restartPolicyRules: Annotated[tuple[ContainerRestartRule, ...], F(25, list="atomic")] = ()
    volumeMounts: Annotated[
        tuple[VolumeMount, ...], F(9, merge="merge", key="mountPath", list="map", keys=("mountPath",))
    ] = ()
    volumeDevices: Annotated[
        tuple[VolumeDevice, ...], F(21, merge="merge", key="devicePath", list="map", keys=("devicePath",))
    ] = ()
    livenessProbe: Annotated[Probe | None, F(10)] = None
    readinessProbe: Annotated[Probe | None, F(11)] = None
    startupProbe: Annotated[Probe | None, F(22)] = None
    lifecycle: Annotated[Lifecycle | None, F(12)] = None
    terminationMessagePath: Annotated[str, F(13, default="/dev/termination-log")] = ""
    terminationMessagePolicy: Annotated[
        str,
        F(
            20,
            enum=(
                "File",
                "FallbackToLogsOnError",
            ),
            default="File",
        ),
    ] = ""
    imagePullPolicy: Annotated[
        str,
        F(
            14,
            enum=(
                "Always",
                "Never",
                "IfNotPresent",
            ),
        ),
    ] = ""
    securityContext: Annotated[SecurityContext | None, F(15)] = None
    stdin: Annotated[bool, F(16)] = False
    stdinOnce: Annotated[bool, F(17)] = False
    tty: Annotated[bool, F(18)] = False


class EphemeralContainer(Struct, frozen=True):
    name: Annotated[str, F(1, within=(1,), required=True)] = always(str)
    image: Annotated[str, F(2, within=(1,))] = ""
    command: Annotated[tuple[str, ...], F(3, within=(1,), list="atomic")] = ()
    args: Annotated[tuple[str, ...], F(4, within=(1,), list="atomic")] = ()
    workingDir: Annotated[str, F(5, within=(1,))] = ""
    ports: Annotated[
        tuple[ContainerPort, ...],
        F(
            6,
            within=(1,),
            merge="merge",
            key="containerPort",
            list="map",
            keys=(
                "containerPort",
                "protocol",
            ),
        ),
    ] = ()
    envFrom: Annotated[tuple[EnvFromSource, ...], F(19, within=(1,), list="atomic")] = ()
    env: Annotated[tuple[EnvVar, ...], F(7, within=(1,), merge="merge", key="name", list="map", keys=("name",))] = ()
    resources: Annotated[ResourceRequirements, F(8, within=(1,))] = always(ResourceRequirements)
    resizePolicy: Annotated[tuple[ContainerResizePolicy, ...], F(23, within=(1,), list="atomic")] = ()
    restartPolicy: Annotated[str | None, F(24, within=(1,))] = None
    restartPolicyRules: Annotated[tuple[ContainerRestartRule, ...], F(25, within=(1,), list="atomic")] = ()
    volumeMounts: Annotated[
        tuple[VolumeMount, ...], F(9, within=(1,), merge="merge", key="mountPath", list="map", keys=("mountPath",))
    ] = ()
    volumeDevices: Annotated[
        tuple[VolumeDevice, ...], F(21, within=(1,), merge="merge", key="devicePath", list="map", keys=("devicePath",))
    ] = ()
    livenessProbe: Annotated[Probe | None, F(10, within=(1,))] = None
    readinessProbe: Annotated[Probe | None, F(11, within=(1,))] = None
    startupProbe: Annotated[Probe | None, F(22, within=(1,))] = None
    lifecycle: Annotated[Lifecycle | None, F(12, within=(1,))] = None
    terminationMessagePath: Annotated[str, F(13, within=(1,), default="/dev/termination-log")] = ""
    terminationMessagePolicy: Annotated[
        str,
        F(
            20,
            within=(1,),
            enum=(
                "File",
                "FallbackToLogsOnError",
            ),
            default="File",
        ),
    ] = ""
    imagePullPolicy: Annotated[
        str,
        F(
            14,
            within=(1,),
            enum=(
                "Always",
                "Never",
                "IfNotPresent",
            ),
        ),
    ] = ""
    securityContext: Annotated[SecurityContext | None, F(15, within=(1,))] = None
    stdin: Annotated[bool, F(16, within=(1,))] = False
    stdinOnce: Annotated[bool, F(17, within=(1,))] = False
    tty: Annotated[bool, F(18, within=(1,))] = False
    targetContainerName: Annotated[str, F(2)] = ""


class EvictionResponder(Struct, frozen=True):
    name: Annotated[str, F(1, required=True)] = always(str)
    priority: Annotated[Int32 | None, F(2, required=True)] = None
