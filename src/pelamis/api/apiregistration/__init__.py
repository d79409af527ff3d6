"""The kinds of one API group, in discovery order."""

from pelamis.api.apiregistration.apiservice import KIND as APISERVICE

KINDS = (APISERVICE,)
