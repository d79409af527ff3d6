"""What is known of the claims whose devices pods of this node use, and the file that outlives the kubelet.

The file is upstream's (``dra_manager_state``): a JSON text with its CRC-32 beside it.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

_HEAD = {"kind": "DRACheckpoint", "apiVersion": "checkpoint.dra.kubelet.k8s.io/v1"}


class Device(msgspec.Struct):
    """RequestNames None or empty: for all requests of the claim."""

    PoolName: str
    DeviceName: str
    ShareID: str | None = None
    RequestNames: list[str] | None = None
    CDIDeviceIDs: list[str] | None = None


class Driver(msgspec.Struct):
    Devices: list[Device] | None = None


class Info(msgspec.Struct):
    """One claim. PodUIDs: those who use it. prepared, unpreparing: not in the file; after a restart drivers are asked
    anew, which does no harm."""

    ClaimUID: str
    ClaimName: str
    Namespace: str
    PodUIDs: dict[str, dict[str, str]] = msgspec.field(default_factory=dict)
    DriverState: dict[str, Driver] = msgspec.field(default_factory=dict)

    def devices(self, request: str) -> list[str]:
        """The CDI names of the devices of a request of the claim; request "" = of all."""
        return [
            name
            for driver in self.DriverState.values()
            for device in driver.Devices or ()
            if not request or not device.RequestNames or request in device.RequestNames
            for name in device.CDIDeviceIDs or ()
        ]


class CorruptState(ValueError):
    pass


class Claims:
    """Raises CorruptState where the file cannot be read: somebody has to drain the node and remove it, as upstream."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[tuple[str, str], Info] = {}
        self.prepared: set[str] = set()
        self.unpreparing: set[str] = set()
        if path.exists():
            for info in _read(path.read_bytes()):
                self._known[info.Namespace, info.ClaimName] = info

    def __iter__(self) -> Iterator[Info]:
        return iter(tuple(self._known.values()))

    def get(self, namespace: str, name: str) -> Info | None:
        return self._known.get((namespace, name))

    def add(self, info: Info) -> None:
        self._known[info.Namespace, info.ClaimName] = info

    def remove(self, info: Info) -> None:
        self._known.pop((info.Namespace, info.ClaimName), None)
        self.prepared.discard(info.ClaimUID)
        self.unpreparing.discard(info.ClaimUID)

    def of_pod(self, uid: str) -> list[Info]:
        return [info for info in self._known.values() if uid in info.PodUIDs]

    def pods(self) -> set[str]:
        return {uid for info in self._known.values() for uid in info.PodUIDs}

    def save(self) -> None:
        """Raises OSError."""
        body: dict[str, Any] = {**_HEAD, "ClaimInfoStateList": list(self._known.values())}
        data = msgspec.json.encode(body)
        text = msgspec.json.encode({"Data": data.decode(), "Checksum": zlib.crc32(data)})
        fresh = self._path.with_name(f".{self._path.name}.new")
        with open(fresh, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)


def _read(data: bytes) -> list[Info]:
    try:
        outer = msgspec.json.decode(data)
        text = outer["Data"].encode()
        if zlib.crc32(text) != outer["Checksum"]:
            raise CorruptState("checkpoint is corrupted")
        found = msgspec.json.decode(text)["ClaimInfoStateList"]
        return [msgspec.convert(item, Info) for item in found or ()]
    except (KeyError, TypeError, AttributeError, msgspec.MsgspecError) as error:
        raise CorruptState(f"checkpoint is corrupted: {error}") from error
