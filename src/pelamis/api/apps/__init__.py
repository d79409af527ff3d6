"""The kinds of one API group, in discovery order."""

from pelamis.api.apps.controllerrevision import KIND as CONTROLLERREVISION
from pelamis.api.apps.daemonset import KIND as DAEMONSET
from pelamis.api.apps.deployment import KIND as DEPLOYMENT
from pelamis.api.apps.replicaset import KIND as REPLICASET
from pelamis.api.apps.statefulset import KIND as STATEFULSET

KINDS = (
    CONTROLLERREVISION,
    DAEMONSET,
    DEPLOYMENT,
    REPLICASET,
    STATEFULSET,
)
