"""The kinds of the group in versions that are served only when they are switched on."""

from pelamis.api.admissionregistration.mutatingadmissionpolicy import KIND as POLICY
from pelamis.api.admissionregistration.mutatingadmissionpolicybinding import KIND as BINDING
from pelamis.api.version import reversion

KINDS = tuple(
    reversion(kind, version, introduced=introduced)
    for version, introduced in (("v1beta1", 34), ("v1alpha1", 32))
    for kind in (POLICY, BINDING)
)
