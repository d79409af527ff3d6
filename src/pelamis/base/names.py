"""What names and other short texts may look like. Each check returns upstream's messages, none if valid."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_QUALIFIED_MESSAGE = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
)
_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = _LABEL + r"(\." + _LABEL + ")*"
_LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"

_qualified = re.compile(_QUALIFIED)
_label = re.compile(_LABEL)
_subdomain = re.compile(_SUBDOMAIN)
_label_1035 = re.compile(_LABEL_1035)
_wildcard = re.compile(r"\*\." + _SUBDOMAIN)
_c_identifier = re.compile("[A-Za-z_][A-Za-z0-9_]*")
_config_key = re.compile("[-._a-zA-Z0-9]+")
_header = re.compile("[-A-Za-z0-9]+")
_percent = re.compile("[0-9]+%")
_path = re.compile(r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+")


def too_long(limit: int) -> str:
    return f"must be no more than {limit} characters"


def _too_many_bytes(limit: int) -> str:
    """Of labels, which upstream checks by newer rules than names."""
    return f"must be no more than {limit} bytes"


def empty() -> str:
    return "must be non-empty"


def within(low: int, high: int) -> str:
    return f"must be between {low} and {high}, inclusive"


def regex_error(message: str, pattern: str, *examples: str) -> str:
    """``message`` with examples and the regular expression, spaced as upstream spaces it."""
    if not examples:
        return f"{message} (regex used for validation is '{pattern}')"
    shown = " or ".join(f"'{e}', " for e in examples)
    return f"{message} (e.g. {shown}regex used for validation is '{pattern}')"


def _length(value: str) -> int:
    return len(value) if value.isascii() else len(value.encode())


@lru_cache(maxsize=4096)
def _qualified_name(value: str) -> tuple[str, ...]:
    out: list[str] = []
    parts = value.split("/")
    if len(parts) == 1:
        name = parts[0]
    elif len(parts) == 2:
        prefix, name = parts
        if not prefix:
            out.append("prefix part " + empty())
        else:
            out.extend("prefix part " + m for m in is_dns1123_subdomain(prefix))
    else:
        text = regex_error(_QUALIFIED_MESSAGE, _QUALIFIED, "MyName", "my.name", "123-abc")
        return (f"a qualified name {text} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",)
    if not name:
        out.append("name part " + empty())
    elif _length(name) > 63:
        out.append("name part " + _too_many_bytes(63))
    if not _qualified.fullmatch(name):
        out.append("name part " + regex_error(_QUALIFIED_MESSAGE, _QUALIFIED, "MyName", "my.name", "123-abc"))
    return tuple(out)


def is_qualified_name(value: str) -> list[str]:
    """A label key, a finalizer, a resource name: ``name`` or ``example.com/name``."""
    return list(_qualified_name(value))


@lru_cache(maxsize=4096)
def _label_value(value: str) -> tuple[str, ...]:
    out: list[str] = []
    if _length(value) > 63:
        out.append(_too_many_bytes(63))
    if value and not _qualified.fullmatch(value):
        message = f"a valid label must be an empty string or consist of{_QUALIFIED_MESSAGE[len('must consist of') :]}"
        out.append(regex_error(message, f"({_QUALIFIED})?", "MyValue", "my_value", "12345"))
    return tuple(out)


def is_valid_label_value(value: str) -> list[str]:
    return list(_label_value(value))


def is_dns1123_label(value: str) -> list[str]:
    return list(_dns1123_label(value))


@lru_cache(maxsize=4096)
def _dns1123_label(value: str) -> tuple[str, ...]:
    out: list[str] = []
    if _length(value) > 63:
        out.append(too_long(63))
    if not _label.fullmatch(value):
        if _subdomain.fullmatch(value):
            out.append("must not contain dots")
        else:
            message = (
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
                "and must start and end with an alphanumeric character"
            )
            out.append(regex_error(message, _LABEL, "my-name", "123-abc"))
    return tuple(out)


def is_dns1123_subdomain(value: str) -> list[str]:
    if len(value) <= 253 and _subdomain.fullmatch(value):
        return []
    out: list[str] = []
    if _length(value) > 253:
        out.append(too_long(253))
    if not _subdomain.fullmatch(value):
        message = (
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
            "and must start and end with an alphanumeric character"
        )
        out.append(regex_error(message, _SUBDOMAIN, "example.com"))
    return out


def is_dns1123_subdomain_with_underscore(value: str) -> list[str]:
    """As a subdomain, with underscores allowed: DNS search paths."""
    label = "[a-z0-9_]([-a-z0-9_]*[a-z0-9_])?"
    pattern = label + r"(\." + label + ")*"
    out: list[str] = []
    if _length(value) > 253:
        out.append(too_long(253))
    if not re.fullmatch(pattern, value):
        message = (
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-', '_' or '.', "
            "and must start and end with an alphanumeric character"
        )
        out.append(regex_error(message, pattern, "example.com"))
    return out


def is_dns1035_label(value: str) -> list[str]:
    out: list[str] = []
    if _length(value) > 63:
        out.append(too_long(63))
    if not _label_1035.fullmatch(value):
        message = (
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', "
            "start with an alphabetic character, and end with an alphanumeric character"
        )
        out.append(regex_error(message, _LABEL_1035, "my-name", "abc-123"))
    return out


def is_wildcard_dns1123_subdomain(value: str) -> list[str]:
    out: list[str] = []
    if _length(value) > 253:
        out.append(too_long(253))
    if not _wildcard.fullmatch(value):
        message = (
            "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must "
            "consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character"
        )
        out.append(regex_error(message, r"\*\." + _SUBDOMAIN, "*.example.com"))
    return out


def is_fully_qualified_domain_name(value: str) -> list[str]:
    """A DNS name of two or more labels; a trailing dot is fine."""
    if not value:
        return ["Required value"]
    value = value.removesuffix(".")
    wrong = is_dns1123_subdomain(value)
    if wrong:
        return wrong
    if value.count(".") < 1:
        return ["should be a domain with at least two segments separated by dots"]
    return [m for label in value.split(".") for m in is_dns1123_label(label)]


def is_fully_qualified_name(value: str) -> list[str]:
    """A DNS name of three or more labels."""
    if not value:
        return ["Required value"]
    wrong = is_dns1123_subdomain(value)
    if wrong:
        return wrong
    if value.count(".") < 2:
        return ["should be a domain with at least three segments separated by dots"]
    return []


def is_domain_prefixed_path(value: str) -> list[str]:
    """``acme.io/foo``: a signer, a driver, a condition."""
    if not value:
        return ["Required value"]
    host, slash, path = value.partition("/")
    if not slash or not host or not path:
        return ['must be a domain-prefixed path (such as "acme.io/foo")']
    wrong = is_dns1123_subdomain(host)
    if wrong:
        return wrong
    if not _path.fullmatch(path):
        pattern = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+"
        return [regex_error("Invalid path", pattern)]
    return []


def is_c_identifier(value: str) -> list[str]:
    if _c_identifier.fullmatch(value):
        return []
    message = (
        "a valid C identifier must start with alphabetic character or '_', "
        "followed by a string of alphanumeric characters or '_'"
    )
    return [regex_error(message, "[A-Za-z_][A-Za-z0-9_]*", "my_name", "MY_NAME", "MyName")]


def _changes_directory(value: str) -> list[str]:
    if value == ".":
        return ["must not be '.'"]
    if value == "..":
        return ["must not be '..'"]
    if value.startswith(".."):
        return ["must not start with '..'"]
    return []


def is_env_var(value: str) -> list[str]:
    """The rule that is in force since 1.34: printable ASCII without ``=``."""
    if not value:
        return ["environment variable name " + empty()]
    if all(" " <= c <= "~" and c != "=" for c in value):
        return []
    message = "a valid environment variable name must consist only of printable ASCII characters other than '='"
    return [regex_error(message, "^[ -<>-~]+$")]


def is_config_map_key(value: str) -> list[str]:
    out: list[str] = []
    if _length(value) > 253:
        out.append(too_long(253))
    if not _config_key.fullmatch(value):
        message = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
        out.append(regex_error(message, "[-._a-zA-Z0-9]+", "key.name", "KEY_NAME", "key-name"))
    return out + _changes_directory(value)


def is_http_header_name(value: str) -> list[str]:
    if _header.fullmatch(value):
        return []
    message = "a valid HTTP header must consist of alphanumeric characters or '-'"
    return [regex_error(message, "[-A-Za-z0-9]+", "X-Header-Name")]


def is_percent(value: str) -> list[str]:
    if _percent.fullmatch(value):
        return []
    message = "a valid percent string must be a numeric string followed by an ending '%'"
    return [regex_error(message, "[0-9]+%", "1%", "93%")]


def is_port_num(value: int) -> list[str]:
    return [] if 1 <= value <= 65535 else [within(1, 65535)]


def is_id(value: int) -> list[str]:
    """A user or group id."""
    return [] if 0 <= value <= 2147483647 else [within(0, 2147483647)]


def is_port_name(value: str) -> list[str]:
    """An IANA service name."""
    out: list[str] = []
    if _length(value) > 15:
        out.append(too_long(15))
    if not re.fullmatch("[-a-z0-9]+", value):
        out.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", value):
        out.append("must contain at least one letter (a-z)")
    if "--" in value:
        out.append("must not contain consecutive hyphens")
    if value and "-" in (value[0], value[-1]):
        out.append("must not begin or end with a hyphen")
    return out


def is_ip(value: str) -> list[str]:
    return [] if _ip(value) else ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]


_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_dotted = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}")


@lru_cache(maxsize=4096)
def _ip(value: str) -> int:
    """4, 6 or 0. An IPv4-mapped IPv6 address counts as IPv4, zones are refused."""
    if _dotted.fullmatch(value):
        return 4
    if "%" in value:
        return 0
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return 0
    if isinstance(address, ipaddress.IPv6Address):
        return 4 if address.ipv4_mapped else 6
    return 4


def ip_family(value: str) -> int:
    """4, 6, or 0 when the text is no address."""
    return _ip(value)


def is_cidr(value: str) -> list[str]:
    return [] if cidr_family(value) else ["must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"]


@lru_cache(maxsize=1024)
def cidr_family(value: str) -> int:
    """4, 6, or 0 when the text is no network in CIDR notation. Host bits may be set."""
    host, slash, bits = value.partition("/")
    if not slash or not bits.isascii() or not bits.isdigit() or (bits != "0" and bits[0] == "0"):
        return 0
    try:
        return ipaddress.ip_network(value, strict=False).version if "%" not in host else 0
    except ValueError:
        return 0


def is_path_segment(value: str) -> list[str]:
    """Names that are used in a URL path and need no other form (RBAC roles, for example)."""
    if value in (".", ".."):
        return [f"may not be '{value}'"]
    return [f"may not contain '{c}'" for c in "/%" if c in value]


def _masked(value: str, prefix: bool) -> str:
    """A generateName may end in a dash, since the suffix follows."""
    return value[:-1] + "a" if prefix and len(value) > 1 and value.endswith("-") else value


def name_is_dns_subdomain(value: str, prefix: bool = False) -> list[str]:
    """prefix: the value is a generateName."""
    return is_dns1123_subdomain(_masked(value, prefix))
