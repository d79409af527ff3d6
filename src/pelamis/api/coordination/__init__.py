"""The kinds of one API group, in discovery order."""

from pelamis.api.coordination.lease import KIND as LEASE

KINDS = (LEASE,)
