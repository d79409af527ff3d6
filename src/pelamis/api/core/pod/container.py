"""Containers: image, command, environment, resources, mounts, probes, hooks, security."""

from __future__ import annotations

from typing import Annotated

from pelamis.api.core.pod.signal import STOP_SIGNALS
from pelamis.api.core.pod.volume import ObjectFieldSelector, ResourceFieldSelector
from pelamis.api.field import F, Int32, Int64, IntOrString, Quantity, Struct, always


class ContainerPort(Struct, frozen=True):
    """A port that a container listens on."""

    name: Annotated[str, F(1, "IANA service name, unique in the pod; services can refer to it.")] = ""
    hostPort: Annotated[
        Int32, F(2, "Port on the node, 1 to 65535; 0: none. With hostNetwork it equals containerPort.")
    ] = 0
    containerPort: Annotated[Int32, F(3, "Port in the pod, 1 to 65535.", required=True)] = always(int)
    protocol: Annotated[
        str,
        F(
            4,
            "TCP, UDP or SCTP.",
            enum=(
                "TCP",
                "UDP",
                "SCTP",
            ),
            default="TCP",
            shown=True,
        ),
    ] = ""
    hostIP: Annotated[str, F(5, "Node address that the host port is bound to; empty: all.")] = ""


class ConfigMapEnvSource(Struct, frozen=True):
    """All keys of a ConfigMap as environment variables."""

    name: Annotated[str, F(1, "Name of the ConfigMap.", within=(1,), default="", shown=True)] = ""
    optional: Annotated[bool | None, F(2, "Whether the ConfigMap may be missing.")] = None


class SecretEnvSource(Struct, frozen=True):
    """All keys of a Secret as environment variables."""

    name: Annotated[str, F(1, "Name of the Secret.", within=(1,), default="", shown=True)] = ""
    optional: Annotated[bool | None, F(2, "Whether the Secret may be missing.")] = None


class EnvFromSource(Struct, frozen=True):
    """A source of several environment variables. Exactly one reference is set."""

    prefix: Annotated[str, F(1, "Put before each key.")] = ""
    configMapRef: Annotated[ConfigMapEnvSource | None, F(2, "The ConfigMap to take keys from.")] = None
    secretRef: Annotated[SecretEnvSource | None, F(3, "The Secret to take keys from.")] = None


class ConfigMapKeySelector(Struct, frozen=True):
    """One key of a ConfigMap."""

    name: Annotated[str, F(1, "Name of the ConfigMap.", within=(1,), default="", shown=True)] = ""
    key: Annotated[str, F(2, "The key.", required=True)] = always(str)
    optional: Annotated[bool | None, F(3, "Whether the ConfigMap or the key may be missing.")] = None


class SecretKeySelector(Struct, frozen=True):
    """One key of a Secret."""

    name: Annotated[str, F(1, "Name of the Secret.", within=(1,), default="", shown=True)] = ""
    key: Annotated[str, F(2, "The key.", required=True)] = always(str)
    optional: Annotated[bool | None, F(3, "Whether the Secret or the key may be missing.")] = None


class FileKeySelector(Struct, frozen=True):
    """One variable of an env file that an init container wrote to an emptyDir."""

    volumeName: Annotated[str, F(1, "Name of the emptyDir volume.", required=True)] = always(str)
    path: Annotated[str, F(2, "Path of the file in the volume, relative and without '..'.", required=True)] = always(
        str
    )
    key: Annotated[str, F(3, "Name of the variable in the file.", required=True)] = always(str)
    optional: Annotated[
        bool | None, F(4, "Whether the file or the variable may be missing.", default=False, shown=True)
    ] = None


