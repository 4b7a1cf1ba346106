"""`--format` and `--column`: the same answer for a person, a program or a spreadsheet.

As openstackclient has them: with columns named, every format has the rows with these columns only;
without, JSON and YAML have the whole answer and not only its rows.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from wholecard.core.errors import UsageError
from wholecard.core.near_names import did_you_mean
from wholecard.core.report_text import table

# With rows, and for an answer that has none.
FORMATS = ("table", "json", "yaml", "csv")
TEXT_FORMATS = ("text", "json", "yaml")


def formatted(
    format_name: str,
    columns: Sequence[str],
    text: str,
    answer: Mapping[str, Any],
    rows_name: str = "",
) -> str:
    """The answer in that format, without a newline at its end.

    `text` is the answer for a person, `answer` the same as plain data, and `rows_name` the member
    of it that is a list of objects of one kind. Raises UsageError for an unknown format or column,
    and for columns of an answer without rows.
    """
    _check_options(format_name, columns, rows_name)
    if not columns and format_name != "csv":
        return text if format_name in ("text", "table") else _document(format_name, answer)
    rows: Sequence[Mapping[str, Any]] = answer[rows_name]
    heads = columns or list(dict.fromkeys(chain.from_iterable(rows)))
    if columns:
        rows = [_selected(row, columns) for row in rows]
    if format_name in ("json", "yaml"):
        return _document(format_name, rows)
    cells = [[_cell(row.get(head)) for head in heads] for row in rows]
    if format_name != "csv":
        return table(list(map(str.upper, heads)), cells)
    lines = io.StringIO()
    csv.writer(lines, lineterminator="\n").writerows([heads, *cells])
    return lines.getvalue().rstrip("\n")


def _document(format_name: str, data: Any) -> str:
    return json.dumps(data, indent=2) if format_name == "json" else "\n".join(_yaml(data))


def _check_options(format_name: str, columns: Sequence[str], rows_name: str) -> None:
    formats = FORMATS if rows_name else TEXT_FORMATS
    if format_name not in formats:
        raise UsageError(
            f"this command has no format {format_name!r}",
            did_you_mean(format_name, formats),
            f"Choose one of {', '.join(formats)}.",
        )
    if columns and not rows_name:
        raise UsageError("--column works only with output in rows", resolution="Remove --column.")


def _selected(row: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    for column in columns:
        if column not in row:
            raise UsageError(
                f"there is no column {column!r}",
                did_you_mean(column, list(row)),
                f"Choose from {', '.join(row)}.",
            )
    return {column: row[column] for column in columns}


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def _yaml(value: Any) -> list[str]:
    """Lines of block YAML; a scalar is written as in JSON, which is YAML too (YAML 1.2, 1.3)."""
    if isinstance(value, Mapping) and value:
        return [line for key, member in value.items() for line in _member(f"{key}:", member)]
    if isinstance(value, (list, tuple)) and value:
        return [line for member in value for line in _entry(member)]
    return [json.dumps(value)]


def _member(key: str, value: Any) -> list[str]:
    if isinstance(value, (Mapping, list, tuple)) and value:
        return [key, *(f"  {line}" for line in _yaml(value))]
    return [f"{key} {json.dumps(value)}"]


def _entry(value: Any) -> list[str]:
    first, *others = _yaml(value)
    return [f"- {first}", *(f"  {line}" for line in others)]
