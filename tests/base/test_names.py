"""What names may look like."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pelamis.base import names

Check = Callable[[str], list[str]]
SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
QUALIFIED = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
    "(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (names.is_dns1123_label, ["a", "a-1", "1" * 63], ["", "-a", "a-", "A", "a.b", "a_b", "1" * 64, "a\n"]),
        (names.is_dns1123_subdomain, ["a", "a.b-c", "1.2", "a" * 253], ["", ".a", "a..b", "a-.b", "A", "a" * 254]),
        (names.is_dns1035_label, ["a", "a-1"], ["", "1a", "a.b", "a-"]),
        (names.is_qualified_name, ["a", "A_b.c-d", "ex.com/a"], ["", "/a", "a/", "a/b/c", "A.com/a", "-a", "a" * 64]),
        (names.is_valid_label_value, ["", "a", "A.b_c-1"], ["-", "a b", "a/b", "a" * 64]),
        (names.is_wildcard_dns1123_subdomain, ["*.a.b"], ["*", "*.", "a.b", "*.*.a"]),
        (names.is_c_identifier, ["a", "_a1"], ["", "1a", "a-b"]),
        (names.is_env_var, ["a", "1 b", "A-b.c"], ["", "a=b", "é", "a\n"]),
        (names.is_config_map_key, ["a", ".a", "A_b-c.d"], ["", ".", "..", "..a", "a/b", "a" * 254]),
        (names.is_http_header_name, ["X-A"], ["", "X A", "X_A"]),
        (names.is_percent, ["1%", "100%"], ["", "%", "1", "-1%"]),
        (names.is_port_name, ["http", "a-1"], ["", "1", "a--b", "-a", "A", "a" * 16]),
        (names.is_ip, ["1.2.3.4", "::1", "::ffff:1.2.3.4"], ["", "1.2.3", "1.2.3.04", "fe80::1%eth0", "1.2.3.4/8"]),
        (names.is_cidr, ["10.0.0.0/8", "10.0.0.1/8", "::/0"], ["10.0.0.0", "10.0.0.0/33", "/8", "10.0.0.0/08"]),
        (names.is_path_segment, ["a:b", "A"], [".", "..", "a/b", "a%b"]),
        (names.is_fully_qualified_domain_name, ["a.b", "a.b.c."], ["", "a", "A.b"]),
        (names.is_fully_qualified_name, ["a.b.c"], ["", "a.b", "A.b.c"]),
        (names.is_domain_prefixed_path, ["a.io/b", "a.io/b/c"], ["", "a.io", "a.io/", "/b", "A.io/b", "a.io/b?"]),
        (names.is_dns1123_subdomain_with_underscore, ["_a.b", "a"], ["", "A", "a..b"]),
    ],
)
def test_good_and_bad(check: Check, good: list[str], bad: list[str]) -> None:
    assert [value for value in good if check(value)] == []
    assert [value for value in bad if not check(value)] == []


@pytest.mark.parametrize(
    ("check", "value", "messages"),
    [
        (names.is_dns1123_subdomain, "A", [SUBDOMAIN]),
        (names.is_dns1123_label, "a.b", ["must not contain dots"]),
        (names.is_qualified_name, "/a", ["prefix part must be non-empty"]),
        (names.is_qualified_name, "-", ["name part " + QUALIFIED]),
        (names.is_qualified_name, "", ["name part must be non-empty", "name part " + QUALIFIED]),
        (names.is_dns1035_label, "a" * 64, ["must be no more than 63 characters"]),
        (names.is_valid_label_value, "a" * 64, ["must be no more than 63 bytes"]),
        (names.is_port_name, "", ["must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"]),
        (names.is_ip, "x", ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]),
        (names.is_path_segment, "a/%", ["may not contain '/'", "may not contain '%'"]),
    ],
)
def test_messages(check: Check, value: str, messages: list[str]) -> None:
    assert check(value)[: len(messages)] == messages


def test_numbers_and_prefixes() -> None:
    assert names.is_port_num(0) == names.is_port_num(65536) == ["must be between 1 and 65535, inclusive"]
    assert names.is_port_num(1) == names.is_id(0) == []
    assert names.is_id(-1) == ["must be between 0 and 2147483647, inclusive"]
    assert names.name_is_dns_subdomain("a-", prefix=True) == [] != names.name_is_dns_subdomain("a-")
    assert (names.ip_family("1.2.3.4"), names.ip_family("::1"), names.ip_family("x")) == (4, 6, 0)
    assert (names.cidr_family("1.2.3.4/8"), names.cidr_family("::/0"), names.cidr_family("x")) == (4, 6, 0)
