"""The kinds of one API group, in discovery order."""

from pelamis.api.lifecycle.eviction import KIND as EVICTION
from pelamis.api.lifecycle.evictionrequest import KIND as EVICTIONREQUEST

KINDS = (
    EVICTION,
    EVICTIONREQUEST,
)
