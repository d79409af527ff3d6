"""The kinds of one API group, in discovery order."""

from pelamis.api.scheduling.priorityclass import KIND as PRIORITYCLASS

KINDS = (PRIORITYCLASS,)
