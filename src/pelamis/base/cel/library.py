"""The functions that Kubernetes adds to CEL.

The runtime has no values of our own types, so a quantity, an address, a version and so on is a map with a member
``$``, which says what it is, in a canonical form: equal values are equal maps. Functions check what they are given.
"""

from __future__ import annotations

import ipaddress
import itertools
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pelamis.base import names, quantity
from pelamis.base.cel.engine import CONTEXT

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


# -- regular expressions and lists ------------------------------------------------------------------------------------


_GROUPS = re.compile(r"\\Q.*?(?:\\E|\Z)|\\.|\[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*\]|\((?!\?)|\(\?P?<\w+>", re.S)


@lru_cache(maxsize=1)
def _searches() -> tuple[Any, Any]:
    """The runtime's own searches: they take time linear in the text, whatever the pattern."""
    from cel_expr_python import cel

    config = cel.NewEnvConfigFromYaml("name: search\nextensions:\n- name: regex\n- name: optional\n")
    environment = cel.NewEnv(config=config, variables={"text": cel.Type.STRING, "pattern": cel.Type.STRING})
    first = environment.compile("regex.extract(text, pattern).orValue('')")
    return first, environment.compile("regex.extractAll(text, pattern)")


@lru_cache(maxsize=512)
def _one_group(pattern: str) -> str:
    """The pattern as the only group of one, since the runtime's searches give what a group matched."""
    return "(" + _GROUPS.sub(lambda m: "(?:" if m[0][0] == "(" else m[0], pattern) + ")"


def _search(which: int, text: str, pattern: str) -> Any:
    value = _searches()[which].eval(data={"text": text, "pattern": _one_group(pattern)})
    if value.type().name() == "ERROR":
        raise Wrong(f"Illegal regex: error parsing regexp: {value.value()}: `{pattern}`")
    return value.plain_value()


def find(text: str, pattern: str) -> str:
    found: str = _search(0, text, pattern)
    return found


def find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
    found = list(_search(1, text, pattern))
    return found if limit < 0 else found[:limit]


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


AUTHORIZER: Made = {"$": "authorizer"}


# -- declarations -----------------------------------------------------------------------------------------------------


def extension(cel: Any) -> Any:
    """All of it, for an environment. ``cel``: the runtime's module."""
    t = cel.Type
    made = t.Map(t.STRING, t.DYN)
    text, yes, number, anything = t.STRING, t.BOOL, t.INT, t.DYN
    items = t.List(t.DYN)
    texts = t.List(t.STRING)
    declared: dict[str, list[Any]] = {}

    def add(name: str, result: Any, parameters: Sequence[Any], fn: Callable[..., Any], member: bool = True) -> None:
        overloads = declared.setdefault(name, [])
        overload_id = f"k8s_{name.replace('.', '_')}_{len(overloads)}"
        overloads.append(cel.Overload(overload_id, result, list(parameters), member, fn))

    add("quantity", made, [text], make_quantity, False)
    add("isQuantity", yes, [text], is_quantity, False)
    add("isInteger", yes, [made], is_integer)
    add("asInteger", number, [made], as_integer)
    add("asApproximateFloat", t.DOUBLE, [made], lambda q: _nano(q) / NANO)
    add("sign", number, [made], sign)
    add("add", made, [made, made], lambda a, b: _sum(a, b, 1))
    add("add", made, [made, number], lambda a, b: _sum(a, b, 1))
    add("sub", made, [made, made], lambda a, b: _sum(a, b, -1))
    add("sub", made, [made, number], lambda a, b: _sum(a, b, -1))
    add("isLessThan", yes, [made, made], lambda a, b: compare(a, b) < 0)
    add("isGreaterThan", yes, [made, made], lambda a, b: compare(a, b) > 0)
    add("compareTo", number, [made, made], compare)

    add("semver", made, [text], make_semver, False)
    add("semver", made, [text, yes], make_semver, False)
    add("isSemver", yes, [text], is_semver, False)
    add("isSemver", yes, [text, yes], is_semver, False)
    for part in ("major", "minor", "patch"):
        add(part, number, [made], lambda v, part=part: _of("semver", v)[part])

    add("ip", made, [text], make_ip, False)
    add("isIP", yes, [text], is_ip, False)
    add("ip.isCanonical", yes, [text], lambda s: str(_parse_ip(s)) == s, False)
    add("family", number, [made], family)
    add("isUnspecified", yes, [made], lambda v: _ip(v).is_unspecified)
    add("isLoopback", yes, [made], lambda v: _ip(v).is_loopback)
    add("isLinkLocalMulticast", yes, [made], lambda v: _local_multicast(_ip(v)))
    add("isLinkLocalUnicast", yes, [made], lambda v: _ip(v).is_link_local)
    add("isGlobalUnicast", yes, [made], lambda v: _global(_ip(v)))
    add("cidr", made, [text], make_cidr, False)
    add("isCIDR", yes, [text], is_cidr, False)
    add("containsIP", yes, [made, made], contains_ip)
    add("containsIP", yes, [made, text], contains_ip)
    add("containsCIDR", yes, [made, made], contains_cidr)
    add("containsCIDR", yes, [made, text], contains_cidr)
    add("ip", made, [made], lambda v: make_ip(_of("cidr", v)["ip"]))
    add("masked", made, [made], masked)
    add("prefixLength", number, [made], lambda v: _of("cidr", v)["bits"])
    add("string", text, [made], to_string, False)

    add("url", made, [text], make_url, False)
    add("isURL", yes, [text], is_url, False)
    add("getScheme", text, [made], lambda v: _url(v).scheme)
    add("getHost", text, [made], _host)
    add("getHostname", text, [made], _hostname)
    add("getPort", text, [made], _port)
    add("getEscapedPath", text, [made], _escaped_path)
    add("getQuery", t.Map(text, texts), [made], _query)

    add("find", text, [text, text], find)
    add("findAll", texts, [text, text], find_all)
    add("findAll", texts, [text, text, number], find_all)
    add("isSorted", yes, [items], is_sorted)
    add("sum", anything, [items], total)
    add("min", anything, [items], smallest)
    add("max", anything, [items], largest)
    add("indexOf", number, [items, anything], index_of)
    add("lastIndexOf", number, [items, anything], last_index_of)

    add("format.named", made, [text], named_format, False)
    for name in _FORMATS:
        add(f"format.{name}", made, [], lambda name=name: {"$": "format", "name": name}, False)
    add("validate", made, [made, text], validate_format)
    add("hasValue", yes, [made], _has_value)
    add("value", anything, [made], _value)
    add("orValue", anything, [made, anything], _or_value)

    add("path", made, [made, text], _with(path="pathCheck"))
    add("group", made, [made, text], _with(group="groupCheck"))
    add("resource", made, [made, text], _with(resource="resourceCheck"))
    for step in ("subresource", "namespace", "name", "fieldSelector", "labelSelector"):
        add(step, made, [made, text], _with(**{step: "resourceCheck"}))
    add("serviceAccount", made, [made, text, text], service_account)
    add("check", made, [made, text], check)
    add("allowed", yes, [made], _decided("allowed"))
    add("reason", text, [made], _decided("reason"))
    add("error", text, [made], _decided("error"))
    add("errored", yes, [made], lambda v: bool(_of("decision", v)["error"]))

    add("jsonpatch.escapeKey", text, [text], lambda s: s.replace("~", "~0").replace("/", "~1"), False)
    return cel.CelExtension("kubernetes", [cel.FunctionDecl(name, overloads) for name, overloads in declared.items()])
