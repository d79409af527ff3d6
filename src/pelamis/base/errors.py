"""API outcomes and field errors: one exception family that maps one to one to ``metav1.Status``.

``StatusError`` is raised by everything that can refuse a request; ``FieldError`` is a value that validation returns in
lists. The texts follow upstream, because clients match on them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

Cause = Literal[
    "FieldValueRequired",
    "FieldValueInvalid",
    "FieldValueNotSupported",
    "FieldValueForbidden",
    "FieldValueDuplicate",
    "FieldValueNotFound",
    "FieldValueTooLong",
    "FieldValueTooMany",
    "FieldValueTypeInvalid",
    "InternalError",
]
_PREFIX = {
    "FieldValueRequired": "Required value",
    "FieldValueInvalid": "Invalid value",
    "FieldValueNotSupported": "Unsupported value",
    "FieldValueForbidden": "Forbidden",
    "FieldValueDuplicate": "Duplicate value",
    "FieldValueNotFound": "Not found",
    "FieldValueTooLong": "Too long",
    "FieldValueTooMany": "Too many",
    "FieldValueTypeInvalid": "Invalid value",
    "InternalError": "Internal error",
}
_NO_VALUE = {"FieldValueRequired", "FieldValueForbidden", "FieldValueTooLong", "InternalError"}


def _show(value: Any) -> str:
    """A value as upstream prints it in a message: strings quoted, the rest as JSON."""
    if isinstance(value, str):
        return msgspec.json.encode(value).decode()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    text = msgspec.json.encode(value).decode()
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")  # as Go's encoder


OMITTED: Any = object()
"""The value of a FieldError that does not show it, because it is long or of no help."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One reason why an object is not valid. ``field`` is a path such as ``spec.containers[0].image``."""

    cause: Cause
    field: str
    detail: str = ""
    value: Any = None

    def body(self) -> str:
        """The text without the field, as in ``StatusCause.message``."""
        head = _PREFIX[self.cause]
        if self.cause not in _NO_VALUE and self.value is not OMITTED:
            head = f"{head}: {_show(self.value)}"
        return f"{head}: {self.detail}" if self.detail else head

    def __str__(self) -> str:
        return f"{self.field}: {self.body()}"


def required(field: str, detail: str = "") -> FieldError:
    return FieldError("FieldValueRequired", field, detail)


def invalid(field: str, value: Any, detail: str) -> FieldError:
    return FieldError("FieldValueInvalid", field, detail, value)


def forbidden(field: str, detail: str) -> FieldError:
    return FieldError("FieldValueForbidden", field, detail)


def duplicate(field: str, value: Any) -> FieldError:
    return FieldError("FieldValueDuplicate", field, "", value)


def not_found(field: str, value: Any) -> FieldError:
    return FieldError("FieldValueNotFound", field, "", value)


def not_supported(field: str, value: Any, supported: Sequence[str]) -> FieldError:
    """``supported`` is shown in the order given."""
    detail = "supported values: " + ", ".join(f'"{s}"' for s in supported) if supported else ""
    return FieldError("FieldValueNotSupported", field, detail, value)


def too_long(field: str, limit: int) -> FieldError:
    return FieldError("FieldValueTooLong", field, f"may not be more than {limit} bytes")


def too_many(field: str, actual: int, limit: int) -> FieldError:
    return FieldError("FieldValueTooMany", field, f"must have at most {limit} items", actual)


