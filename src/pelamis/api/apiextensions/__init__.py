"""The kinds of one API group, in discovery order."""

from pelamis.api.apiextensions.customresourcedefinition import KIND as CUSTOMRESOURCEDEFINITION

KINDS = (CUSTOMRESOURCEDEFINITION,)
