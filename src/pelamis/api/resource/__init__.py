"""The kinds of one API group, in discovery order."""

from pelamis.api.resource.deviceclass import KIND as DEVICECLASS
from pelamis.api.resource.devicetaintrule import KIND as DEVICETAINTRULE
from pelamis.api.resource.resourceclaim import KIND as RESOURCECLAIM
from pelamis.api.resource.resourceclaimtemplate import KIND as RESOURCECLAIMTEMPLATE
from pelamis.api.resource.resourceslice import KIND as RESOURCESLICE

KINDS = (
    DEVICECLASS,
    DEVICETAINTRULE,
    RESOURCECLAIM,
    RESOURCECLAIMTEMPLATE,
    RESOURCESLICE,
)
