"""Messages of the plugin registration (pluginregistration v1) and of device drivers (dra v1; v1beta1 is the same)."""

from __future__ import annotations

from typing import Annotated

from pelamis.kubelet.cri.wire import Message

REGISTRATION = "/pluginregistration.Registration"
SERVICES = {
    "v1.DRAPlugin": "/k8s.io.kubelet.pkg.apis.dra.v1.DRAPlugin",
    "v1beta1.DRAPlugin": "/k8s.io.kubelet.pkg.apis.dra.v1beta1.DRAPlugin",
}
"""What a driver says that it speaks -> path of the service."""
HEALTH_SERVICES = {
    "v1.DRAResourceHealth": "/v1.DRAResourceHealth",
    "v1alpha1.DRAResourceHealth": "/v1alpha1.DRAResourceHealth",
}
"""The same for the health of devices; the first that a driver speaks too is taken."""
DRIVER = "DRAPlugin"
"""The type of plugin."""


class InfoRequest(Message, frozen=True):
    pass


class PluginInfo(Message, frozen=True):
    """endpoint "": the socket that it registers at."""

    type: Annotated[str, 1] = ""
    name: Annotated[str, 2] = ""
    endpoint: Annotated[str, 3] = ""
    supported_versions: Annotated[tuple[str, ...], 4] = ()


class RegistrationStatus(Message, frozen=True):
    plugin_registered: Annotated[bool, 1] = False
    error: Annotated[str, 2] = ""


class RegistrationStatusResponse(Message, frozen=True):
    pass


class Claim(Message, frozen=True):
    namespace: Annotated[str, 1] = ""
    uid: Annotated[str, 2] = ""
    name: Annotated[str, 3] = ""


class NodePrepareResourcesRequest(Message, frozen=True):
    claims: Annotated[tuple[Claim, ...], 1] = ()


class Device(Message, frozen=True):
    """request_names (): it is for all requests of the claim."""

    request_names: Annotated[tuple[str, ...], 1] = ()
    pool_name: Annotated[str, 2] = ""
    device_name: Annotated[str, 3] = ""
    cdi_device_ids: Annotated[tuple[str, ...], 4] = ()
    share_id: Annotated[str, 5] = ""


class NodePrepareResourceResponse(Message, frozen=True):
    devices: Annotated[tuple[Device, ...], 1] = ()
    error: Annotated[str, 2] = ""


class Prepared(Message, frozen=True):
    """One entry of a map: the claim's uid and what became of it."""

    key: Annotated[str, 1] = ""
    value: Annotated[NodePrepareResourceResponse | None, 2] = None


class NodePrepareResourcesResponse(Message, frozen=True):
    claims: Annotated[tuple[Prepared, ...], 1] = ()


class NodeUnprepareResourcesRequest(Message, frozen=True):
    claims: Annotated[tuple[Claim, ...], 1] = ()


class NodeUnprepareResourceResponse(Message, frozen=True):
    error: Annotated[str, 1] = ""


class Unprepared(Message, frozen=True):
    key: Annotated[str, 1] = ""
    value: Annotated[NodeUnprepareResourceResponse | None, 2] = None


class NodeUnprepareResourcesResponse(Message, frozen=True):
    claims: Annotated[tuple[Unprepared, ...], 1] = ()


class NodeWatchResourcesRequest(Message, frozen=True):
    pass


class DeviceIdentifier(Message, frozen=True):
    pool_name: Annotated[str, 1] = ""
    device_name: Annotated[str, 2] = ""


class DeviceHealth(Message, frozen=True):
    """health: 0 unknown, 1 healthy, 2 unhealthy. health_check_timeout_seconds <= 0: as long as the kubelet thinks."""

    device: Annotated[DeviceIdentifier | None, 1] = None
    health: Annotated[int, 2] = 0
    last_updated_time: Annotated[int, 3] = 0
    health_check_timeout_seconds: Annotated[int, 4] = 0
    message: Annotated[str, 5] = ""


class NodeWatchResourcesResponse(Message, frozen=True):
    devices: Annotated[tuple[DeviceHealth, ...], 1] = ()
