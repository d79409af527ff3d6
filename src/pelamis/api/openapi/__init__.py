"""OpenAPI v2 and v3, derived from the registry and the annotations of the structs.

``schema`` turns types into definitions, ``operation`` kinds into paths; ``v2`` and ``v3`` assemble documents,
``gnostic`` writes v2 as protobuf, ``serve`` keeps what was made and answers requests. Documents are made when first
asked for, in steps, so that other requests run in between, and only their compressed bytes are kept.
"""

from pelamis.api.openapi.serve import Document, OpenAPI, openapi

__all__ = ["Document", "OpenAPI", "openapi"]