class EnvVarSource(Struct, frozen=True):
    """Where the value of a variable comes from. Exactly one field is set."""

    fieldRef: Annotated[ObjectFieldSelector | None, F(1, "A field of the pod.")] = None
    resourceFieldRef: Annotated[ResourceFieldSelector | None, F(2, "A resource of a container.")] = None
    configMapKeyRef: Annotated[ConfigMapKeySelector | None, F(3, "A key of a ConfigMap in the pod's namespace.")] = None
    secretKeyRef: Annotated[SecretKeySelector | None, F(4, "A key of a Secret in the pod's namespace.")] = None
    fileKeyRef: Annotated[FileKeySelector | None, F(5, "A variable of a file in a volume.")] = None


class EnvVar(Struct, frozen=True):
    """An environment variable."""

    name: Annotated[str, F(1, "Printable ASCII without '='.", required=True)] = always(str)
    value: Annotated[str, F(2, "Literal text; $(NAME) stands for an earlier variable, $$ for a dollar sign.")] = ""
    valueFrom: Annotated[EnvVarSource | None, F(3, "Source of the value; not together with value.")] = None


class ResourceClaim(Struct, frozen=True):
    """A claim of the pod that a container uses."""

    name: Annotated[str, F(1, "Name of an entry of the pod's resourceClaims.", required=True)] = always(str)
    request: Annotated[str, F(2, "One request of the claim; empty: all of it.")] = ""


class ResourceRequirements(Struct, frozen=True):
    """Compute resources that are asked for and granted at most."""

    limits: Annotated[dict[str, Quantity], F(1, "The most that may be used, by resource.")] = {}
    requests: Annotated[dict[str, Quantity], F(2, "The least that is reserved, by resource; defaults to limits.")] = {}
    claims: Annotated[
        tuple[ResourceClaim, ...], F(3, "Resource claims of the pod that are used here.", list="map", keys=("name",))
    ] = ()


class ContainerResizePolicy(Struct, frozen=True):
    """What a change of a resource does to a running container."""

    resourceName: Annotated[str, F(1, "cpu or memory.", required=True)] = always(str)
    restartPolicy: Annotated[str, F(2, "NotRequired or RestartContainer.", required=True)] = always(str)


class ContainerRestartRuleOnExitCodes(Struct, frozen=True):
    """A condition on exit codes."""

    operator: Annotated[str, F(1, "In or NotIn.", required=True)] = ""
    values: Annotated[tuple[Int32, ...], F(2, "Exit codes, at most 255.", list="set")] = ()


class ContainerRestartRule(Struct, frozen=True):
    """What to do when a container ends in a certain way."""

    action: Annotated[str, F(1, "Restart, or RestartAllContainers for the whole pod.", required=True)] = ""
    exitCodes: Annotated[ContainerRestartRuleOnExitCodes | None, F(2, "The exit codes that the rule is for.")] = None


class VolumeMount(Struct, frozen=True):
    """A volume in a container's file system."""

    name: Annotated[str, F(1, "Name of a volume of the pod.", required=True)] = always(str)
    readOnly: Annotated[bool, F(2, "Whether writes are refused.")] = False
    recursiveReadOnly: Annotated[
        str | None, F(7, "Disabled, IfPossible or Enabled: whether mounts below are read-only too.")
    ] = None
    mountPath: Annotated[str, F(3, "Path in the container; unique in it.", required=True)] = always(str)
    subPath: Annotated[str, F(4, "Path in the volume that is mounted instead of its root.")] = ""
    mountPropagation: Annotated[
        str | None,
        F(
            5,
            "Whether mounts made later are seen across: None, HostToContainer or Bidirectional.",
            enum=(
                "None",
                "HostToContainer",
                "Bidirectional",
            ),
        ),
    ] = None
    subPathExpr: Annotated[str, F(6, "As subPath, with $(NAME) replaced by environment variables.")] = ""
    bindMountOptions: Annotated[tuple[str, ...], F(8, "Further options of the bind mount.", list="set")] = ()


class VolumeDevice(Struct, frozen=True):
    """A block volume as a device file in a container."""

    name: Annotated[str, F(1, "Name of a claim volume of the pod.", required=True)] = always(str)
    devicePath: Annotated[str, F(2, "Path of the device in the container.", required=True)] = always(str)


