"""The kinds of one API group, in discovery order."""

from pelamis.api.authorization.localsubjectaccessreview import KIND as LOCALSUBJECTACCESSREVIEW
from pelamis.api.authorization.selfsubjectaccessreview import KIND as SELFSUBJECTACCESSREVIEW
from pelamis.api.authorization.selfsubjectrulesreview import KIND as SELFSUBJECTRULESREVIEW
from pelamis.api.authorization.subjectaccessreview import KIND as SUBJECTACCESSREVIEW

KINDS = (
    LOCALSUBJECTACCESSREVIEW,
    SELFSUBJECTACCESSREVIEW,
    SELFSUBJECTRULESREVIEW,
    SUBJECTACCESSREVIEW,
)
