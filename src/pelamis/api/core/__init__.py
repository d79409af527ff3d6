"""The kinds of one API group, in discovery order."""

from pelamis.api.core.binding import KIND as BINDING
from pelamis.api.core.componentstatus import KIND as COMPONENTSTATUS
from pelamis.api.core.configmap import KIND as CONFIGMAP
from pelamis.api.core.endpoints import KIND as ENDPOINTS
from pelamis.api.core.event import KIND as EVENT
from pelamis.api.core.limitrange import KIND as LIMITRANGE
from pelamis.api.core.namespace import KIND as NAMESPACE
from pelamis.api.core.node import KIND as NODE
from pelamis.api.core.persistentvolume import KIND as PERSISTENTVOLUME
from pelamis.api.core.persistentvolumeclaim import KIND as PERSISTENTVOLUMECLAIM
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.podtemplate import KIND as PODTEMPLATE
from pelamis.api.core.replicationcontroller import KIND as REPLICATIONCONTROLLER
from pelamis.api.core.resourcequota import KIND as RESOURCEQUOTA
from pelamis.api.core.secret import KIND as SECRET
from pelamis.api.core.service import KIND as SERVICE
from pelamis.api.core.serviceaccount import KIND as SERVICEACCOUNT

KINDS = (
    BINDING,
    COMPONENTSTATUS,
    CONFIGMAP,
    ENDPOINTS,
    EVENT,
    LIMITRANGE,
    NAMESPACE,
    NODE,
    PERSISTENTVOLUMECLAIM,
    PERSISTENTVOLUME,
    POD,
    PODTEMPLATE,
    REPLICATIONCONTROLLER,
    RESOURCEQUOTA,
    SECRET,
    SERVICEACCOUNT,
    SERVICE,
)