class ExecAction(Struct, frozen=True):
    """A command to run in the container."""

    command: Annotated[
        tuple[str, ...], F(1, "The program and its arguments; no shell. Exit code 0 is success.", list="atomic")
    ] = ()


class HTTPHeader(Struct, frozen=True):
    """A header of a probe's request."""

    name: Annotated[str, F(1, "Header name.", required=True)] = always(str)
    value: Annotated[str, F(2, "Header value.", required=True)] = always(str)


class HTTPGetAction(Struct, frozen=True):
    """An HTTP GET; a code from 200 to 399 is success."""

    path: Annotated[str, F(1, "Path of the URL.", default="/")] = ""
    port: Annotated[IntOrString, F(2, "Port number, or the name of a container port.", required=True)] = always(
        lambda: 0
    )
    host: Annotated[str, F(3, "Host to connect to; the pod's address if empty.")] = ""
    scheme: Annotated[
        str,
        F(
            4,
            "HTTP or HTTPS (the certificate is not verified).",
            enum=(
                "HTTP",
                "HTTPS",
            ),
            default="HTTP",
        ),
    ] = ""
    httpHeaders: Annotated[tuple[HTTPHeader, ...], F(5, "Headers to add.", list="atomic")] = ()
    protocol: Annotated[
        str | None,
        F(
            6,
            "HTTP1 or HTTP2.",
            enum=(
                "HTTP1",
                "HTTP2",
            ),
        ),
    ] = None


class TCPSocketAction(Struct, frozen=True):
    """A TCP connection; that it opens is success."""

    port: Annotated[IntOrString, F(1, "Port number, or the name of a container port.", required=True)] = always(
        lambda: 0
    )
    host: Annotated[str, F(2, "Host to connect to; the pod's address if empty.")] = ""


class GRPCAction(Struct, frozen=True):
    """A call of the gRPC health service."""

    port: Annotated[Int32, F(1, "Port number.", required=True)] = always(int)
    service: Annotated[str | None, F(2, "Service name to ask for.", default="", shown=True)] = None
    mode: Annotated[
        str | None,
        F(
            3,
            "Plaintext or TLS.",
            enum=(
                "Plaintext",
                "TLS",
            ),
        ),
    ] = None


class Probe(Struct, frozen=True):
    """A regular check of a container. Exactly one of the four actions is set."""

    exec: Annotated[ExecAction | None, F(1, "Run a command.", within=(1,))] = None
    httpGet: Annotated[HTTPGetAction | None, F(2, "Do an HTTP GET.", within=(1,))] = None
    tcpSocket: Annotated[TCPSocketAction | None, F(3, "Open a TCP connection.", within=(1,))] = None
    grpc: Annotated[GRPCAction | None, F(4, "Ask the gRPC health service.", within=(1,))] = None
    initialDelaySeconds: Annotated[Int32, F(2, "Seconds to wait after the container's start.")] = 0
    timeoutSeconds: Annotated[Int32, F(3, "Seconds after which a check counts as failed; default 1.")] = 0
    periodSeconds: Annotated[Int32, F(4, "Seconds between checks; default 10.")] = 0
    successThreshold: Annotated[Int32, F(5, "Successes in a row that count as healthy; 1 except for readiness.")] = 0
    failureThreshold: Annotated[Int32, F(6, "Failures in a row that count as unhealthy; default 3.")] = 0
    terminationGracePeriodSeconds: Annotated[
        Int64 | None, F(7, "Seconds the container gets to end when this probe kills it; overrides the pod's.")
    ] = None


class SleepAction(Struct, frozen=True):
    """A pause."""

    seconds: Annotated[Int64, F(1, "Seconds to sleep.", required=True)] = always(int)


class LifecycleHandler(Struct, frozen=True):
    """What to do at a point of a container's life. Exactly one field is set."""

    exec: Annotated[ExecAction | None, F(1, "Run a command.")] = None
    httpGet: Annotated[HTTPGetAction | None, F(2, "Do an HTTP GET.")] = None
    tcpSocket: Annotated[TCPSocketAction | None, F(3, "Without function; kept for old objects.")] = None
    sleep: Annotated[SleepAction | None, F(4, "Pause.")] = None


