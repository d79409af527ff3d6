"""What is known of resource names: which are standard, whole-numbered, may be overcommitted, can be counted by quota.

An unprefixed name, or one with ``kubernetes.io/`` in it, is native; every other one is an extended resource, which is
whole-numbered and never overcommitted. Huge pages are native and never overcommitted.
"""

from __future__ import annotations

from functools import lru_cache

from pelamis.base.names import is_qualified_name
from pelamis.base.quantity import NANO, QuantityError, parse

_CONTAINER = frozenset({"cpu", "memory", "ephemeral-storage"})
_COUNTED = frozenset(
    {
        "pods",
        "resourcequotas",
        "services",
        "replicationcontrollers",
        "secrets",
        "configmaps",
        "persistentvolumeclaims",
        "services.nodeports",
        "services.loadbalancers",
    }
)
_QUOTA = (
    _CONTAINER
    | _COUNTED
    | {
        "requests.cpu",
        "requests.memory",
        "requests.storage",
        "requests.ephemeral-storage",
        "limits.cpu",
        "limits.memory",
        "limits.ephemeral-storage",
    }
)
_STANDARD = _QUOTA | {"storage"}
_COMPUTE = frozenset({"pods", "cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"})
_HUGEPAGES = "hugepages-"

QUOTA_SCOPES = (
    "Terminating",
    "NotTerminating",
    "BestEffort",
    "NotBestEffort",
    "PriorityClass",
    "CrossNamespacePodAffinity",
    "VolumeAttributesClass",
)


def is_hugepages(name: str) -> bool:
    return name.startswith(_HUGEPAGES)


def _is_quota_hugepages(name: str) -> bool:
    return name.startswith((_HUGEPAGES, "requests.hugepages-"))


def is_native(name: str) -> bool:
    return "/" not in name or "kubernetes.io/" in name


def is_standard(name: str) -> bool:
    return name in _STANDARD or _is_quota_hugepages(name)


def is_standard_container(name: str) -> bool:
    return name in _CONTAINER or is_hugepages(name)


def is_standard_quota(name: str) -> bool:
    return name in _QUOTA or _is_quota_hugepages(name)


@lru_cache(1024)
def is_extended(name: str) -> bool:
    return not is_native(name) and not name.startswith("requests.") and not is_qualified_name("requests." + name)


def is_overcommit_allowed(name: str) -> bool:
    return is_native(name) and not is_hugepages(name)


def is_whole_numbered(name: str) -> bool:
    return name in _COUNTED or is_extended(name)


def is_multiple_of_page(name: str, nano: int) -> bool:
    """Whether an amount of huge pages (in billionths of a byte) is a multiple of the page size in the name."""
    try:
        page = parse(name[len(_HUGEPAGES) :]).nano
    except QuantityError:
        return False
    if page <= 0 or page % NANO:
        return False
    return -(-nano // NANO) % (page // NANO) == 0


def is_scope_valid_for(scope: str, name: str) -> bool:
    """Whether a quota with this scope can count this resource."""
    if scope == "BestEffort":
        return name == "pods"
    if scope == "VolumeAttributesClass":
        return name in ("persistentvolumeclaims", "requests.storage")
    return scope in QUOTA_SCOPES and name in _COMPUTE
