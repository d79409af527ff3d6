"""The kinds of one API group, in discovery order."""

from pelamis.api.networking.ingress import KIND as INGRESS
from pelamis.api.networking.ingressclass import KIND as INGRESSCLASS
from pelamis.api.networking.ipaddress import KIND as IPADDRESS
from pelamis.api.networking.networkpolicy import KIND as NETWORKPOLICY
from pelamis.api.networking.servicecidr import KIND as SERVICECIDR

KINDS = (
    INGRESSCLASS,
    INGRESS,
    IPADDRESS,
    NETWORKPOLICY,
    SERVICECIDR,
)