class Lifecycle(Struct, frozen=True):
    """Hooks in a container's life."""

    postStart: Annotated[
        LifecycleHandler | None, F(1, "Runs right after the start; the container is killed if it fails.")
    ] = None
    preStop: Annotated[
        LifecycleHandler | None, F(2, "Runs before the container is asked to end, within the grace period.")
    ] = None
    stopSignal: Annotated[
        str | None,
        F(
            3,
            "Signal that ends the container; needs spec.os.name.",
            enum=STOP_SIGNALS,
        ),
    ] = None


class Capabilities(Struct, frozen=True):
    """Linux capabilities to change."""

    add: Annotated[tuple[str, ...], F(1, "Names to add, without CAP_; ALL for all.", list="atomic")] = ()
    drop: Annotated[tuple[str, ...], F(2, "Names to drop, without CAP_; ALL for all.", list="atomic")] = ()


class SELinuxOptions(Struct, frozen=True):
    """An SELinux context."""

    user: Annotated[str, F(1, "SELinux user.")] = ""
    role: Annotated[str, F(2, "SELinux role.")] = ""
    type: Annotated[str, F(3, "SELinux type.")] = ""
    level: Annotated[str, F(4, "SELinux level.")] = ""


class WindowsSecurityContextOptions(Struct, frozen=True):
    """Security settings of Windows containers."""

    gmsaCredentialSpecName: Annotated[str | None, F(1, "Name of the GMSA credential spec.")] = None
    gmsaCredentialSpec: Annotated[str | None, F(2, "Contents of the GMSA credential spec, at most 64 KiB.")] = None
    runAsUserName: Annotated[str | None, F(3, "User to run as, user or DOMAIN and user.")] = None
    hostProcess: Annotated[
        bool | None, F(4, "Whether to run as a process of the host; the same for all containers of a pod.")
    ] = None


class SeccompProfile(Struct, frozen=True):
    """A filter of system calls."""

    type: Annotated[
        str,
        F(
            1,
            "Unconfined, RuntimeDefault or Localhost.",
            enum=(
                "Unconfined",
                "RuntimeDefault",
                "Localhost",
            ),
            required=True,
        ),
    ] = always(str)
    localhostProfile: Annotated[
        str | None, F(2, "Path below the kubelet's profile directory; with Localhost only.")
    ] = None


class AppArmorProfile(Struct, frozen=True):
    """An AppArmor profile."""

    type: Annotated[
        str,
        F(
            1,
            "Unconfined, RuntimeDefault or Localhost.",
            enum=(
                "Unconfined",
                "RuntimeDefault",
                "Localhost",
            ),
            required=True,
        ),
    ] = always(str)
    localhostProfile: Annotated[str | None, F(2, "Name of a profile loaded on the node; with Localhost only.")] = None


class SecurityContext(Struct, frozen=True):
    """Security settings of one container; they override the pod's."""

    capabilities: Annotated[Capabilities | None, F(1, "Linux capabilities to add and to drop.")] = None
    privileged: Annotated[bool | None, F(2, "Whether the container has the rights of root on the host.")] = None
    seLinuxOptions: Annotated[SELinuxOptions | None, F(3, "SELinux context.")] = None
    windowsOptions: Annotated[WindowsSecurityContextOptions | None, F(10, "Settings for Windows.")] = None
    runAsUser: Annotated[Int64 | None, F(4, "User id of the first process.")] = None
    runAsGroup: Annotated[Int64 | None, F(8, "Group id of the first process.")] = None
    runAsNonRoot: Annotated[bool | None, F(5, "Refuse to start as user 0.")] = None
    readOnlyRootFilesystem: Annotated[bool | None, F(6, "Whether the root file system is read-only.")] = None
    allowPrivilegeEscalation: Annotated[
        bool | None, F(7, "Whether a process can gain more rights than its parent.")
    ] = None
    procMount: Annotated[
        str | None,
        F(
            9,
            "Default, or Unmasked for all of /proc (needs hostUsers false).",
            enum=(
                "Default",
                "Unmasked",
            ),
        ),
    ] = None
    seccompProfile: Annotated[SeccompProfile | None, F(11, "Filter of system calls.")] = None
    appArmorProfile: Annotated[AppArmorProfile | None, F(12, "AppArmor profile.")] = None