class StatusError(Exception):
    """A refused request. ``code`` is the HTTP status, ``reason`` the machine-readable ``StatusReason``."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        details: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.headers = headers or {}

    def status(self) -> dict[str, Any]:
        """The ``Status`` object as a JSON tree."""
        out: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            out["reason"] = self.reason
        if self.details is not None:
            out["details"] = self.details
        out["code"] = self.code
        return out


def _qualified(resource: str, group: str) -> str:
    return f"{resource}.{group}" if group else resource


def _details(resource: str, group: str, name: str, **more: Any) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if name:
        out["name"] = name
    if group:
        out["group"] = group
    if resource:
        out["kind"] = resource
    out.update(more)
    return out


def NotFound(resource: str, group: str, name: str) -> StatusError:
    message = f'{_qualified(resource, group)} "{name}" not found'
    return StatusError(404, "NotFound", message, details=_details(resource, group, name))


def PathNotFound() -> StatusError:
    """No such route: what upstream answers for an unknown group, version or resource."""
    return StatusError(404, "NotFound", "the server could not find the requested resource", details={})


def AlreadyExists(resource: str, group: str, name: str) -> StatusError:
    message = f'{_qualified(resource, group)} "{name}" already exists'
    return StatusError(409, "AlreadyExists", message, details=_details(resource, group, name))


def Conflict(resource: str, group: str, name: str, why: str = "", causes: Sequence[dict[str, str]] = ()) -> StatusError:
    """``why`` defaults to the text for a stale resourceVersion."""
    why = why or ("the object has been modified; please apply your changes to the latest version and try again")
    message = f'Operation cannot be fulfilled on {_qualified(resource, group)} "{name}": {why}'
    details = _details(resource, group, name)
    if causes:
        details["causes"] = list(causes)
    return StatusError(409, "Conflict", message, details=details)


def Invalid(kind: str, group: str, name: str, errors: Sequence[FieldError]) -> StatusError:
    """422 with one cause for each field error; ``kind`` is the Kind's name here, as upstream has it."""
    lines = list(dict.fromkeys(str(e) for e in errors))
    text = lines[0] if len(lines) == 1 else "[" + ", ".join(lines) + "]"
    shown = f"{kind}.{group}" if group else kind
    causes = [{"reason": e.cause, "message": e.body(), "field": e.field} for e in errors]
    details = _details(kind, group, name, causes=causes)
    return StatusError(422, "Invalid", f'{shown} "{name}" is invalid: {text}', details=details)


def BadRequest(message: str) -> StatusError:
    return StatusError(400, "BadRequest", message)


def wrong_revision(text: str) -> StatusError:
    why = f'Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'
    return BadRequest(f"invalid resource version: resourceVersion: {why}")


def Unauthorized() -> StatusError:
    return StatusError(401, "Unauthorized", "Unauthorized")


def Forbidden(resource: str, group: str, name: str, why: str) -> StatusError:
    what = f'{_qualified(resource, group)} "{name}"' if name else _qualified(resource, group)
    message = f"{what} is forbidden: {why}" if what else f"forbidden: {why}"
    return StatusError(403, "Forbidden", message, details=_details(resource, group, name))


def MethodNotAllowed() -> StatusError:
    return StatusError(
        405, "MethodNotAllowed", "the server does not allow this method on the requested resource", details={}
    )


def NotAcceptable(supported: Sequence[str], *, shape: bool = False) -> StatusError:
    """shape: the media type is known, and what is asked for in it is not."""
    if shape:
        text = "only the following media types are accepted: " + ", ".join(supported)
        return StatusError(406, "NotAcceptable", text)
    text = "406: Not Acceptable\n\nAvailable representations: " + ", ".join(supported)
    return StatusError(406, "NotAcceptable", text)


def UnsupportedMediaType(supported: Sequence[str]) -> StatusError:
    return StatusError(
        415,
        "UnsupportedMediaType",
        "the body of the request was in an unknown format - accepted media types include: " + ", ".join(supported),
    )


def Gone(message: str) -> StatusError:
    """410 ``Expired``: the resourceVersion or continue token is older than what is kept."""
    return StatusError(410, "Expired", message)


def TooLarge(message: str) -> StatusError:
    return StatusError(413, "RequestEntityTooLarge", message)


def TooManyRequests(message: str, retry_after_s: int = 1, details: dict[str, Any] | None = None) -> StatusError:
    details = dict(details or {})
    details.setdefault("retryAfterSeconds", retry_after_s)
    return StatusError(429, "TooManyRequests", message, details=details, headers={"Retry-After": str(retry_after_s)})


def Timeout(message: str, retry_after_s: int = 0) -> StatusError:
    details = {"retryAfterSeconds": retry_after_s} if retry_after_s else {}
    return StatusError(504, "Timeout", message, details=details)


def Internal(message: str) -> StatusError:
    causes = [{"message": message}]
    return StatusError(500, "InternalError", f"Internal error occurred: {message}", details={"causes": causes})


def Unavailable(message: str) -> StatusError:
    return StatusError(503, "ServiceUnavailable", message)


def from_status(tree: dict[str, Any]) -> StatusError:
    """The error that a ``Status`` from a server stands for."""
    return StatusError(
        int(tree.get("code", 500)), tree.get("reason", ""), tree.get("message", ""), details=tree.get("details")
    )


def is_reason(error: BaseException, reason: str) -> bool:
    return isinstance(error, StatusError) and error.reason == reason
