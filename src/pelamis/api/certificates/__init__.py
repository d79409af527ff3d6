"""The kinds of one API group, in discovery order."""

from pelamis.api.certificates.certificatesigningrequest import KIND as CERTIFICATESIGNINGREQUEST
from pelamis.api.certificates.clustertrustbundle import KIND as CLUSTERTRUSTBUNDLE
from pelamis.api.certificates.podcertificaterequest import KIND as PODCERTIFICATEREQUEST

KINDS = (
    CERTIFICATESIGNINGREQUEST,
    CLUSTERTRUSTBUNDLE,
    PODCERTIFICATEREQUEST,
)
