"""The record in the store of which cluster IPs and node ports are taken, so that two servers never give one out twice.

The allocator chooses from what this server knows; a claim makes the choice hold for all. An address is claimed by
creating the IPAddress object of its name, which only one can do; a node port, where servers share a store, by setting
its bit in ``/registry/ranges/servicenodeports`` from the revision that was read. Both are what upstream keeps.

A claim comes before the Service is written, and is given back when the write is not carried out or takes the number
away. A server that dies in between leaves a claim without a Service: ``repair`` tidies it, at start and from time to
time, and who asks for such an address by name takes it over.
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from pelamis.api.core.service import KIND as SERVICE
from pelamis.api.networking.ipaddress import ALLOCATOR, MANAGED_BY
from pelamis.api.networking.ipaddress import KIND as IPADDRESS
from pelamis.api.networking.servicecidr import KIND as SERVICECIDR
from pelamis.apiserver.request import DeleteOptions
from pelamis.apiserver.user import LOOPBACK_USER
from pelamis.apiserver.write import Contended, Write
from pelamis.base import protobuf
from pelamis.base.clock import parse_rfc3339, rfc3339
from pelamis.base.errors import Conflict, Invalid, StatusError, Unavailable, invalid
from pelamis.cache.entry import canonical
from pelamis.store.types import Missed, Put
from pelamis.store.types import Unavailable as Unreachable

if TYPE_CHECKING:
    from pelamis.apiserver.server import ApiServer

log = logging.getLogger("pelamis.apiserver")

PORTS_KEY = "/registry/ranges/servicenodeports"
FAMILY = "ipaddress.kubernetes.io/ip-family"
ORPHAN_S = 60.0
"""A claim so old without its Service is left over, not under way."""
WAIT_S = 1.0
"""How long to wait for a claim that may be on its way out."""
_ATTEMPTS = 50


def ips_of(service: Any) -> list[str]:
    """The cluster IPs that a Service holds."""
    if service is None:
        return []
    found = dict.fromkeys(ip for ip in (service.spec.clusterIP, *service.spec.clusterIPs) if ip and ip != "None")
    return list(found)


def ports_of(service: Any) -> set[int]:
    if service is None:
        return set()
    spec = service.spec
    found = {p.nodePort for p in spec.ports if p.nodePort}
    return found | {spec.healthCheckNodePort} if spec.healthCheckNodePort else found


class Bitmap:
    """Upstream's RangeAllocation of node ports: bit n of a big-endian number stands for the n-th port of the range."""

    def __init__(self, first: int, last: int, bits: int = 0) -> None:
        self.first = first
        self.last = last
        self.bits = bits

    @classmethod
    def read(cls, value: bytes, first: int, last: int) -> Bitmap:
        """Of stored bytes, JSON or protobuf. One of another range is begun anew, as it says nothing of this one."""
        shown, data = "", b""
        if value.startswith(b"k8s\0"):
            raw = next((v for n, v in protobuf.fields(value[4:]) if n == 2), b"")
            for number, field in protobuf.fields(raw if isinstance(raw, bytes) else b""):
                if number == 2 and isinstance(field, bytes):
                    shown = field.decode()
                elif number == 3 and isinstance(field, bytes):
                    data = field
        else:
            tree = msgspec.json.decode(value)
            shown, data = tree.get("range", ""), base64.b64decode(tree.get("data") or "")
        return cls(first, last, int.from_bytes(data, "big") if shown == f"{first}-{last}" else 0)

    def value(self) -> bytes:
        data = self.bits.to_bytes((self.bits.bit_length() + 7) // 8, "big")
        return msgspec.json.encode(
            {
                "kind": "RangeAllocation",
                "apiVersion": "v1",
                "metadata": {},
                "range": f"{self.first}-{self.last}",
                "data": base64.b64encode(data).decode(),
            }
        )

    def mask(self, ports: Iterable[int]) -> int:
        out = 0
        for port in ports:
            if self.first <= port <= self.last:
                out |= 1 << (port - self.first)
        return out

    def ports(self, mask: int) -> set[int]:
        return {self.first + n for n in range(mask.bit_length()) if mask >> n & 1}


class Claims:
    """``reserve`` is a step of admission; ``settled`` follows each write that was carried out."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self._giving_back: dict[object, asyncio.Task[None]] = {}
        self._suspect = 0
        """Node ports that had no Service at the last repair."""

    # -- with a write

    def reserve(self, write: Write, obj: Any) -> Awaitable[None] | None:
        """Raises Contended when a number that the server chose turned out to be taken."""
        if write.hub is not SERVICE or write.subresource or write.dry_run or write.operation == "DELETE":
            return None
        old = write.old.obj if write.old is not None else None
        had = ips_of(old)
        ips = [ip for ip in ips_of(obj) if ip not in had]
        ports = ports_of(obj) - ports_of(old) if self._server.shared else set()
        return self._hold(write, obj, ips, ports) if ips or ports else None

    async def _hold(self, write: Write, obj: Any, ips: Sequence[str], ports: set[int]) -> None:
        leaving = [t for n in (*ips, *ports) if (t := self._giving_back.get(n)) is not None]
        if leaving:
            await asyncio.wait(leaving)
        namespace, name = obj.metadata.namespace, obj.metadata.name
        for ip in ips:
            if not await self._take(ip, namespace, name):
                raise self._refused(write, "spec.clusterIPs", list(obj.spec.clusterIPs), {ip})
            write.undo.append(self._undo(ip, partial(self._leave, ip, namespace, name)))
        if not ports:
            return
        taken = await self._set_ports(ports)
        if taken:
            raise self._refused(write, "spec.ports[].nodePort", min(taken), taken)
        for port in ports:
            write.undo.append(self._undo(port, partial(self._clear_ports, {port})))

    def _refused(self, write: Write, path: str, shown: Any, numbers: set[Any]) -> Exception:
        if not numbers <= write.chosen:
            if path == "spec.clusterIPs":
                text = f"failed to allocate IP {next(iter(numbers))}: provided IP is already allocated"
                return Invalid("Service", "", write.name, [invalid(path, shown, text)])
            index = next(
                (i for i, p in enumerate(write.tree["spec"].get("ports") or ()) if p.get("nodePort") in numbers), 0
            )
            why = "provided port is already allocated"
            return Invalid("Service", "", write.name, [invalid(f"spec.ports[{index}].nodePort", shown, why)])
        if write.operation == "UPDATE" and write.rev_given:
            return Conflict("services", "", write.name)
        return Contended()

    def _undo(self, number: object, work: Callable[[], Awaitable[None]]) -> Callable[[], None]:
        """Gives the number back in the background; whoever wants it meanwhile waits."""

        async def give_back() -> None:
            try:
                await work()
            except (StatusError, Unreachable) as error:
                log.warning("the claim of %s is left for repair: %s", number, error)
            finally:
                self._giving_back.pop(number, None)

        def undo() -> None:
            task = asyncio.get_running_loop().create_task(give_back(), name=f"give back {number}")
            self._giving_back[number] = task

        return undo

    async def settled(self, write: Write, obj: Any) -> None:
        """A Service was written (None: removed): what it no longer holds is free before the client is answered."""
        old = write.old.obj if write.old is not None else None
        if old is None:
            return
        now = ips_of(obj)
        try:
            for ip in ips_of(old):
                if ip not in now:
                    await self._delete(ip, old.metadata.namespace, old.metadata.name)
            gone = ports_of(old) - ports_of(obj)
            if gone and self._server.shared:
                await self._clear_ports(gone)
        except (StatusError, Unreachable) as error:
            log.warning("claims of the Service %s are left for repair: %s", write.name, error)

    # -- addresses

    async def _take(self, ip: str, namespace: str, name: str) -> bool:
        loop = asyncio.get_running_loop()
        until = loop.time() + WAIT_S
        while True:
            if await self._create(ip, namespace, name):
                return True
            found = self._record(ip)
            if found is not None:
                if not _ours(found):
                    return False
                ref = found.spec.parentRef
                if (ref.namespace, ref.name) == (namespace, name):
                    return True  # left by an attempt of the same Service
                if ip in ips_of(self._service(ref.namespace, ref.name)):
                    return False
                if self._orphan(found):
                    await self._delete(ip, ref.namespace, ref.name)
                    continue
            if loop.time() >= until:
                return False
            await asyncio.sleep(0.05)

    def _record(self, ip: str) -> Any:
        return self._server.objects.get("ipaddresses.networking.k8s.io", "", ip)

    def _service(self, namespace: str, name: str) -> Any:
        return self._server.objects.get("services", namespace, name)

    def _orphan(self, record: Any) -> bool:
        ref = record.spec.parentRef
        if record.metadata.name in ips_of(self._service(ref.namespace, ref.name)):
            return False
        return self._server.clock() - parse_rfc3339(record.metadata.creationTimestamp) > ORPHAN_S

    async def _create(self, ip: str, namespace: str, name: str) -> bool:
        family = "IPv6" if ipaddress.ip_address(ip).version == 6 else "IPv4"
        tree = {
            "kind": IPADDRESS.kind,
            "apiVersion": IPADDRESS.api_version,
            "metadata": {"name": ip, "labels": {MANAGED_BY: ALLOCATOR, FAMILY: family}},
            "spec": {"parentRef": {"resource": "services", "namespace": namespace, "name": name}},
        }
        try:
            await self._write("create", tree)
        except StatusError as error:
            if error.reason != "AlreadyExists":
                raise
            return False
        return True

    async def _write(self, verb: str, tree: Any, subresource: str = "") -> None:
        kind = IPADDRESS if tree["kind"] == IPADDRESS.kind else SERVICECIDR
        name = "" if verb == "create" else tree["metadata"]["name"]
        write = Write(verb, kind, LOOPBACK_USER, "", name, subresource, tree)
        write.user_agent = "kube-apiserver"
        await self._server.rest.one(write)

    async def _leave(self, ip: str, namespace: str, name: str) -> None:
        """After a Service was not written: somebody else may have written the same one, with the same address."""
        item = await self._server.store.get(SERVICE.key(namespace, name))
        if item is not None and ip in ips_of(msgspec.json.decode(canonical(SERVICE, item.value), type=SERVICE.type)):
            return
        await self._delete(ip, namespace, name)

    async def _delete(self, ip: str, namespace: str, name: str) -> None:
        """Only if it still says so."""
        found = self._record(ip)
        if found is None or not _ours(found):
            return
        ref = found.spec.parentRef
        if (ref.namespace, ref.name) != (namespace, name):
            return
        options = DeleteOptions(rev=found.metadata.resourceVersion)
        write = Write("delete", IPADDRESS, LOOPBACK_USER, "", ip, deletion=options)
        write.user_agent = "kube-apiserver"
        try:
            await self._server.rest.one(write)
        except StatusError as error:
            if error.reason not in ("NotFound", "Conflict"):
                raise

    # -- node ports

    async def _set_ports(self, ports: set[int]) -> set[int]:
        """Sets all of them, or returns those that others have."""
        taken: set[int] = set()

        def change(bitmap: Bitmap) -> int:
            mask = bitmap.mask(ports)
            taken.clear()
            taken.update(bitmap.ports(bitmap.bits & mask))
            return bitmap.bits if taken else bitmap.bits | mask

        await self._change_ports(change)
        return taken

    async def _clear_ports(self, ports: set[int]) -> None:
        await self._change_ports(lambda bitmap: bitmap.bits & ~bitmap.mask(ports))

    async def _change_ports(self, change: Callable[[Bitmap], int]) -> None:
        store = self._server.store
        low, high = self._server.config.node_ports
        item = await store.get(PORTS_KEY)
        for _ in range(_ATTEMPTS):
            bitmap = Bitmap.read(item.value, low, high) if item is not None else Bitmap(low, high)
            bits = change(bitmap)
            if bits == bitmap.bits:
                return
            bitmap.bits = bits
            outcome = (await store.commit([Put(PORTS_KEY, bitmap.value(), item.mod_rev if item is not None else 0)]))[0]
            if not isinstance(outcome, Missed):
                return
            item = outcome.current
        raise Unavailable("the record of node ports is written by too many at once; try again")

    # -- repair

    async def repair(self) -> None:
        """Records and Services in agreement: missing records made, left ones removed."""
        objects = self._server.objects
        held: dict[str, Any] = {}
        ports: set[int] = set()
        for service in objects.list("services"):
            held.update((ip, service) for ip in ips_of(service))
            ports |= ports_of(service)
        for ip, service in held.items():
            if self._record(ip) is None and self._server.allocator.owns(ip):
                await self._create(ip, service.metadata.namespace, service.metadata.name)
        for record in list(objects.list("ipaddresses.networking.k8s.io")):
            if _ours(record) and self._orphan(record):
                ref = record.spec.parentRef
                await self._delete(record.metadata.name, ref.namespace, ref.name)
        if self._server.shared:
            await self._repair_ports(ports)

    async def _repair_ports(self, ports: set[int]) -> None:
        """A bit without a Service may belong to a write under way: it goes when it was so the last time too."""
        suspect = 0

        def change(bitmap: Bitmap) -> int:
            nonlocal suspect
            wanted = bitmap.mask(ports)
            suspect = bitmap.bits & ~wanted
            return (bitmap.bits & ~(suspect & self._suspect)) | wanted

        await self._change_ports(change)
        self._suspect = suspect

    async def publish_range(self, cidrs: Sequence[str]) -> None:
        """The ServiceCIDR ``kubernetes``, which shows clients where cluster IPs come from."""
        found = self._server.objects.get("servicecidrs.networking.k8s.io", "", "kubernetes")
        if found is not None:
            return
        head = {"kind": SERVICECIDR.kind, "apiVersion": SERVICECIDR.api_version, "metadata": {"name": "kubernetes"}}
        condition = {
            "type": "Ready",
            "status": "True",
            "reason": "",
            "message": "Kubernetes default Service CIDR is ready",
            "lastTransitionTime": rfc3339(self._server.clock()),
        }
        try:
            await self._write("create", {**head, "spec": {"cidrs": list(cidrs)}})
            await self._write("update", {**head, "status": {"conditions": [condition]}}, "status")
        except StatusError as error:
            if error.reason not in ("AlreadyExists", "Conflict"):
                raise


def _ours(record: Any) -> bool:
    ref = record.spec.parentRef
    return bool(record.metadata.labels.get(MANAGED_BY) == ALLOCATOR and ref is not None and ref.resource == "services")
