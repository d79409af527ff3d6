"""The kinds of one API group, in discovery order."""

from pelamis.api.flowcontrol.flowschema import KIND as FLOWSCHEMA
from pelamis.api.flowcontrol.prioritylevelconfiguration import KIND as PRIORITYLEVELCONFIGURATION

KINDS = (
    FLOWSCHEMA,
    PRIORITYLEVELCONFIGURATION,
)
