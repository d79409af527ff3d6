"""For all tests: properties are judged by what they find, never by how long a busy machine takes over an example."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("pelamis", deadline=None)
settings.load_profile("pelamis")
