"""Views of what a test says there is."""

from __future__ import annotations

from typing import Any

import msgspec

from pelamis.api.kind import Kind
from pelamis.cache.collection import Collection
from pelamis.cache.view import View


def view_of(kind: Kind, *objects: Any) -> View:
    """All objects of the kind."""
    collection = Collection(kind)
    found = ((o.metadata.namespace, o.metadata.name, 1, msgspec.json.encode(o)) for o in objects)
    collection.replace(found, 1)
    return View(collection)
