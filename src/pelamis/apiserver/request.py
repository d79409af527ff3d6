"""What a request asks for, read from its method, path and query: pure, and the same for HTTP and in-process calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import parse_qsl

from pelamis.base import duration
from pelamis.base.errors import (
    BadRequest,
    FieldError,
    Invalid,
    forbidden,
    invalid,
    not_supported,
    required,
)

_VERBS = {
    "POST": "create",
    "GET": "get",
    "HEAD": "get",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}
_NAMESPACE_PARTS = frozenset(("status", "finalize"))
MUTATING = frozenset(("create", "update", "patch", "delete", "deletecollection"))


@dataclass(slots=True)
class RequestInfo:
    """``verb`` is the API verb for a resource request, the lower-case method otherwise.

    ``parts``: the path after the name and subresource (proxy paths), unescaped.
    """

    path: str
    verb: str
    is_resource: bool = False
    prefix: str = ""
    group: str = ""
    version: str = ""
    namespace: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""
    parts: tuple[str, ...] = ()

    @property
    def qualified(self) -> str:
        return f"{self.resource}.{self.group}" if self.group else self.resource


def parse_info(method: str, path: str, query: str = "") -> RequestInfo:
    """As upstream's RequestInfo: never fails, an unknown path is a non-resource request.

    Bytes that are no UTF-8 come as surrogates; they stay so in ``parts``, which a proxy passes on, and read U+FFFD
    elsewhere, so that a name can be put into an answer.
    """
    if not path.isascii() and (shown := path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")) != path:
        info = parse_info(method, shown, query)
        info.parts = tuple(path.strip("/").split("/")[-len(info.parts) :]) if info.parts else ()
        return info
    parts = path.strip("/").split("/")
    first = parts[0]
    count = len(parts)
    if first == "api" and count >= 3:
        group, version, at = "", parts[1], 2
    elif first == "apis" and count >= 4:
        group, version, at = parts[1], parts[2], 3
    else:
        return RequestInfo(path, method.lower())
    verb = _VERBS.get(method, "")
    if parts[at] == "watch" and count > at + 1:
        verb = "watch"
        at += 1
    elif parts[at] == "proxy" and count > at + 1:
        verb = "proxy"
        at += 1
    namespace = ""
    rest = parts[at:]
    if rest[0] == "namespaces" and len(rest) > 1:
        namespace = rest[1]
        if len(rest) > 2 and rest[2] not in _NAMESPACE_PARTS:
            rest = rest[2:]
    info = RequestInfo(path, verb, True, first, group, version, namespace, rest[0])
    if len(rest) > 1:
        info.name = rest[1]
        if len(rest) > 2 and verb != "proxy":
            info.subresource = rest[2]
            info.parts = tuple(rest[3:])
    if not info.name:
        if verb == "get":
            info.verb = "list"
            if query and "watch" in query and _truthy(_first(query, "watch")):
                info.verb = "watch"
        elif verb == "delete":
            info.verb = "deletecollection"
        if query and "fieldSelector" in query and info.verb in ("list", "watch", "deletecollection"):
            info.name = name_of(_first(query, "fieldSelector"))
    elif verb == "get" and not info.subresource and query and "watch" in query and _truthy(_first(query, "watch")):
        info.verb = "watch"
    return info


def _first(query: str, name: str) -> str:
    return next((v for k, v in parse_qsl(query, keep_blank_values=True) if k == name), "")


_LONG = frozenset(("watch", "proxy", "connect"))
_LONG_SUBRESOURCES = frozenset(("attach", "exec", "log", "portforward", "proxy"))


def is_long_running(info: RequestInfo) -> bool:
    return info.verb in _LONG or info.subresource in _LONG_SUBRESOURCES


def timeout_of(query: str) -> float:
    """Seconds that the client gives the request by ``timeout``, 0 for no limit of its own. Raises BadRequest."""
    text = _first(query, "timeout")
    try:
        return max(duration.parse(text), 0.0) if text else 0.0
    except ValueError as error:
        raise BadRequest(f"invalid timeout specified in the request URL - {error}") from None


def name_of(selector: str) -> str:
    """The name that ``metadata.name=x`` pins: authorization by resource name applies to such lists too."""
    for term in selector.split(","):
        key, sep, value = term.partition("=")
        if sep and key.strip() == "metadata.name" and not key.endswith("!"):
            return value.lstrip("=").strip()
    return ""


def _truthy(text: str) -> bool:
    return text.lower() not in ("", "0", "false", "f")


@dataclass(slots=True)
class ListOptions:
    """resource_version "" = not given. timeout_s None = the server's choice."""

    label_selector: str = ""
    field_selector: str = ""
    watch: bool = False
    bookmarks: bool = False
    resource_version: str = ""
    match: str = ""
    timeout_s: int | None = None
    limit: int = 0
    token: str = ""
    initial_events: bool | None = None


