"""Many rows as one text, in each database's words."""

from __future__ import annotations

from types import ModuleType

import pytest
from sqlalchemy import Integer, String, column, create_engine, select, table
from sqlalchemy.dialects import mysql, postgresql, sqlite

from wholecard.audit.views.joined_rows import (
    FIELD,
    ROW,
    AsJson,
    JoinedNumbers,
    grouped_rows,
    json_text,
    split_rows,
)
from wholecard.core import WholecardError

ROWS = table("rows", column("id", Integer), column("text", String))
STATEMENT = grouped_rows(select(), ROWS.c.id, ROWS.c.id, ROWS.c.text, size=2)


@pytest.mark.parametrize(
    ("dialect", "joined"),
    [
        (mysql, f"GROUP_CONCAT(CONCAT_WS('{FIELD}', IFNULL(`rows`.id, ''), "
            f"IFNULL(`rows`.text, '')) SEPARATOR '{ROW}')"),
        (postgresql, f"STRING_AGG(CONCAT_WS('{FIELD}', COALESCE((rows.id)::text, ''), "
            f"COALESCE((rows.text)::text, '')), '{ROW}')"),
        (sqlite, f"GROUP_CONCAT(COALESCE(rows.id, '') || '{FIELD}' || "
            f"COALESCE(rows.text, ''), '{ROW}')"),
    ],
    ids=["mysql", "postgresql", "sqlite"],
)  # fmt: skip
def test_words(dialect: ModuleType, joined: str) -> None:
    """Each database joins the rows of a group with its own functions."""
    assert joined in str(STATEMENT.compile(dialect=dialect.dialect()))


@pytest.mark.parametrize(
    ("dialect", "joined", "quoted"),
    [
        (mysql, "GROUP_CONCAT(CONCAT_WS(' ', IFNULL(`rows`.id, ''), IFNULL(`rows`.id, '')) "
            "SEPARATOR ',')", "JSON_QUOTE(`rows`.text)"),
        (postgresql, "STRING_AGG(CONCAT_WS(' ', COALESCE((rows.id)::text, ''), "
            "COALESCE((rows.id)::text, '')), ',')", "TO_JSON((rows.text)::text)"),
        (sqlite, "GROUP_CONCAT(COALESCE(rows.id, '') || ' ' || COALESCE(rows.id, ''), ',')",
            "JSON_QUOTE(rows.text)"),
    ],
    ids=["mysql", "postgresql", "sqlite"],
)  # fmt: skip
def test_words_in_a_field(dialect: ModuleType, joined: str, quoted: str) -> None:
    """Rows of numbers are one field of another row, and a tenant's text is a JSON string."""
    statement = select(JoinedNumbers(ROWS.c.id, ROWS.c.id), AsJson(ROWS.c.text))
    words = str(statement.compile(dialect=dialect.dialect()))
    assert joined in words
    assert quoted in words


@pytest.mark.parametrize("text", [None, "", f'a{ROW}b{FIELD}c"\\d\n', "Grafikkarte für drei 🖥"])
def test_text_of_a_tenant(text: str | None) -> None:
    """What a tenant writes cannot end a field or a row, and is read as it was written."""
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE rows (id INTEGER, text VARCHAR)")
        connection.exec_driver_sql("INSERT INTO rows VALUES (1, ?)", (text,))
        statement = grouped_rows(select(), ROWS.c.id, ROWS.c.id, AsJson(ROWS.c.text))
        count, joined = connection.execute(statement).one()
    ((_, value),) = split_rows(joined, count, "rows")
    assert json_text(value) == (text or "")


def test_rows_come_back() -> None:
    """The rows are those of the table: NULL is empty, and ids are grouped by neighbours."""
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE rows (id INTEGER, text VARCHAR)")
        connection.exec_driver_sql("INSERT INTO rows VALUES (1, 'a'), (2, NULL), (3, '{\"b\": 1}')")
        groups = [list(split_rows(text, count, "rows")) for count, text in
                  connection.execute(STATEMENT)]  # fmt: skip
    assert groups == [[["1", "a"]], [["2", ""], ["3", '{"b": 1}']]]


def test_cut_off() -> None:
    """A text that MySQL has cut off is an error, and never fewer rows."""
    with pytest.raises(WholecardError, match="gave 1 rows of 2") as error:
        list(split_rows(f"1{FIELD}a", 2, "pci_devices in nova's cell one"))
    assert "max_allowed_packet" in error.value.resolution


def test_bytes() -> None:
    """A driver that gives bytes is read too; no text is no row."""
    assert list(split_rows(b"1", 1, "rows")) == [["1"]]
    assert list(split_rows(None, 0, "rows")) == []
