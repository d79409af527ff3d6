"""The functions that Kubernetes adds to CEL.

The runtime has no values of our own types, so a quantity, an address, a version and so on is a map with a member
``$``, which says what it is, in a canonical form: equal values are equal maps. Functions check what they are given.
"""

from __future__ import annotations

import ipaddress
import itertools
import re
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pelamis.base import names, quantity, regexp
from pelamis.base.cel.engine import CONTEXT
from pelamis.base.cel.listtypes import joined, unlike

Made = dict[str, Any]
_INT = (-(1 << 63), (1 << 63) - 1)
NANO = 10**9


class Wrong(ValueError):
    """A function was given what it does not work on."""


def _of(kind: str, value: Any) -> Made:
    if not isinstance(value, dict) or value.get("$") != kind:
        raise Wrong("no such overload")
    return value


# -- quantities -------------------------------------------------------------------------------------------------------


def _quantity(nano: int) -> Made:
    return {"$": "quantity", "nano": str(nano)}


def _nano(value: Any) -> int:
    return int(_of("quantity", value)["nano"])


def make_quantity(text: str) -> Made:
    return _quantity(quantity.parse(text).nano)


def is_quantity(text: str) -> bool:
    try:
        quantity.parse(text)
    except ValueError:
        return False
    return True


def is_integer(value: Made) -> bool:
    nano = _nano(value)
    return nano % NANO == 0 and _INT[0] <= nano // NANO <= _INT[1]


def as_integer(value: Made) -> int:
    if not is_integer(value):
        raise Wrong("cannot convert value to integer")
    return _nano(value) // NANO


def sign(value: Made) -> int:
    nano = _nano(value)
    return (nano > 0) - (nano < 0)


def _sum(a: Made, b: Any, factor: int) -> Made:
    other = b * NANO if isinstance(b, int) else _nano(b)
    return _quantity(_nano(a) + factor * other)


# -- versions ---------------------------------------------------------------------------------------------------------

_SEMVER = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
    r"(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?\Z"
)


def make_semver(text: str, normalize: bool = False) -> Made:
    if normalize:
        text = text.removeprefix("v")
        core, sep, rest = re.match(r"([^-+]*)([-+]?)(.*)", text, re.S).groups()  # type: ignore[union-attr]
        parts = [p.lstrip("0") or "0" for p in core.split(".")]
        text = ".".join((parts + ["0", "0"])[: max(3, len(parts))]) + sep + rest
    match = _SEMVER.match(text)
    if match is None:
        raise Wrong(f'Invalid character(s) found in version "{text}"' if text else "Version string empty")
    major, minor, patch, pre, build = match.groups()
    return {
        "$": "semver",
        "major": int(major),
        "minor": int(minor),
        "patch": int(patch),
        "pre": pre or "",
        "build": build or "",
    }


def is_semver(text: str, normalize: bool = False) -> bool:
    try:
        make_semver(text, normalize)
    except ValueError:
        return False
    return True


def _version_key(value: Made) -> tuple[Any, ...]:
    pre = value["pre"]
    parts = tuple((0, int(p), "") if p.isdigit() else (1, 0, p) for p in pre.split(".")) if pre else ()
    return value["major"], value["minor"], value["patch"], not pre, parts


def compare(a: Made, b: Made) -> int:
    """Quantities or versions."""
    if isinstance(a, dict) and a.get("$") == "semver":
        x, y = _version_key(a), _version_key(_of("semver", b))
        return (x > y) - (x < y)
    p, q = _nano(a), _nano(b)
    return (p > q) - (p < q)


# -- addresses --------------------------------------------------------------------------------------------------------


def _parse_ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise Wrong(f'IP Address "{text}" parse error during conversion from string: unable to parse IP') from None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id:
            raise Wrong(f'IP address "{text}" with zone value is not allowed')
        if address.ipv4_mapped is not None:
            raise Wrong(f'IPv4-mapped IPv6 address "{text}" is not allowed')
    return address


def make_ip(value: Any) -> Made:
    return {"$": "ip", "ip": str(_parse_ip(value))}


def _ip(value: Any) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return _parse_ip(value if isinstance(value, str) else _of("ip", value)["ip"])


def is_ip(text: str) -> bool:
    try:
        _parse_ip(text)
    except Wrong:
        return False
    return True


