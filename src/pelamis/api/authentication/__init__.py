"""The kinds of one API group, in discovery order."""

from pelamis.api.authentication.selfsubjectreview import KIND as SELFSUBJECTREVIEW
from pelamis.api.authentication.tokenreview import KIND as TOKENREVIEW

KINDS = (
    SELFSUBJECTREVIEW,
    TOKENREVIEW,
)
