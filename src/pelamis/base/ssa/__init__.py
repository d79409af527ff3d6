"""Server-side apply and field ownership (managedFields).

Every write passes through here. ``update_managed`` follows an ordinary create, update or patch: what changed belongs to
the changer from now on, and leaves all others. ``apply`` merges a partial object: its fields belong to the applier;
fields that it had applied before and does not apply any more go away unless another applier has them; changing a field
of somebody else is a conflict, unless forced.

``walk`` has what is done to values under a shape (sets, comparison, merge, removal), ``managed`` the entries of
metadata.managedFields, ``apply`` and ``update`` the two operations. Sets are those of ``base.fieldpath``.
"""

from pelamis.base.ssa.apply import ApplyError, apply
from pelamis.base.ssa.managed import manager_name, resets
from pelamis.base.ssa.update import update_managed

__all__ = ["ApplyError", "apply", "manager_name", "resets", "update_managed"]
