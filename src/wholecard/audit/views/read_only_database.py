"""A database that is only read: one transaction, one snapshot, errors without a password.

The transaction is READ ONLY where the database has such (MariaDB, MySQL, PostgreSQL), and SQLite
is opened read-only; nothing but SELECT is sent. REPEATABLE READ: all that one audit reads of one
database is of one moment.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any

from sqlalchemy import create_engine, event, inspect
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool
from sqlalchemy.sql import Executable

from wholecard.audit.views.databases_file import Database
from wholecard.audit.views.joined_rows import split_rows
from wholecard.core import WholecardError
from wholecard.core.secrets import without_secrets

# Seconds for a connection, and for each answer of the network.
CONNECT_SECONDS = 10
# Bytes that one aggregated value may have: MariaDB cuts it off at 1 MiB, MySQL at 1 KiB.
MOST_JOINED = 64 << 20
AGAIN = "Nothing was changed; run it again."
_WORDS = 400

# Per connection, before anything else. `transaction_read_only` and the like need no privilege.
_ON_CONNECT = {
    "mysql": (
        "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "SET SESSION TRANSACTION READ ONLY",
        f"SET SESSION group_concat_max_len = {MOST_JOINED}",
    ),
    "postgresql": (
        "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
    ),
    "sqlite": ("PRAGMA query_only = ON",),
}
_NOW = {
    "mysql": "SELECT UTC_TIMESTAMP()",
    "postgresql": "SELECT now() AT TIME ZONE 'UTC'",
    "sqlite": "SELECT datetime('now')",
}


class ReadOnlyDatabase:
    """One connection to a database. `timeout` is in seconds, for each answer."""

    def __init__(self, database: Database, timeout: float = 300.0) -> None:
        self.name = database.name
        self._url = database.url
        self._secrets = tuple(text for text in (_password(database.url),) if text)
        self._timeout = timeout
        self._connection: Connection | None = None
        self._columns: dict[str, frozenset[str]] = {}

    def rows(self, statement: Executable) -> Iterator[Any]:
        """The rows of a SELECT, as they come. Raises WholecardError where the database fails."""
        with self._errors():
            options = {"stream_results": True, "max_row_buffer": 1000}
            yield from self._connected().execute(statement, execution_options=options)

    def all(self, statement: Executable) -> Sequence[Any]:
        """The rows of a SELECT that are few. Raises WholecardError."""
        with self._errors():
            return self._connected().execute(statement).all()

    def in_chunks(
        self, statement: Any, column: Any, values: Iterable[Any], size: int = 500
    ) -> Iterator[Any]:
        """The rows where the column has one of these values, so many values a statement."""
        listed = list(values)
        for start in range(0, len(listed), size):
            yield from self.all(statement.where(column.in_(listed[start : start + size])))

    def joined(self, statement: Executable) -> Iterator[list[str]]:
        """The rows of a statement of `grouped_rows`, each as its fields. Raises WholecardError."""
        for count, text in self.rows(statement):
            yield from split_rows(text, count, self.name)

    def joined_in_chunks(
        self, statement: Any, column: Any, values: Iterable[Any], size: int = 500
    ) -> Iterator[list[str]]:
        """`in_chunks` of a statement of `grouped_rows`."""
        for count, text in self.in_chunks(statement, column, values, size):
            yield from split_rows(text, count, self.name)

    def columns(self, table: str) -> frozenset[str]:
        """The names of a table's columns; empty where there is no such table."""
        if table not in self._columns:
            with self._errors():
                inspector = inspect(self._connected())
                found = inspector.get_columns(table) if inspector.has_table(table) else ()
                self._columns[table] = frozenset(column["name"] for column in found)
        return self._columns[table]

    def require(self, tables: Collection[str], what: str) -> None:
        """Raises WholecardError where one of the tables does not exist."""
        for table in tables:
            if not self.columns(table):
                raise WholecardError(
                    f"{self.name} is not {what}: it has no table {table}",
                    resolution="Check the connection's host and database in the databases file, "
                    "and that the account may SELECT from all its tables.",
                )

    def now(self) -> datetime:
        """The database's clock: naive UTC."""
        with self._errors():
            connection = self._connected()
            value = connection.exec_driver_sql(_NOW[connection.dialect.name]).scalar_one()
        return value if isinstance(value, datetime) else datetime.fromisoformat(str(value))

    def close(self) -> None:
        """End the connection; a later read opens another one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with _ignored():
                # Without it the pool would read the rest of an answer, and roll back.
                connection.invalidate()
                connection.close()

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = _engine(self._url, self._timeout).connect()
        return self._connection

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Whatever SQLAlchemy and its driver raise, as WholecardError with nothing secret in it."""
        try:
            yield
        except (SQLAlchemyError, OSError, EOFError, ImportError) as error:
            connected = self._connection is not None
            self.close()
            doing = "lost the connection to" if connected else "cannot connect to"
            if isinstance(error, NoSuchModuleError | ImportError):
                doing = "no driver is installed for"
            elif connected and not getattr(error, "connection_invalidated", True):
                doing = "cannot read"
            raise WholecardError(
                f"{doing} {self.name}", self._words(error), _advice(doing)
            ) from None

    def _words(self, error: Exception) -> str:
        """The driver's own message in one line; SQLAlchemy's would add the whole statement."""
        original = getattr(error, "orig", None) or error
        parts = getattr(original, "args", ()) or (original,)
        # pg8000 has the fields of the protocol's ErrorResponse: M is the message.
        text = " ".join(str(part.get("M") if isinstance(part, dict) else part) for part in parts)
        shown = without_secrets(" ".join(text.split()), self._secrets)
        return f"{type(original).__name__}: {shown[:_WORDS]}"


def _advice(doing: str) -> str:
    if doing.startswith("cannot connect"):
        return "Check host, account and database in the databases file. Nothing was changed."
    if doing.startswith("no driver"):
        return "PostgreSQL needs pg8000: install wholecard[postgresql]. Nothing was changed."
    return AGAIN


def _password(url: URL) -> str:
    return str(url.password or "")


def _engine(url: URL, timeout: float) -> Engine:
    dialect = url.get_backend_name()
    arguments: dict[str, Any] = {}
    if dialect == "mysql":
        arguments = {"connect_timeout": CONNECT_SECONDS, "read_timeout": timeout}
        if "unix_socket" in url.query:
            # Nobody listens in between, and TLS costs a tenth of a read.
            arguments["ssl_disabled"] = True
    elif dialect == "postgresql":
        arguments = {"timeout": timeout}
    elif dialect == "sqlite" and not (url.database or "").startswith("file:"):
        # A view is read by one thread at a time, but not always by the same.
        arguments = {"check_same_thread": False}
        url = url.set(database=f"file:{url.database}", query={"mode": "ro", "uri": "true"})
    engine = create_engine(url, poolclass=NullPool, connect_args=arguments, hide_parameters=True)
    # SQLAlchemy's pool would log that a broken connection cannot be closed, with a traceback.
    vars(engine.dialect).update(do_close=_close_quietly, do_terminate=_close_quietly)

    @event.listens_for(engine, "connect")
    def read_only(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        for statement in _ON_CONNECT[dialect]:
            cursor.execute(statement)
        cursor.close()
        # pg8000 begins a transaction with the first statement; the setting is for the next one.
        connection.commit()

    return engine


def _close_quietly(connection: Any) -> None:
    with _ignored():
        connection.close()


@contextmanager
def _ignored() -> Iterator[None]:
    """What is gone already cannot be closed any better, whatever its driver raises."""
    with suppress(Exception):
        yield
