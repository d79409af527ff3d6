"""The kinds of the group in versions that are served only when they are switched on."""

from pelamis.api.coordination.leasecandidate import KIND as LEASECANDIDATE
from pelamis.api.version import reversion

KINDS = (
    LEASECANDIDATE,
    reversion(LEASECANDIDATE, "v1alpha2", introduced=32),
)
