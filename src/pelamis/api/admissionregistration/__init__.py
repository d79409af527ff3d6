"""The kinds of one API group, in discovery order."""

from pelamis.api.admissionregistration.mutatingadmissionpolicy import KIND as MUTATINGADMISSIONPOLICY
from pelamis.api.admissionregistration.mutatingadmissionpolicybinding import KIND as MUTATINGADMISSIONPOLICYBINDING
from pelamis.api.admissionregistration.mutatingwebhookconfiguration import KIND as MUTATINGWEBHOOKCONFIGURATION
from pelamis.api.admissionregistration.validatingadmissionpolicy import KIND as VALIDATINGADMISSIONPOLICY
from pelamis.api.admissionregistration.validatingadmissionpolicybinding import KIND as VALIDATINGADMISSIONPOLICYBINDING
from pelamis.api.admissionregistration.validatingwebhookconfiguration import KIND as VALIDATINGWEBHOOKCONFIGURATION

KINDS = (
    MUTATINGADMISSIONPOLICY,
    MUTATINGADMISSIONPOLICYBINDING,
    MUTATINGWEBHOOKCONFIGURATION,
    VALIDATINGADMISSIONPOLICY,
    VALIDATINGADMISSIONPOLICYBINDING,
    VALIDATINGWEBHOOKCONFIGURATION,
)