@dataclass(slots=True)
class WriteOptions:
    """dry_run: run everything but the store. validation: Strict, Warn, Ignore."""

    dry_run: bool = False
    manager: str = ""
    validation: str = "Warn"
    force: bool | None = None


@dataclass(slots=True)
class DeleteOptions:
    """orphan: the deprecated orphanDependents."""

    grace_s: int | None = None
    uid: str = ""
    rev: str = ""
    propagation: str = ""
    orphan: bool | None = None
    dry_run: bool = False
    errors: list[FieldError] = field(default_factory=list)


Items = Sequence[tuple[str, str]]
_LIST_KIND = "ListOptions"


def _number(text: str, name: str) -> int:
    if not text.isascii() or not text.removeprefix("-").removeprefix("+").isdigit():
        raise BadRequest(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    if len(text) > 20 or not -(2**63) <= (number := int(text)) < 2**63:
        raise BadRequest(f'strconv.ParseInt: parsing "{text}": value out of range')
    return number


def _flag(text: str) -> bool:
    if text in ("", "true", "True", "TRUE", "1", "t", "T"):
        return True
    if text in ("false", "False", "FALSE", "0", "f", "F"):
        return False
    raise BadRequest(f'strconv.ParseBool: parsing "{text}": invalid syntax')


def list_options(items: Items) -> ListOptions:
    """Raises StatusError as upstream's validation of ListOptions does.

    Of what is given twice the first counts, as for authorization, which would otherwise be asked about other objects.
    """
    out = ListOptions()
    for name, value in dict(reversed(items)).items():
        match name:
            case "labelSelector":
                out.label_selector = value
            case "fieldSelector":
                out.field_selector = value
            case "watch":
                out.watch = _truthy(value) if value else False
            case "allowWatchBookmarks":
                out.bookmarks = _truthy(value)
            case "resourceVersion":
                out.resource_version = value
            case "resourceVersionMatch":
                out.match = value
            case "timeoutSeconds":
                out.timeout_s = _number(value, name) if value else None
            case "limit":
                out.limit = max(0, _number(value, name)) if value else 0
            case "continue":
                out.token = value
            case "sendInitialEvents":
                out.initial_events = _flag(value)
    if out.match or out.initial_events is not None:
        errors = check_list_options(out, watch=out.watch)
        if errors:
            raise Invalid(_LIST_KIND, "meta.k8s.io", "", errors)
    return out


def check_list_options(o: ListOptions, *, watch: bool) -> list[FieldError]:
    """The combinations of resourceVersionMatch and sendInitialEvents that make no sense."""
    errors: list[FieldError] = []
    if watch:
        if o.initial_events is not None:
            if o.match != "NotOlderThan":
                errors.append(
                    forbidden(
                        "resourceVersionMatch",
                        "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
                    )
                )
        elif o.match:
            errors.append(
                forbidden(
                    "resourceVersionMatch",
                    "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
                )
            )
        return errors
    if o.initial_events is not None:
        errors.append(forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    if o.match:
        if not o.resource_version:
            errors.append(
                forbidden(
                    "resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided"
                )
            )
        if o.token:
            errors.append(
                forbidden("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided")
            )
        if o.match not in ("Exact", "NotOlderThan"):
            errors.append(not_supported("resourceVersionMatch", o.match, ("Exact", "NotOlderThan", "")))
        elif o.match == "Exact" and o.resource_version == "0":
            errors.append(
                forbidden("resourceVersionMatch", 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"')
            )
    return errors


_OPTIONS_KIND = {"create": "CreateOptions", "update": "UpdateOptions", "patch": "PatchOptions"}


def write_options(verb: str, items: Items, *, apply: bool = False) -> WriteOptions:
    """Of create, update and patch. Shared by those who ask for the same: not to be changed. Raises StatusError."""
    return _write_options(verb, tuple(items), apply)


@lru_cache(maxsize=1_000)
def _write_options(verb: str, items: tuple[tuple[str, str], ...], apply: bool) -> WriteOptions:
    out = WriteOptions()
    errors: list[FieldError] = []
    for name, value in items:
        match name:
            case "dryRun":
                out.dry_run = _dry_run(value, errors)
            case "fieldManager":
                out.manager = value
                _check_manager(value, errors)
            case "fieldValidation":
                if value not in ("", "Ignore", "Warn", "Strict"):
                    errors.append(not_supported("fieldValidation", value, ("", "Ignore", "Strict", "Warn")))
                out.validation = value or "Warn"
            case "force":
                out.force = _flag(value)
    if verb == "patch":
        if apply and not out.manager:
            errors.append(required("fieldManager", "is required for apply patch"))
        if not apply and out.force is not None:
            errors.append(forbidden("force", "may not be specified for non-apply patch"))
    if errors:
        raise Invalid(_OPTIONS_KIND.get(verb, "UpdateOptions"), "meta.k8s.io", "", errors)
    return out


def _dry_run(value: str, errors: list[FieldError]) -> bool:
    if value != "All":
        errors.append(not_supported("dryRun", [value], ("All",)))
    return value == "All"


def _check_manager(value: str, errors: list[FieldError]) -> None:
    if len(value) > 128:
        errors.append(FieldError("FieldValueTooLong", "fieldManager", "may not be more than 128 bytes"))
    for i, char in enumerate(value):
        if not char.isprintable():
            errors.append(invalid("fieldManager", value, f"invalid character U+{ord(char):04X} (at position {i})"))


def delete_options(items: Items, body: dict[str, object] | None) -> DeleteOptions:
    """The body wins over the query as a whole, as upstream has it. Raises StatusError."""
    out = DeleteOptions()
    errors: list[FieldError] = []
    if body:
        _from_body(out, body, errors)
    else:
        for name, value in items:
            match name:
                case "gracePeriodSeconds":
                    out.grace_s = _number(value, name)
                case "orphanDependents":
                    out.orphan = _flag(value)
                case "propagationPolicy":
                    out.propagation = value
                case "dryRun":
                    out.dry_run = _dry_run(value, errors)
    if out.orphan is not None and out.propagation:
        errors.append(
            invalid("propagationPolicy", out.propagation, "orphanDependents and deletionPropagation cannot be both set")
        )
    if out.propagation not in ("", "Foreground", "Background", "Orphan"):
        errors.append(
            not_supported("propagationPolicy", out.propagation, ("Foreground", "Background", "Orphan", "nil"))
        )
    if errors:
        raise Invalid("DeleteOptions", "meta.k8s.io", "", errors)
    return out


def _from_body(out: DeleteOptions, body: dict[str, object], errors: list[FieldError]) -> None:
    kind = body.get("kind")
    if kind not in (None, "", "DeleteOptions"):
        raise BadRequest(f'decode: {kind} in version "{body.get("apiVersion", "")}" cannot be handled as DeleteOptions')
    grace = body.get("gracePeriodSeconds")
    if grace is not None:
        if not isinstance(grace, int) or isinstance(grace, bool):
            raise BadRequest(
                "json: cannot unmarshal into Go struct field DeleteOptions.gracePeriodSeconds of type int64"
            )
        out.grace_s = grace
    pre = body.get("preconditions")
    if isinstance(pre, dict):
        out.uid = str(pre.get("uid") or "")
        out.rev = str(pre.get("resourceVersion") or "")
    policy = body.get("propagationPolicy")
    if policy is not None:
        out.propagation = str(policy)
    orphan = body.get("orphanDependents")
    if orphan is not None:
        out.orphan = bool(orphan)
    dry = body.get("dryRun")
    if isinstance(dry, list):
        for value in dry:
            out.dry_run = _dry_run(str(value), errors) or out.dry_run
