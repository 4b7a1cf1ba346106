"""Many rows as one text, made by the database.

A driver in pure Python needs some 10 us for a row and its columns; a text of a host's rows is
split in a tenth of that. Measured with 80,000 rows of pci_devices in MariaDB. Only for columns
that no tenant writes: the separators are control characters, which JSON text cannot have either.
What a tenant writes is asked for as JSON text (`AsJson`).
"""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Select, Text, func
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import ColumnElement
from sqlalchemy.sql.functions import FunctionElement

from wholecard.core import WholecardError

ROW, FIELD = "\x1e", "\x1f"


# So many ids are one group, and so one row of the driver: of rows with many more below them, and
# of rows that come alone.
GROUP = 16
LARGE_GROUP = 512


class JoinedRows(FunctionElement[str]):
    """An aggregate: the rows of a group in any order, each with these columns. NULL is empty."""

    type = Text()
    inherit_cache = True
    between_rows, between_fields = ROW, FIELD

    def __init__(self, *columns: ColumnElement[Any]) -> None:
        super().__init__(*columns)


class JoinedNumbers(JoinedRows):
    """The same of rows of numbers, as one field of another row: `1 20 0,2 30 0`."""

    inherit_cache = True
    between_rows, between_fields = ",", " "


class AsJson(FunctionElement[str]):
    """A text as a JSON string, in which no control character is left; NULL is empty or `null`."""

    type = Text()
    inherit_cache = True


@compiles(AsJson, "mysql", "mariadb", "sqlite")
def _json_quote(element: AsJson, compiler: Any, **more: Any) -> str:
    return f"JSON_QUOTE({compiler.process(element.clauses, **more)})"


@compiles(AsJson, "postgresql")
def _to_json(element: AsJson, compiler: Any, **more: Any) -> str:
    return f"TO_JSON(({compiler.process(element.clauses, **more)})::text)"


def json_text(value: str) -> str:
    """What `AsJson` was given, empty for NULL."""
    return (json.loads(value) if value else None) or ""


@compiles(JoinedRows, "mysql", "mariadb")
def _mysql(element: JoinedRows, compiler: Any, **more: Any) -> str:
    columns = (f"IFNULL({compiler.process(each, **more)}, '')" for each in element.clauses)
    fields = f"CONCAT_WS('{element.between_fields}', {', '.join(columns)})"
    return f"GROUP_CONCAT({fields} SEPARATOR '{element.between_rows}')"


@compiles(JoinedRows, "postgresql")
def _postgresql(element: JoinedRows, compiler: Any, **more: Any) -> str:
    columns = (
        f"COALESCE(({compiler.process(each, **more)})::text, '')" for each in element.clauses
    )
    fields = f"CONCAT_WS('{element.between_fields}', {', '.join(columns)})"
    return f"STRING_AGG({fields}, '{element.between_rows}')"


@compiles(JoinedRows, "sqlite")
def _sqlite(element: JoinedRows, compiler: Any, **more: Any) -> str:
    columns = (f"COALESCE({compiler.process(each, **more)}, '')" for each in element.clauses)
    between = f" || '{element.between_fields}' || "
    return f"GROUP_CONCAT({between.join(columns)}, '{element.between_rows}')"


def grouped_rows(
    statement: Select[Any], by: ColumnElement[Any], *columns: ColumnElement[Any], size: int = GROUP
) -> Select[Any]:
    """The statement's rows, `size` neighbours by an id together: their count and their text."""
    return statement.add_columns(func.count(), JoinedRows(*columns)).group_by(by // size)


def split_rows(text: str | bytes | None, count: int, name: str) -> list[list[str]]:
    """The rows of such a text, each as its fields; `count` is how many the database counted.

    Raises WholecardError where the text was cut off: MySQL does so without an error.
    """
    if isinstance(text, bytes):
        text = text.decode()
    rows = text.split(ROW) if text else []
    if len(rows) != count:
        raise WholecardError(
            f"{name} gave {len(rows)} rows of {count}",
            "The answer was cut off at group_concat_max_len or max_allowed_packet.",
            "Raise max_allowed_packet of the database server, for example to 64M.",
        )
    return [row.split(FIELD) for row in rows]
