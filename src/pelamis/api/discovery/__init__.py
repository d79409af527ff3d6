"""The kinds of one API group, in discovery order."""

from pelamis.api.discovery.endpointslice import KIND as ENDPOINTSLICE

KINDS = (ENDPOINTSLICE,)
