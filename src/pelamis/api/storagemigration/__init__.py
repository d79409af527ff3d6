"""The kinds of one API group, in discovery order."""

from pelamis.api.storagemigration.storageversionmigration import KIND as STORAGEVERSIONMIGRATION

KINDS = (STORAGEVERSIONMIGRATION,)
