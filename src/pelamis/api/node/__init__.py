"""The kinds of one API group, in discovery order."""

from pelamis.api.node.runtimeclass import KIND as RUNTIMECLASS

KINDS = (RUNTIMECLASS,)