def _global(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """As Go: neither unspecified, loopback, multicast, link-local nor the broadcast address; private ones count."""
    return not (
        address.is_unspecified
        or address.is_loopback
        or address.is_multicast
        or address.is_link_local
        or str(address) == "255.255.255.255"
    )


def _local_multicast(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if address.version == 4:
        return str(address).startswith("224.0.0.")
    return address.is_multicast and address.packed[1] & 0x0F == 2


def _parse_cidr(text: str) -> ipaddress.IPv4Interface | ipaddress.IPv6Interface:
    address, slash, bits = text.partition("/")
    if not slash or not bits.isdigit() or (len(bits) > 1 and bits[0] == "0"):
        raise Wrong(f"network address parse error during conversion from string: netip.ParsePrefix(\"{text}\"): no '/'")
    _parse_ip(address)
    try:
        return ipaddress.ip_interface(text)
    except ValueError:
        raise Wrong(
            f'network address parse error during conversion from string: netip.ParsePrefix("{text}"): '
            "prefix length out of range"
        ) from None


def make_cidr(text: str) -> Made:
    found = _parse_cidr(text)
    return {"$": "cidr", "ip": str(found.ip), "bits": found.network.prefixlen}


def _cidr(value: Any) -> ipaddress.IPv4Interface | ipaddress.IPv6Interface:
    if isinstance(value, str):
        return _parse_cidr(value)
    made = _of("cidr", value)
    return ipaddress.ip_interface(f"{made['ip']}/{made['bits']}")


def is_cidr(text: str) -> bool:
    try:
        _parse_cidr(text)
    except Wrong:
        return False
    return True


def contains_ip(value: Made, other: Any) -> bool:
    network, address = _cidr(value).network, _ip(other)
    return network.version == address.version and address in network


def contains_cidr(value: Made, other: Any) -> bool:
    network, inner = _cidr(value).network, _cidr(other).network
    return network.version == inner.version and inner.subnet_of(network)  # type: ignore[arg-type]


def masked(value: Made) -> Made:
    return make_cidr(str(_cidr(value).network))


def family(value: Made) -> int:
    return _ip(value).version


def to_string(value: Made) -> str:
    if value.get("$") == "ip":
        return str(value["ip"])
    if value.get("$") == "cidr":
        return f"{value['ip']}/{value['bits']}"
    raise Wrong("no such overload")


# -- URLs -------------------------------------------------------------------------------------------------------------


def make_url(text: str) -> Made:
    if any(ord(c) < 0x20 or ord(c) == 0x7F for c in text):
        raise Wrong(f'URL parse error during conversion from string: parse "{text}": invalid control character in URL')
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise Wrong(f'URL parse error during conversion from string: parse "{text}": invalid URL') from None
    if " " in parts.netloc or not (parts.scheme or text.startswith("/")):
        raise Wrong(f'URL parse error during conversion from string: parse "{text}": invalid URI for request')
    return {"$": "url", "text": text}


def is_url(text: str) -> bool:
    try:
        make_url(text)
    except Wrong:
        return False
    return True


def _url(value: Made) -> Any:
    return urlsplit(_of("url", value)["text"])


def _host(value: Made) -> str:
    netloc: str = _url(value).netloc
    return netloc.rpartition("@")[2]


def _hostname(value: Made) -> str:
    host = _host(value)
    if host.startswith("["):
        return host[1 : host.find("]")]
    return host.partition(":")[0]


def _port(value: Made) -> str:
    port = _url(value).port
    return "" if port is None else str(port)


def _escaped_path(value: Made) -> str:
    from urllib.parse import quote

    path: str = _url(value).path
    return quote(path, safe="/%:@!$&'()*+,;=~-._")


def _query(value: Made) -> dict[str, list[str]]:
    return parse_qs(_url(value).query, keep_blank_values=True)


# -- images -----------------------------------------------------------------------------------------------------------

_REPOSITORY = re.compile(r"(?=.{2,255}\Z)[a-z0-9_.-]+(/[a-z0-9_.-]+)*\Z")
_REGISTRY = re.compile(r"(?i)(\[[0-9a-f:]+\]|[a-z0-9-]+(\.[a-z0-9-]+)*\.?)(:\d+)?\Z")
_HUB = "index.docker.io"


def make_image(text: str) -> Made:
    """Parts of an image's name, with what a missing registry and tag mean. A digest hides a tag."""
    wrong = Wrong(f"could not parse reference: {text}")
    base, at, digest = text.partition("@")
    if at and not re.match(r"sha256:[0-9a-f]{64}\Z", digest):
        raise wrong
    head, colon, tag = base.rpartition(":")
    if not colon or "/" in tag:
        head, tag = base, ""
    elif not re.match(r"[A-Za-z0-9_.-]{1,128}\Z", tag):
        raise wrong
    registry, slash, repository = head.partition("/")
    if not slash or not ("." in registry or ":" in registry):
        registry, repository = "", head
    if registry in ("", "docker.io"):
        registry = _HUB
    if not _REPOSITORY.match(repository) or not _REGISTRY.match(registry):
        raise wrong
    if registry == _HUB and "/" not in repository:
        repository = f"library/{repository}"
    tag = "" if at else tag or "latest"
    made = {"$": "image", "registry": registry, "repository": repository, "tag": tag, "digest": digest}
    return {**made, "identifier": digest or tag}


def is_image(text: str) -> bool:
    try:
        make_image(text)
    except Wrong:
        return False
    return True


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
    "uri": lambda text: () if is_url(text) else ("invalid URI",),
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
    problems = list(_FORMATS[_of("format", value)["name"]](text))
    return optional(problems or None)


def _has_value(value: Made) -> bool:
    return bool(_of("optional", value)["value"])


def _value(value: Made) -> Any:
    found = _of("optional", value)["value"]
    if not found:
        raise Wrong("optional.none() dereference")
    return found[0]


def _or_value(value: Made, other: Any) -> Any:
    found = _of("optional", value)["value"]
    return found[0] if found else other


# -- the authorizer ---------------------------------------------------------------------------------------------------


def _with(**more: Any) -> Callable[..., Made]:
    """A step in building a check: copies the map with one more member."""
    (name,) = more

    def step(value: Made, text: str) -> Made:
        return {**value, "$": more[name], name: text}

    return step


def service_account(value: Made, namespace: str, name: str) -> Made:
    return {**_of("authorizer", value), "serviceAccount": f"{namespace}:{name}"}


def check(value: Made, verb: str) -> Made:
    if value.get("$") not in ("resourceCheck", "pathCheck"):
        raise Wrong("no such overload")
    if CONTEXT.authorize is None:
        raise Wrong("there is no authorizer here")
    allowed, reason, error = CONTEXT.authorize(value, verb)
    return {"$": "decision", "allowed": allowed, "reason": reason, "error": error}


def _decided(member: str) -> Callable[[Made], Any]:
    return lambda value: _of("decision", value)[member]


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
    add("quantity", amount, [text], make_quantity, False)
    add("isQuantity", yes, [text], is_quantity, False)
    add("isInteger", yes, [amount], is_integer)
    add("asInteger", number, [amount], as_integer)
    add("asApproximateFloat", t.DOUBLE, [amount], lambda q: _nano(q) / NANO)
    add("sign", number, [amount], sign)
    add("add", amount, [amount, amount], lambda a, b: _sum(a, b, 1))
    add("add", amount, [amount, number], lambda a, b: _sum(a, b, 1))
    add("sub", amount, [amount, amount], lambda a, b: _sum(a, b, -1))
    add("sub", amount, [amount, number], lambda a, b: _sum(a, b, -1))

    add("semver", version, [text], make_semver, False)
    add("semver", version, [text, yes], make_semver, False)
    add("isSemver", yes, [text], is_semver, False)
    add("isSemver", yes, [text, yes], is_semver, False)
    for part in ("major", "minor", "patch"):
        add(part, number, [version], lambda v, part=part: _of("semver", v)[part])
    for kind in (amount, version):
        add("isLessThan", yes, [kind, kind], lambda a, b: compare(a, b) < 0)
        add("isGreaterThan", yes, [kind, kind], lambda a, b: compare(a, b) > 0)
        add("compareTo", number, [kind, kind], compare)

    address, network = of["ip"], of["cidr"]
    add("ip", address, [text], make_ip, False)
    add("isIP", yes, [text], is_ip, False)
    add("ip.isCanonical", yes, [text], lambda s: str(_parse_ip(s)) == s, False)
    add("family", number, [address], family)
    add("isUnspecified", yes, [address], lambda v: _ip(v).is_unspecified)
    add("isLoopback", yes, [address], lambda v: _ip(v).is_loopback)
    add("isLinkLocalMulticast", yes, [address], lambda v: _local_multicast(_ip(v)))
    add("isLinkLocalUnicast", yes, [address], lambda v: _ip(v).is_link_local)
    add("isGlobalUnicast", yes, [address], lambda v: _global(_ip(v)))
    add("cidr", network, [text], make_cidr, False)
    add("isCIDR", yes, [text], is_cidr, False)
    add("containsIP", yes, [network, address], contains_ip)
    add("containsIP", yes, [network, text], contains_ip)
    add("containsCIDR", yes, [network, network], contains_cidr)
    add("containsCIDR", yes, [network, text], contains_cidr)
    add("ip", address, [network], lambda v: make_ip(_of("cidr", v)["ip"]))
    add("masked", network, [network], masked)
    add("prefixLength", number, [network], lambda v: _of("cidr", v)["bits"])
    for kind in (address, network):
        add("string", text, [kind], to_string, False)

    add("url", of["url"], [text], make_url, False)
    add("isURL", yes, [text], is_url, False)
    add("getScheme", text, [of["url"]], lambda v: _url(v).scheme)
    add("getHost", text, [of["url"]], _host)
    add("getHostname", text, [of["url"]], _hostname)
    add("getPort", text, [of["url"]], _port)
    add("getEscapedPath", text, [of["url"]], _escaped_path)
    add("getQuery", t.Map(text, texts), [of["url"]], _query)

    add("image", of["image"], [text], make_image, False)
    add("isImage", yes, [text], is_image, False)
    add("containsDigest", yes, [of["image"]], lambda v: bool(_of("image", v)["digest"]))
    for part in ("registry", "repository", "identifier", "tag", "digest"):
        add(part, text, [of["image"]], lambda v, part=part: _of("image", v)[part])

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
    add("errored", yes, [of["decision"]], lambda v: bool(_of("decision", v)["error"]))

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
                add(operator, yes, [getattr(t, a), getattr(t, b)], compare, False)
    return cel.CelExtension("kubernetes", [cel.FunctionDecl(name, overloads) for name, overloads in declared.items()])
