"""The kinds of the group in versions that are served only when they are switched on."""

from pelamis.api.certificates.clustertrustbundle import KIND as CLUSTERTRUSTBUNDLE
from pelamis.api.certificates.podcertificaterequest import STORED as PODCERTIFICATEREQUEST
from pelamis.api.version import reversion

KINDS = (
    reversion(
        CLUSTERTRUSTBUNDLE,
        "v1beta1",
        introduced=33,
        deprecated=37,
        instead="certificates.k8s.io/v1 ClusterTrustBundle",
    ),
    PODCERTIFICATEREQUEST,
)
