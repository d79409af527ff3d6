"""The functions that Kubernetes adds to CEL, and how the runtime is told of them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from typing import Any

from pelamis.base import names, regexp
from pelamis.base.cel import addresses, amounts, locators
from pelamis.base.cel.engine import CONTEXT
from pelamis.base.cel.listtypes import joined, unlike
from pelamis.base.cel.values import Made, Wrong, of_kind

# -- regular expressions and lists ------------------------------------------------------------------------------------


def _pattern(pattern: str) -> regexp.Pattern:
    try:
        return regexp.compile_pattern(pattern)
    except regexp.PatternError as error:
        raise Wrong(f"Illegal regex: {error}") from None


def find(text: str, pattern: str) -> str:
    return _pattern(pattern).first(text) or ""


def find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
    found = _pattern(pattern).all(text)
    return list(found if limit < 0 else itertools.islice(found, limit))


def is_sorted(values: Sequence[Any]) -> bool:
    return all(a <= b for a, b in itertools.pairwise(values))


def total(values: Sequence[Any]) -> Any:
    if not values:
        return 0
    result = values[0]
    for value in values[1:]:
        result = result + value
    return result


def smallest(values: Sequence[Any]) -> Any:
    if not values:
        raise Wrong("min called on empty list")
    return min(values)


def largest(values: Sequence[Any]) -> Any:
    if not values:
        raise Wrong("max called on empty list")
    return max(values)


def _same(a: Any, b: Any) -> bool:
    return isinstance(a, bool) == isinstance(b, bool) and bool(a == b)


def index_of(values: Sequence[Any], wanted: Any) -> int:
    return next((i for i, v in enumerate(values) if _same(v, wanted)), -1)


def last_index_of(values: Sequence[Any], wanted: Any) -> int:
    return next((i for i in range(len(values) - 1, -1, -1) if _same(values[i], wanted)), -1)


def insert(entries: dict[Any, Any], more: dict[Any, Any]) -> dict[Any, Any]:
    for key in more:
        if key in entries:
            raise Wrong(f"insert failed: key {key} already exists")
    return {**entries, **more}


# -- named formats ----------------------------------------------------------------------------------------------------


def _prefixed(check: Callable[[str], Sequence[str]]) -> Callable[[str], Sequence[str]]:
    return lambda text: check(text[:-1] + "a" if text.endswith("-") else text)


def _uuid(text: str) -> Sequence[str]:
    good = re.match(r"(?i)[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}\Z", text)
    return () if good else ("does not match the UUID format",)


def _byte(text: str) -> Sequence[str]:
    good = re.match(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?\Z", text)
    return () if good else ("invalid base64",)


def _date(text: str) -> Sequence[str]:
    import datetime

    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return ("invalid date",)
    return () if re.match(r"\d{4}-\d\d-\d\d\Z", text) else ("invalid date",)


def _date_time(text: str) -> Sequence[str]:
    import datetime

    try:
        datetime.datetime.fromisoformat(text)
    except ValueError:
        return ("invalid datetime",)
    return () if "T" in text.upper() else ("invalid datetime",)


_FORMATS: dict[str, Callable[[str], Sequence[str]]] = {
    "dns1123Label": names.is_dns1123_label,
    "dns1123Subdomain": names.is_dns1123_subdomain,
    "dns1035Label": names.is_dns1035_label,
    "dns1123LabelPrefix": _prefixed(names.is_dns1123_label),
    "dns1123SubdomainPrefix": _prefixed(names.is_dns1123_subdomain),
    "dns1035LabelPrefix": _prefixed(names.is_dns1035_label),
    "qualifiedName": names.is_qualified_name,
    "labelValue": names.is_valid_label_value,
    "uri": lambda text: () if locators.is_url(text) else ("invalid URI",),
    "uuid": _uuid,
    "byte": _byte,
    "date": _date,
    "datetime": _date_time,
}


def optional(value: Any = None) -> Made:
    """Stands for an optional, which functions cannot return; it has the same member functions."""
    return {"$": "optional", "value": [] if value is None else [value]}


def named_format(name: str) -> Made:
    return optional({"$": "format", "name": name}) if name in _FORMATS else optional()


def validate_format(value: Made, text: str) -> Made:
    problems = list(_FORMATS[of_kind("format", value)["name"]](text))
    return optional(problems or None)


def _has_value(value: Made) -> bool:
    return bool(of_kind("optional", value)["value"])


def _value(value: Made) -> Any:
    found = of_kind("optional", value)["value"]
    if not found:
        raise Wrong("optional.none() dereference")
    return found[0]


def _or_value(value: Made, other: Any) -> Any:
    found = of_kind("optional", value)["value"]
    return found[0] if found else other


# -- the authorizer ---------------------------------------------------------------------------------------------------


def _with(**more: Any) -> Callable[..., Made]:
    """A step in building a check: copies the map with one more member."""
    (name,) = more

    def step(value: Made, text: str) -> Made:
        return {**value, "$": more[name], name: text}

    return step


def service_account(value: Made, namespace: str, name: str) -> Made:
    return {**of_kind("authorizer", value), "serviceAccount": f"{namespace}:{name}"}


def check(value: Made, verb: str) -> Made:
    if value.get("$") not in ("resourceCheck", "pathCheck"):
        raise Wrong("no such overload")
    if CONTEXT.authorize is None:
        raise Wrong("there is no authorizer here")
    allowed, reason, error = CONTEXT.authorize(value, verb)
    return {"$": "decision", "allowed": allowed, "reason": reason, "error": error}


def _decided(member: str) -> Callable[[Made], Any]:
    return lambda value: of_kind("decision", value)[member]


# -- declarations -----------------------------------------------------------------------------------------------------


_TYPES = {
    "quantity": "kubernetes.Quantity",
    "semver": "kubernetes.Semver",
    "ip": "net.IP",
    "cidr": "net.CIDR",
    "url": "kubernetes.URL",
    "image": "kubernetes.Image",
    "format": "kubernetes.NamedFormat",
    "authorizer": "kubernetes.authorization.Authorizer",
    "pathCheck": "kubernetes.authorization.PathCheck",
    "groupCheck": "kubernetes.authorization.GroupCheck",
    "resourceCheck": "kubernetes.authorization.ResourceCheck",
    "decision": "kubernetes.authorization.Decision",
}
OPAQUE = tuple(_TYPES.values())
"""The types of what functions make, where expressions are checked and not run."""
_ORDERED = ("INT", "UINT", "DOUBLE", "BOOL", "DURATION", "TIMESTAMP", "STRING", "BYTES")
_SUMMED = ("INT", "UINT", "DOUBLE", "DURATION")
_NUMBERS = ("INT", "UINT", "DOUBLE")


def extension(cel: Any, *, typed: bool = False, inserting: bool = False) -> Any:
    """All of it, for an environment. ``cel``: the runtime's module. typed: with the types that upstream declares, for
    an environment that only checks, and has messages of these names. inserting: with what puts entries into maps."""
    t = cel.Type
    text, yes, number, anything = t.STRING, t.BOOL, t.INT, t.DYN
    texts, made = t.List(t.STRING), t.Map(t.STRING, t.DYN)
    of = {kind: cel.Type(name) if typed else made for kind, name in _TYPES.items()}
    declared: dict[str, list[Any]] = {}
    known: set[str] = set()

    def add(name: str, result: Any, parameters: Sequence[Any], fn: Callable[..., Any], member: bool = True) -> None:
        signature = f"{name} {member} {[p.name() for p in parameters]}"
        if signature in known:
            return  # where all that is made has one type, the first function stands for those of all types
        known.add(signature)
        overloads = declared.setdefault(name, [])
        overload_id = f"k8s_{name.replace('.', '_')}_{len(overloads)}"
        overloads.append(cel.Overload(overload_id, result, list(parameters), member, fn))

    def add_lists(name: str, kinds: Sequence[str], result: Any, fn: Callable[..., Any]) -> None:
        if not typed:
            add(name, result or anything, [t.List(anything)], fn)
            return
        for kind in kinds:
            elem = getattr(t, kind)
            add(name, result or elem, [t.List(elem)], fn)

    amount, version = of["quantity"], of["semver"]
    add("quantity", amount, [text], amounts.make_quantity, False)
    add("isQuantity", yes, [text], amounts.is_quantity, False)
    add("isInteger", yes, [amount], amounts.is_integer)
    add("asInteger", number, [amount], amounts.as_integer)
    add("asApproximateFloat", t.DOUBLE, [amount], lambda q: amounts.nano_of(q) / amounts.NANO)
    add("sign", number, [amount], amounts.sign)
    add("add", amount, [amount, amount], lambda a, b: amounts.added(a, b, 1))
    add("add", amount, [amount, number], lambda a, b: amounts.added(a, b, 1))
    add("sub", amount, [amount, amount], lambda a, b: amounts.added(a, b, -1))
    add("sub", amount, [amount, number], lambda a, b: amounts.added(a, b, -1))

    add("semver", version, [text], amounts.make_semver, False)
    add("semver", version, [text, yes], amounts.make_semver, False)
    add("isSemver", yes, [text], amounts.is_semver, False)
    add("isSemver", yes, [text, yes], amounts.is_semver, False)
    for part in ("major", "minor", "patch"):
        add(part, number, [version], lambda v, part=part: of_kind("semver", v)[part])
    for kind in (amount, version):
        add("isLessThan", yes, [kind, kind], lambda a, b: amounts.compare(a, b) < 0)
        add("isGreaterThan", yes, [kind, kind], lambda a, b: amounts.compare(a, b) > 0)
        add("compareTo", number, [kind, kind], amounts.compare)

    address, network = of["ip"], of["cidr"]
    add("ip", address, [text], addresses.make_ip, False)
    add("isIP", yes, [text], addresses.is_ip, False)
    add("ip.isCanonical", yes, [text], lambda s: str(addresses.parse_ip(s)) == s, False)
    add("family", number, [address], addresses.family)
    add("isUnspecified", yes, [address], lambda v: addresses.ip_of(v).is_unspecified)
    add("isLoopback", yes, [address], lambda v: addresses.ip_of(v).is_loopback)
    add("isLinkLocalMulticast", yes, [address], lambda v: addresses.is_local_multicast(addresses.ip_of(v)))
    add("isLinkLocalUnicast", yes, [address], lambda v: addresses.ip_of(v).is_link_local)
    add("isGlobalUnicast", yes, [address], lambda v: addresses.is_global(addresses.ip_of(v)))
    add("cidr", network, [text], addresses.make_cidr, False)
    add("isCIDR", yes, [text], addresses.is_cidr, False)
    add("containsIP", yes, [network, address], addresses.contains_ip)
    add("containsIP", yes, [network, text], addresses.contains_ip)
    add("containsCIDR", yes, [network, network], addresses.contains_cidr)
    add("containsCIDR", yes, [network, text], addresses.contains_cidr)
    add("ip", address, [network], lambda v: addresses.make_ip(of_kind("cidr", v)["ip"]))
    add("masked", network, [network], addresses.masked)
    add("prefixLength", number, [network], lambda v: of_kind("cidr", v)["bits"])
    for kind in (address, network):
        add("string", text, [kind], addresses.to_string, False)

    add("url", of["url"], [text], locators.make_url, False)
    add("isURL", yes, [text], locators.is_url, False)
    add("getScheme", text, [of["url"]], lambda v: locators.url_of(v).scheme)
    add("getHost", text, [of["url"]], locators.host)
    add("getHostname", text, [of["url"]], locators.hostname)
    add("getPort", text, [of["url"]], locators.port)
    add("getEscapedPath", text, [of["url"]], locators.escaped_path)
    add("getQuery", t.Map(text, texts), [of["url"]], locators.query)

    add("image", of["image"], [text], locators.make_image, False)
    add("isImage", yes, [text], locators.is_image, False)
    add("containsDigest", yes, [of["image"]], lambda v: bool(of_kind("image", v)["digest"]))
    for part in ("registry", "repository", "identifier", "tag", "digest"):
        add(part, text, [of["image"]], lambda v, part=part: of_kind("image", v)[part])

    add("find", text, [text, text], find)
    add("findAll", texts, [text, text], find_all)
    add("findAll", texts, [text, text, number], find_all)
    add_lists("isSorted", _ORDERED, yes, is_sorted)
    add_lists("sum", _SUMMED, None, total)
    add_lists("min", _ORDERED, None, smallest)
    add_lists("max", _ORDERED, None, largest)
    add("indexOf", number, [t.List(anything), anything], index_of)
    add("lastIndexOf", number, [t.List(anything), anything], last_index_of)

    maybe = anything if typed else made
    add("format.named", maybe, [text], named_format, False)
    for name in _FORMATS:
        add(f"format.{name}", of["format"], [], lambda name=name: {"$": "format", "name": name}, False)
    add("validate", maybe, [of["format"], text], validate_format)
    if not typed:
        add("hasValue", yes, [made], _has_value)
        add("value", anything, [made], _value)
        add("orValue", anything, [made, anything], _or_value)

    asked, resource = of["authorizer"], of["resourceCheck"]
    add("path", of["pathCheck"], [asked, text], _with(path="pathCheck"))
    add("group", of["groupCheck"], [asked, text], _with(group="groupCheck"))
    add("resource", resource, [of["groupCheck"], text], _with(resource="resourceCheck"))
    for step in ("subresource", "namespace", "name", "fieldSelector", "labelSelector"):
        add(step, resource, [resource, text], _with(**{step: "resourceCheck"}))
    add("serviceAccount", asked, [asked, text, text], service_account)
    for kind in (of["pathCheck"], resource):
        add("check", of["decision"], [kind, text], check)
    add("allowed", yes, [of["decision"]], _decided("allowed"))
    add("reason", text, [of["decision"]], _decided("reason"))
    add("error", text, [of["decision"]], _decided("error"))
    add("errored", yes, [of["decision"]], lambda v: bool(of_kind("decision", v)["error"]))

    add("jsonpatch.escapeKey", text, [text], lambda s: s.replace("~", "~0").replace("/", "~1"), False)
    if inserting:
        entries = t.Map(anything, anything)
        add("cel.@mapInsert", entries, [entries, anything, anything], lambda m, k, v: insert(m, {k: v}), False)
        add("cel.@mapInsert", entries, [entries, entries], insert, False)
        add("@like", yes, [anything, anything, text], lambda a, b, types: not unlike(a, b, types), False)
        add("@unlike", yes, [anything, anything, text], unlike, False)
        add("@joined", anything, [anything, anything, text], joined, False)
    if typed:
        # Where values run, the runtime compares numbers of all types.
        for operator in ("_<_", "_<=_", "_>_", "_>=_"):
            for a, b in itertools.permutations(_NUMBERS, 2):
                add(operator, yes, [getattr(t, a), getattr(t, b)], amounts.compare, False)
    return cel.CelExtension("kubernetes", [cel.FunctionDecl(name, overloads) for name, overloads in declared.items()])
