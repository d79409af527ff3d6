"""The kinds of the group in versions that are served only when they are switched on."""

from pelamis.api.storagemigration.storageversionmigration import KIND as STORAGEVERSIONMIGRATION
from pelamis.api.version import reversion

KINDS = (
    reversion(
        STORAGEVERSIONMIGRATION,
        "v1beta1",
        introduced=35,
        deprecated=37,
        instead="storagemigration.k8s.io/v1 StorageVersionMigration",
    ),
)
