"""``pods/ephemeralcontainers`` and ``pods/resize``: the parts of a running pod that may change, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pelamis.api import codec, metavalidate
from pelamis.api.core.pod.pod import Pod
from pelamis.api.core.pod.strategy import prepare_ephemeral_containers, prepare_resize
from pelamis.api.core.pod.validate_update import validate_ephemeral_containers_update, validate_resize
from pelamis.api.field import Tree
from pelamis.apiserver import incoming, verbs
from pelamis.apiserver.ownership import own
from pelamis.apiserver.verbs import Result
from pelamis.apiserver.write import Write
from pelamis.base.errors import FieldError, Invalid


def _wanted(write: Write) -> Tree:
    """The pod as the client wants it, in normal form."""
    if write.verb == "patch":
        incoming.patched(write)
    else:
        write.tree = codec.to_tree(write.tree)
    incoming.normal(write)
    verbs.check_revision(write, write.tree["metadata"])
    return write.tree


def _update(
    write: Write, prepare: Callable[[Tree, Tree], None], check: Callable[[Pod, Pod], Sequence[FieldError]]
) -> Result:
    write.operation = "UPDATE"
    hub = write.hub
    assert write.old is not None
    tree, before = _wanted(write), write.old_tree
    prepare(tree, before)
    if write.patch is None or write.patch.type != "apply":
        own(write, before, ())
    obj = codec.from_tree(hub, tree)
    errors = metavalidate.validate_update(obj.metadata, write.old.obj.metadata)
    errors.extend(check(obj, write.old.obj))
    if errors:
        raise Invalid(hub.kind, hub.group, write.name, errors)
    return verbs.settle(write, obj)


def ephemeral_containers(write: Write) -> Result:
    """Ephemeral containers are added, never changed or removed."""
    return _update(write, prepare_ephemeral_containers, validate_ephemeral_containers_update)


def resize(write: Write) -> Result:
    """Requests and limits of the containers, and their resize policy."""
    return _update(write, prepare_resize, validate_resize)
