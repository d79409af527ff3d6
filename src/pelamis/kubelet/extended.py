"""Resources that somebody put into a node's capacity (``example.com/dongle``): the kubelet lets pods use all of them.

Pure. ``status`` is the node's, ``own`` what the kubelet itself says the node has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def change(status: Any, own: Mapping[str, str]) -> dict[str, str | None]:
    """What is to be patched into ``allocatable``; None: it has gone from the capacity."""
    have = {name: amount for name, amount in status.allocatable.items() if "/" in name and name not in own}
    wanted = {name: amount for name, amount in status.capacity.items() if "/" in name and name not in own}
    return {name: wanted.get(name) for name in {**have, **wanted} if have.get(name) != wanted.get(name)}
