"""The kinds of one API group, in discovery order."""

from pelamis.api.apiserverinternal.storageversion import KIND as STORAGEVERSION

KINDS = (STORAGEVERSION,)
