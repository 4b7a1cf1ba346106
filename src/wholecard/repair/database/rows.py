"""One row of nova's `pci_devices`: read whole, kept as JSON, written back byte for byte."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    Connection,
    Integer,
    Select,
    column,
    delete,
    insert,
    literal_column,
    select,
    table,
)
from sqlalchemy import update as update_statement
from sqlalchemy.sql.elements import ColumnElement

# A row as the database's driver gives it, by the columns' names.
Row = dict[str, Any]

TABLE = "pci_devices"


def read_row(connection: Connection, row_id: int, *, lock: bool = False) -> Row | None:
    """The whole row, None without it; with `lock` nobody else changes it in this transaction."""
    pci_devices = table(TABLE, column("id", Integer))
    query: Select[Any] = (
        select(literal_column("*")).select_from(pci_devices).where(pci_devices.c.id == row_id)
    )
    if lock:
        query = query.with_for_update()
    row = connection.execute(query).mappings().first()
    return None if row is None else dict(row)


def update_row(connection: Connection, before: Row, values: Mapping[str, Any]) -> bool:
    """Set these columns of a row that is as it was read; False where it is not so any more.

    MariaDB counts the rows that it changed and not those that it found, so `values` must differ.
    """
    pci_devices = _table(before)
    statement = update_statement(pci_devices).where(*_same(pci_devices, before)).values(values)
    return connection.execute(statement).rowcount == 1


def delete_row(connection: Connection, before: Row) -> bool:
    """Delete a row that is as it was read; False where it is not so any more."""
    pci_devices = _table(before)
    return connection.execute(delete(pci_devices).where(*_same(pci_devices, before))).rowcount == 1


def insert_row(connection: Connection, row: Row) -> None:
    """Insert a row with all of its columns, the id too."""
    connection.execute(insert(_table(row)).values(row))


def to_json(row: Row) -> dict[str, Any]:
    """The row as JSON, from which `from_json` makes the same values of the same types."""
    return {name: _kept(value) for name, value in row.items()}


def from_json(data: Mapping[str, Any]) -> Row:
    """The inverse of `to_json`. Raises ValueError, KeyError or TypeError."""
    return {name: _restored(value) for name, value in data.items()}


def time_text(value: Any) -> str | None:
    """A time of a row as ISO text, `2026-11-29T10:40:00`; None where there is none.

    SQLite gives text where the others give a datetime.
    """
    if value is None or value == "":
        return None
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return moment.replace(tzinfo=None).isoformat()


def _table(row: Row) -> Any:
    return table(TABLE, *(column(name) for name in row))


def _same(pci_devices: Any, row: Row) -> list[ColumnElement[bool]]:
    """What makes it the row that was read: its id, its state, its owner, and when it changed."""
    names = ("id", "status", "instance_uuid", "updated_at", "deleted")
    columns = [(pci_devices.c[name], row[name]) for name in names if name in row]
    return [each.is_(None) if value is None else each == value for each, value in columns]


def _kept(value: Any) -> Any:
    if isinstance(value, datetime):
        return {"datetime": value.isoformat()}
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, Decimal):
        return {"decimal": str(value)}
    if value is None or isinstance(value, (str, int, float)):
        return value
    raise TypeError(f"a column of the type {type(value).__name__} cannot be kept")


def _restored(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, text),) = value.items()
    readers: Mapping[str, Any] = {
        "datetime": datetime.fromisoformat, "bytes": base64.b64decode, "decimal": Decimal,
    }  # fmt: skip
    return readers[kind](text)
