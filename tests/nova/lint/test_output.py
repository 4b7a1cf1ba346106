"""Diagnostics as JSON, SARIF and GitHub's annotations, and as text for a person."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from pydantic import BaseModel
from rich.console import Console
from sarif_pydantic import Sarif

from support.lint_hosts import service
from wholecard.nova.lint import lint
from wholecard.nova.lint.output.github import to_github
from wholecard.nova.lint.output.plain_data import to_data, to_text
from wholecard.nova.lint.output.sarif import to_sarif
from wholecard.nova.lint.output.text import show

# A name with every sign that a format has to escape, and a line with a byte that is no UTF-8.
ODD = "a,b:c%\nd.conf"
WRONG = (
    b"[pci]\ndevice_spec = {'vendor_id': '10de', 'product_id': '2330'}\nreport_in_placement = 2\n"
)


def extras(model: BaseModel) -> Iterator[str]:
    """Fields that the SARIF models do not know, anywhere below `model`."""
    yield from model.model_extra or ()
    for name in type(model).model_fields:
        value = getattr(model, name)
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, BaseModel):
                yield from extras(each)


def test_sarif_is_sarif() -> None:
    """What is written is of SARIF 2.1.0, with no field that it does not have."""
    diagnostics = lint([service(WRONG, "compute")])
    sarif = Sarif.model_validate(json.loads(to_sarif(diagnostics)))
    # SARIF 2.1.0, 3.14.17, which these models lack.
    assert list(extras(sarif)) == ["columnKind"]
    assert (sarif.version, len(sarif.runs[0].results or [])) == ("2.1.0", len(diagnostics))


def test_sarif_says_where() -> None:
    """A result names rule, level, file, line, and columns up to but not with the last."""
    data = json.loads(to_sarif(lint([service(WRONG, "compute", path="etc/nova a.conf")])))
    run = data["runs"][0]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert rules == ["WC207", "WC217"]
    result = run["results"][1]
    assert (result["ruleId"], rules[result["ruleIndex"]], result["level"]) == (
        "WC207", "WC207", "error",
    )  # fmt: skip
    assert result["locations"] == [{
        "physicalLocation": {
            "artifactLocation": {"uri": "etc/nova%20a.conf"},
            "region": {"startLine": 3, "startColumn": 23, "endColumn": 24},
        }
    }]  # fmt: skip


def test_nothing_wrong_is_a_whole_document() -> None:
    """Without diagnostics SARIF and JSON are whole, and GitHub is told nothing."""
    assert json.loads(to_sarif([]))["runs"][0]["results"] == []
    assert to_data([]) == {
        "findings": [], "counts": {"error": 0, "warning": 0, "note": 0},
    }  # fmt: skip
    assert to_github([]) == ""


def test_json_has_all_fields() -> None:
    """A finding in JSON has the fields of every finding, its place, its roles, and if it mends."""
    (first, *_) = to_data(lint([service(WRONG, "compute")]))["findings"]
    assert list(first) == [
        "rule", "subject", "severity", "message", "fix", "file", "line", "column", "length",
        "roles", "fixable",
    ]  # fmt: skip
    assert (first["rule"], first["line"], first["column"], first["fixable"]) == (
        "WC217", 2, 16, True,
    )  # fmt: skip


def test_github_is_escaped() -> None:
    """Signs that end a property or a line are written as GitHub's runner reads them."""
    (first, _) = to_github(lint([service(WRONG, "compute", path=ODD)])).splitlines()
    assert first.startswith(
        "::error file=a%2Cb%3Ac%25%0Ad.conf,line=2,col=16,endColumn=17,"
        "title=WC217 The value is not JSON::[pci] device_spec: the value is not JSON"
    )


@pytest.mark.parametrize(
    "write",
    [
        to_sarif,
        to_github,
        *(partial(to_text, format_name=name) for name in ("json", "yaml", "csv")),
    ],
)
def test_odd_bytes_can_be_written(write: Any) -> None:
    """Bytes that are no UTF-8 and signs that a terminal obeys come out as a replacement."""
    diagnostics = lint(
        [service(b'[pci]\ndevice_spec = {"\xe4\x1b[31m": "x"}\n', path="\udce4\x1b.conf")]
    )
    text = write(diagnostics)
    assert text.encode()
    assert "\x1b" not in text


def shown(data: bytes, width: int = 100) -> str:
    """What a person sees."""
    stream = io.StringIO()
    show(lint([service(data, "compute")]), Console(file=stream, width=width))
    return stream.getvalue()


def test_a_caret_stands_below() -> None:
    """The offending line is shown, with a caret below each sign that is meant."""
    lines = shown(b"[pci]\nreport_in_placement = maybe\n").splitlines()
    assert lines[0] == "nova.conf"
    below = lines[lines.index("          report_in_placement = maybe") + 1]
    assert below == " " * 32 + "^^^^^"


def test_a_long_line_is_cut_around_the_place() -> None:
    """Of a line that is longer than the terminal the part with the place is shown."""
    data = b'[pci]\ndevice_spec = {"vendor_id": "10de", "a": "' + b"x" * 300 + b'", "b": \'c\'}\n'
    lines = shown(data, width=80).splitlines()
    place = next(n for n, line in enumerate(lines) if line.strip().startswith("^"))
    column = lines[place].index("^")
    assert lines[place - 1][column] == "'"
    assert len(lines[place - 1]) <= 80


def test_the_end_counts() -> None:
    """The last line counts the severities and says how many --fix fixes."""
    assert shown(WRONG).splitlines()[-1] == "2 errors; --fix fixes 1 of them"
    assert shown(b"[pci]\n") == "No findings.\n"


def test_words_are_wrapped() -> None:
    """On a narrow terminal message and fix go on below, indented; a line to paste stays whole."""
    data = b'[pci]\ndevice_spec = {"vendor_id": "10de", "prodct": "2330"}\n'
    lines = shown(data, width=80).splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert lines[1].startswith("  2:37    WC220 warning  [pci] device_spec: nova has no key")
    assert lines[2].startswith("          ")
    assert " ".join(lines[1].split() + lines[2].split()).endswith("devices by it (compute)")
    whole = shown(data, width=300).splitlines()
    assert whole[1].endswith("devices by it  (compute)")


def test_pages_are_named() -> None:
    """Where a code is explained is said once in text, and with each rule in SARIF."""
    assert shown(WRONG).count("More about a rule: wholecard rule WC217\n") == 1
    rules = json.loads(to_sarif(lint([service(WRONG, "compute")])))["runs"][0]["tool"]["driver"]
    for rule in rules["rules"]:
        assert rule["help"]["text"].startswith(f"{rule['id']}: {rule['shortDescription']['text']}")
        assert rule["help"]["text"].endswith(f"docs/rules/{rule['id']}.md of its documentation")
