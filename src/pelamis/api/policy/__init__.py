"""The kinds of one API group, in discovery order."""

from pelamis.api.policy.poddisruptionbudget import KIND as PODDISRUPTIONBUDGET

KINDS = (PODDISRUPTIONBUDGET,)
