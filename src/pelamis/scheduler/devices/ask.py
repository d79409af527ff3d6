"""What claims want, in the form in which devices are searched for them: the same for all pods of one template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from pelamis.api.resource.device import DeviceSubRequest, DeviceToleration, ExactDeviceRequest
from pelamis.api.resource.deviceclass import DeviceClass
from pelamis.api.resource.podclaim import tolerates
from pelamis.api.resource.resourceclaim import ResourceClaim
from pelamis.base.quantity import Quantity, parse
from pelamis.scheduler.devices.constraint import Constraint
from pelamis.scheduler.devices.pool import Unit
from pelamis.scheduler.devices.selector import SelectorFailure


class AllocationFailure(Exception):
    """Something is wrong with a claim, a class or a device: the whole attempt fails, whatever the node."""


class Ask:
    """One request, or one of its alternatives.

    name: as results name it, ``request`` or ``request/alternative``. names: what constraints may call it. count None =
    all devices that match.
    """

    __slots__ = (
        "_selectors",
        "_who",
        "admin",
        "admin_access",
        "capacity",
        "cls",
        "count",
        "name",
        "names",
        "short",
        "tolerations",
    )

    def __init__(
        self, claim: str, parent: str, name: str, given: ExactDeviceRequest | DeviceSubRequest, cls: DeviceClass
    ) -> None:
        self.short = name
        self.name = f"{parent}/{name}" if parent else name
        self.names: tuple[str, ...] = (parent, self.name) if parent else (name,)
        self._who = claim
        self.cls = cls
        self.admin_access: bool | None = getattr(given, "adminAccess", None)
        self.admin = bool(self.admin_access)
        self.tolerations: tuple[DeviceToleration, ...] = given.tolerations
        asked = given.capacity.requests if given.capacity is not None else {}
        self.capacity: dict[str, Quantity] = {n: parse(str(text)) for n, text in asked.items()}
        if given.allocationMode == "All":
            self.count: int | None = None
        elif given.allocationMode == "ExactCount":
            self.count = given.count
        else:
            raise AllocationFailure(f"claim {claim}, request {name}: unsupported count mode {given.allocationMode}")
        self._selectors: list[tuple[str, int, str]] = []
        for whose, selectors in ((f"class {cls.metadata.name}", cls.spec.selectors), ("", given.selectors)):
            for i, selector in enumerate(selectors):
                if selector.cel is None:
                    text = f"selector #{i}: CEL expression empty (unsupported selector type?)"
                    raise AllocationFailure(f"claim {claim}, request {name}, {text}")
                self._selectors.append((whose, i, selector.cel.expression))

    def selects(self, unit: Unit) -> bool:
        """By class and request. Raises AllocationFailure."""
        for whose, i, expression in self._selectors:
            try:
                if not unit.model.matches(expression):
                    return False
            except SelectorFailure as failure:
                text = str(failure)
                of = f"{whose or f'claim {self._who}'}: selector #{i}"
                if not text.startswith("CEL compile error"):
                    of += f" on device {'/'.join(unit.id)}"
                raise AllocationFailure(f"{of}: {text}") from None
        return True

    def stands(self, unit: Unit) -> bool:
        """Whether all taints of the device are tolerated."""
        return all(any(tolerates(t, taint) for t in self.tolerations) for taint in unit.taints)


class Request:
    """asks: one, or alternatives in order of preference."""

    __slots__ = ("asks", "choice", "name")

    def __init__(self, name: str, asks: Sequence[Ask], choice: bool) -> None:
        self.name = name
        self.asks = tuple(asks)
        self.choice = choice


class Want:
    """What one claim wants."""

    __slots__ = ("claim", "key", "requests")

    def __init__(self, claim: ResourceClaim, classes: Mapping[str, DeviceClass]) -> None:
        meta = claim.metadata
        self.claim = claim
        self.key = f"{meta.namespace}/{meta.name}"
        self.requests: list[Request] = []
        for i, constraint in enumerate(claim.spec.devices.constraints):
            if constraint.matchAttribute is None and constraint.distinctAttribute is None:
                text = f"constraint #{i}: empty constraint (unsupported constraint type?)"
                raise AllocationFailure(f"claim {self.key}, {text}")
        for request in claim.spec.devices.requests:
            given: Sequence[tuple[str, str, ExactDeviceRequest | DeviceSubRequest]]
            if request.exactly is not None:
                given = [("", request.name, request.exactly)]
            else:
                given = [(request.name, sub.name, sub) for sub in request.firstAvailable]
            asks = [
                Ask(self.key, parent, name, asked, self._class(classes, name, asked)) for parent, name, asked in given
            ]
            self.requests.append(Request(request.name, asks, request.exactly is None))

    def _class(
        self, classes: Mapping[str, DeviceClass], name: str, asked: ExactDeviceRequest | DeviceSubRequest
    ) -> DeviceClass:
        where = f"claim {self.key}, request {name}"
        if asked.derivedAttributes:
            raise AllocationFailure(f"{where}: cannot handle request with derived attributes, the feature is disabled")
        if not asked.deviceClassName:
            raise AllocationFailure(f"{where}: missing device class name (unsupported request type?)")
        found = classes.get(asked.deviceClassName)
        if found is None:
            missing = f'deviceclass.resource.k8s.io "{asked.deviceClassName}" not found'
            raise AllocationFailure(f"{where}: could not retrieve device class {asked.deviceClassName}: {missing}")
        return found

    def constraints(self) -> list[Constraint]:
        return [Constraint(given) for given in self.claim.spec.devices.constraints]


class Problem:
    """The claims of a pod that are to be allocated. key: equal for those that ask for the same.

    version: of the classes.
    """

    __slots__ = ("key", "wants")

    def __init__(self, claims: Sequence[ResourceClaim], classes: Mapping[str, DeviceClass], version: int) -> None:
        self.wants = [Want(claim, classes) for claim in claims]
        self.key = (version, tuple(msgspec.json.encode(claim.spec.devices) for claim in claims))