class Container(Struct, frozen=True):
    """A container of a pod."""

    name: Annotated[str, F(1, "DNS label, unique in the pod.", required=True)] = always(str)
    image: Annotated[str, F(2, "Image reference.")] = ""
    command: Annotated[
        tuple[str, ...], F(3, "Entry point instead of the image's; $(NAME) is replaced.", list="atomic")
    ] = ()
    args: Annotated[tuple[str, ...], F(4, "Arguments instead of the image's; $(NAME) is replaced.", list="atomic")] = ()
    workingDir: Annotated[str, F(5, "Working directory instead of the image's.")] = ""
    ports: Annotated[
        tuple[ContainerPort, ...],
        F(
            6,
            "Ports the container listens on; for information and for names.",
            merge="merge",
            key="containerPort",
            list="map",
            keys=(
                "containerPort",
                "protocol",
            ),
        ),
    ] = ()
    envFrom: Annotated[tuple[EnvFromSource, ...], F(19, "Sources of many variables; env wins.", list="atomic")] = ()
    env: Annotated[
        tuple[EnvVar, ...], F(7, "Environment variables.", merge="merge", key="name", list="map", keys=("name",))
    ] = ()
    resources: Annotated[ResourceRequirements, F(8, "Compute resources.")] = always(ResourceRequirements)
    resizePolicy: Annotated[
        tuple[ContainerResizePolicy, ...],
        F(23, "What a change of resources does to the running container.", list="atomic"),
    ] = ()
    restartPolicy: Annotated[str | None, F(24, "Overrides the pod's. Always makes an init container a sidecar.")] = None
    restartPolicyRules: Annotated[
        tuple[ContainerRestartRule, ...], F(25, "Exceptions to restartPolicy by exit code.", list="atomic")
    ] = ()
    volumeMounts: Annotated[
        tuple[VolumeMount, ...],
        F(9, "Volumes in the file system.", merge="merge", key="mountPath", list="map", keys=("mountPath",)),
    ] = ()
    volumeDevices: Annotated[
        tuple[VolumeDevice, ...],
        F(21, "Block volumes as devices.", merge="merge", key="devicePath", list="map", keys=("devicePath",)),
    ] = ()
    livenessProbe: Annotated[Probe | None, F(10, "Restarts the container when it fails.")] = None
    readinessProbe: Annotated[Probe | None, F(11, "Takes the pod out of services while it fails.")] = None
    startupProbe: Annotated[Probe | None, F(22, "Holds the other probes back until it succeeds.")] = None
    lifecycle: Annotated[Lifecycle | None, F(12, "Hooks.")] = None
    terminationMessagePath: Annotated[
        str, F(13, "File whose contents become the message of the ended container.", default="/dev/termination-log")
    ] = ""
    terminationMessagePolicy: Annotated[
        str,
        F(
            20,
            "File, or FallbackToLogsOnError: the end of the log when the file is empty.",
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
            "Always, Never or IfNotPresent; default by the image's tag.",
            enum=(
                "Always",
                "Never",
                "IfNotPresent",
            ),
        ),
    ] = ""
    securityContext: Annotated[SecurityContext | None, F(15, "Security settings.")] = None
    stdin: Annotated[bool, F(16, "Whether to keep an input stream.")] = False
    stdinOnce: Annotated[bool, F(17, "Close the input after the first client has left.")] = False
    tty: Annotated[bool, F(18, "Whether to allocate a terminal; needs stdin.")] = False


