"""The kinds of one API group, in discovery order."""

from pelamis.api.events.event import KIND as EVENT

KINDS = (EVENT,)
