"""The kinds of the group in versions that are served only when they are switched on."""

from pelamis.api.scheduling.compositepodgroup import KIND as COMPOSITEPODGROUP
from pelamis.api.scheduling.podgroup import KIND as PODGROUP
from pelamis.api.scheduling.workload import KIND as WORKLOAD
from pelamis.api.version import reversion

KINDS = (
    PODGROUP,
    WORKLOAD,
    COMPOSITEPODGROUP,
    reversion(PODGROUP, "v1alpha3"),
    reversion(WORKLOAD, "v1alpha3"),
)