class EphemeralContainer(Struct, frozen=True):
    """A container added to a running pod for debugging. It is never restarted."""

    name: Annotated[str, F(1, "DNS label, unique in the pod.", within=(1,), required=True)] = always(str)
    image: Annotated[str, F(2, "Image reference.", within=(1,))] = ""
    command: Annotated[tuple[str, ...], F(3, "Entry point instead of the image's.", within=(1,), list="atomic")] = ()
    args: Annotated[tuple[str, ...], F(4, "Arguments instead of the image's.", within=(1,), list="atomic")] = ()
    workingDir: Annotated[str, F(5, "Working directory instead of the image's.", within=(1,))] = ""
    ports: Annotated[
        tuple[ContainerPort, ...],
        F(
            6,
            "Not allowed here.",
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
    envFrom: Annotated[tuple[EnvFromSource, ...], F(19, "Sources of many variables.", within=(1,), list="atomic")] = ()
    env: Annotated[
        tuple[EnvVar, ...],
        F(7, "Environment variables.", within=(1,), merge="merge", key="name", list="map", keys=("name",)),
    ] = ()
    resources: Annotated[ResourceRequirements, F(8, "Not allowed here.", within=(1,))] = always(ResourceRequirements)
    resizePolicy: Annotated[
        tuple[ContainerResizePolicy, ...], F(23, "Not allowed here.", within=(1,), list="atomic")
    ] = ()
    restartPolicy: Annotated[str | None, F(24, "Not allowed here.", within=(1,))] = None
    restartPolicyRules: Annotated[
        tuple[ContainerRestartRule, ...], F(25, "Not allowed here.", within=(1,), list="atomic")
    ] = ()
    volumeMounts: Annotated[
        tuple[VolumeMount, ...],
        F(
            9,
            "Volumes in the file system; without subPath.",
            within=(1,),
            merge="merge",
            key="mountPath",
            list="map",
            keys=("mountPath",),
        ),
    ] = ()
    volumeDevices: Annotated[
        tuple[VolumeDevice, ...],
        F(
            21,
            "Block volumes as devices.",
            within=(1,),
            merge="merge",
            key="devicePath",
            list="map",
            keys=("devicePath",),
        ),
    ] = ()
    livenessProbe: Annotated[Probe | None, F(10, "Not allowed here.", within=(1,))] = None
    readinessProbe: Annotated[Probe | None, F(11, "Not allowed here.", within=(1,))] = None
    startupProbe: Annotated[Probe | None, F(22, "Not allowed here.", within=(1,))] = None
    lifecycle: Annotated[Lifecycle | None, F(12, "Not allowed here.", within=(1,))] = None
    terminationMessagePath: Annotated[
        str,
        F(
            13,
            "File whose contents become the message of the ended container.",
            within=(1,),
            default="/dev/termination-log",
        ),
    ] = ""
    terminationMessagePolicy: Annotated[
        str,
        F(
            20,
            "File or FallbackToLogsOnError.",
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
            "Always, Never or IfNotPresent.",
            within=(1,),
            enum=(
                "Always",
                "Never",
                "IfNotPresent",
            ),
        ),
    ] = ""
    securityContext: Annotated[SecurityContext | None, F(15, "Security settings.", within=(1,))] = None
    stdin: Annotated[bool, F(16, "Whether to keep an input stream.", within=(1,))] = False
    stdinOnce: Annotated[bool, F(17, "Close the input after the first client has left.", within=(1,))] = False
    tty: Annotated[bool, F(18, "Whether to allocate a terminal.", within=(1,))] = False
    targetContainerName: Annotated[str, F(2, "Container whose process namespace to join; empty: the pod's.")] = ""


class EvictionResponder(Struct, frozen=True):
    """Somebody who takes part in moving the pod away."""

    name: Annotated[str, F(1, "Qualified name of the responder.", required=True)] = always(str)
    priority: Annotated[Int32 | None, F(2, "Order among responders; the highest goes first.", required=True)] = None
