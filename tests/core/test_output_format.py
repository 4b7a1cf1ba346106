"""The formats of an answer, with and without columns."""

from __future__ import annotations

import json

import pytest
import yaml

from wholecard.core import UsageError
from wholecard.core.output_format import formatted

ANSWER = {
    "path": "a: b # c",
    "rows": [
        {"name": "gpu", "count": 2, "ids": ["10de", "26b9"], "note": None},
        {"name": 'two "words"', "count": 0, "ids": [], "note": "x\ny"},
    ],
    "none": {},
}


def test_whole_answer() -> None:
    """JSON and YAML have the same whole answer, the table is the text for a person."""
    assert json.loads(formatted("json", (), "text", ANSWER, "rows")) == ANSWER
    assert yaml.safe_load(formatted("yaml", (), "text", ANSWER, "rows")) == ANSWER
    assert formatted("table", (), "text", ANSWER, "rows") == "text"
    assert yaml.safe_load(formatted("yaml", (), "text", ANSWER)) == ANSWER


def test_columns() -> None:
    """With columns each format has the rows alone, with these columns in this order."""
    columns = ("count", "name")
    assert formatted("table", columns, "", ANSWER, "rows").splitlines() == [
        "COUNT  NAME", "2      gpu", '0      two "words"',
    ]  # fmt: skip
    rows = [{"count": 2, "name": "gpu"}, {"count": 0, "name": 'two "words"'}]
    assert json.loads(formatted("json", columns, "", ANSWER, "rows")) == rows
    assert yaml.safe_load(formatted("yaml", columns, "", ANSWER, "rows")) == rows
    assert formatted("csv", columns, "", ANSWER, "rows").splitlines()[1] == "2,gpu"


def test_csv() -> None:
    """CSV has all columns, a list as JSON and nothing for null."""
    assert formatted("csv", (), "", ANSWER, "rows").splitlines()[:2] == [
        "name,count,ids,note", 'gpu,2,"[""10de"", ""26b9""]",',
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("format_name", "columns", "rows_name"),
    [("csv", (), ""), ("text", (), "rows"), ("json", ("name",), ""), ("csv", ("nam",), "rows")],
)
def test_refused(format_name: str, columns: tuple[str, ...], rows_name: str) -> None:
    """An unknown format or column is refused, and those that exist are named."""
    with pytest.raises(UsageError) as caught:
        formatted(format_name, columns, "", ANSWER, rows_name)
    assert caught.value.resolution
