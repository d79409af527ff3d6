"""The kinds of one API group, in discovery order."""

from pelamis.api.rbac.clusterrole import KIND as CLUSTERROLE
from pelamis.api.rbac.clusterrolebinding import KIND as CLUSTERROLEBINDING
from pelamis.api.rbac.role import KIND as ROLE
from pelamis.api.rbac.rolebinding import KIND as ROLEBINDING

KINDS = (
    CLUSTERROLEBINDING,
    CLUSTERROLE,
    ROLEBINDING,
    ROLE,
)
