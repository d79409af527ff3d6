"""The kinds of one API group, in discovery order."""

from pelamis.api.storage.csidriver import KIND as CSIDRIVER
from pelamis.api.storage.csinode import KIND as CSINODE
from pelamis.api.storage.csistoragecapacity import KIND as CSISTORAGECAPACITY
from pelamis.api.storage.storageclass import KIND as STORAGECLASS
from pelamis.api.storage.volumeattachment import KIND as VOLUMEATTACHMENT
from pelamis.api.storage.volumeattributesclass import KIND as VOLUMEATTRIBUTESCLASS

KINDS = (
    CSIDRIVER,
    CSINODE,
    CSISTORAGECAPACITY,
    STORAGECLASS,
    VOLUMEATTACHMENT,
    VOLUMEATTRIBUTESCLASS,
)
