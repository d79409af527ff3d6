"""kubectl's JSONPath, with the shapes that its documentation shows."""

from __future__ import annotations

from typing import Any

import pytest

from pelamis.base import jsonpath

DOCUMENT: dict[str, Any] = {
    "kind": "List",
    "items": [
        {
            "metadata": {"name": "a", "labels": {"k.io/x": "1"}},
            "n": 1,
            "f": 1.5,
            "ok": True,
            "conditions": [{"type": "Ready", "status": "True"}, {"type": "Other", "status": "False"}],
        },
        {"metadata": {"name": "b"}, "n": 2, "ok": False},
    ],
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("plain", "plain"),
        ("{.kind}", "List"),
        ("{$.kind}", "List"),
        ("{kind}", "List"),
        ("{['kind']}", "List"),
        ("{.items[*].metadata.name}", "a b"),
        ("{.items[*]['metadata.name', 'n']}", "1 2"),
        ("{.items[0]['n','f']}", "1 1.5"),
        ("{..name}", "a b"),
        ("{.items[*].n}", "1 2"),
        ("{.items.*.n}", "1 2"),
        ("{.items[-1].n}", "2"),
        ("{.items[0:1].n}", "1"),
        ("{.items[::2].n}", "1"),
        ("{.items[0,1].n}", "1 2"),
        ("{.items[?(@.n>1)].metadata.name}", "b"),
        ("{.items[?(@.n!=1)].n}", "2"),
        ("{.items[?(@.conditions)].n}", "1"),
        ("{.items[?(@.ok==true)].n}", "1"),
        ('{.items[0].conditions[?(@.type=="Ready")].status}', "True"),
        ("{.items[?(@.metadata.name=='b')].n}", "2"),
        (r"{.items[0].metadata.labels.k\.io/x}", "1"),
        (r"{.items[0].metadata.labels['k\.io/x']}", "1"),
        ('{range .items[*]}{.metadata.name}{"\\t"}{.n}{"\\n"}{end}', "a\t1\nb\t2\n"),
        ("{range .items[*]}[{.metadata.name}, {range .conditions[*]}{.type};{end}] {end}", "[a, Ready;Other;] [b, ] "),
        ("{.items[0].metadata}", '{"name":"a","labels":{"k.io/x":"1"}}'),
        ("{.items[*].ok}", "true false"),
        ("<{.missing.deeper}>", "<>"),
        ("{.items[9].n}", ""),
        ("{1} {'x'}", "1 x"),
    ],
)
def test_text(template: str, text: str) -> None:
    assert jsonpath.compile(template).text(DOCUMENT) == text


@pytest.mark.parametrize("path", [".items[1].n", "items[1].n", "{.items[1].n}", "$.items[1].n"])
def test_paths_of_columns(path: str) -> None:
    assert jsonpath.compile_path(path).first(DOCUMENT) == 2
    assert jsonpath.compile_path(".none").first(DOCUMENT, "-") == "-"


@pytest.mark.parametrize(
    ("template", "error"),
    [
        ("{.a", "unclosed action"),
        ("{range .items}", "unterminated range"),
        ("{end}", "nothing to end"),
        ("{.items[x]}", "invalid array index x"),
        ("{.items[?(@.a}", "unterminated filter"),
        ("{'a}", "unterminated quoted string"),
        ("{=}", "unrecognized character in action"),
    ],
)
def test_refused(template: str, error: str) -> None:
    with pytest.raises(jsonpath.JSONPathError, match=error):
        jsonpath.compile(template)


@pytest.mark.parametrize(("template", "error"), [("{.none}", "none is not found"), ("{.items[7]}", "out of bounds")])
def test_missing_values_can_be_errors(template: str, error: str) -> None:
    with pytest.raises(jsonpath.JSONPathError, match=error):
        jsonpath.compile(template).text(DOCUMENT, missing_ok=False)
