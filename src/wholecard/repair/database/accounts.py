"""The accounts that may write to nova's cell databases, from a file of their own.

The file has the format of `--databases`: a section `[cell NAME]` for each cell, with the key
`connection`. Its passwords are in no message, log, journal or argument list.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.engine import URL
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from wholecard.audit.views.databases_file import read_databases
from wholecard.core import UsageError, WholecardError
from wholecard.core.secrets import without_secrets

ACCOUNT = "wholecard_repair"

# Seconds. A lock that a guard holds ends before nova's own wait for it (innodb_lock_wait_timeout,
# 50 s by default).
_CONNECT_SECONDS = 10
_READ_SECONDS = 60

GRANTS = f"""\
MariaDB or MySQL, in each cell's database:
  CREATE USER '{ACCOUNT}'@'%' IDENTIFIED BY 'PASSWORD';
  GRANT SELECT, INSERT, UPDATE, DELETE ON nova_cell1.pci_devices TO '{ACCOUNT}'@'%';
PostgreSQL:
  CREATE ROLE {ACCOUNT} LOGIN PASSWORD 'PASSWORD';
  GRANT CONNECT ON DATABASE nova_cell1 TO {ACCOUNT};
  GRANT USAGE ON SCHEMA public TO {ACCOUNT};
  GRANT SELECT, INSERT, UPDATE, DELETE ON public.pci_devices TO {ACCOUNT};
"""


class DatabaseError(WholecardError):
    """A cell's database refused, or did not answer. `taken` where a row of that key exists."""

    def __init__(
        self, brief: str, details: str = "", resolution: str = "", taken: bool = False
    ) -> None:
        super().__init__(brief, details, resolution)
        self.taken = taken


@dataclass(frozen=True)
class CellDatabases:
    """Engines of the accounts that may write, by the cell's name; `file` is where they are from."""

    engines: Mapping[str, Engine] = field(default_factory=dict)
    file: Path | None = None

    @classmethod
    def read(cls, file: Path) -> CellDatabases:
        """The accounts of a file; nothing is connected yet. Raises UsageError."""
        cells = read_databases(file).cells
        return cls({name: _engine(database.url) for name, database in cells}, file)

    def engine(self, cell: str) -> Engine:
        """The engine of a cell, without a name of the only one. Raises UsageError without it."""
        engine = self.engines.get(cell)
        if not cell and len(self.engines) == 1:
            engine = next(iter(self.engines.values()))
        if engine is None:
            what = "No file was named" if self.file is None else f"{self.file} has no such section"
            raise UsageError(
                f"this repair writes to the database of the cell {cell or 'cell1'}, and has no "
                "account for it",
                f"{what}: [cell {cell or 'cell1'}], with the key connection.\n{GRANTS}",
                "Make an account as above, write its URL into a file that only you can read, and "
                "name it: --databases-write FILE",
            )
        return engine

    @contextmanager
    def transaction(self, cell: str, doing: str) -> Iterator[Connection]:
        """One transaction: committed at the end of the block, rolled back on any exception.

        `doing` completes "cannot ...". Raises UsageError and DatabaseError.
        """
        engine = self.engine(cell)
        with database_errors(engine, doing), engine.begin() as connection:
            yield connection


@contextmanager
def database_errors(engine: Engine, doing: str) -> Iterator[None]:
    """What SQLAlchemy or the driver raises inside becomes DatabaseError, without a password."""
    try:
        yield
    except (SQLAlchemyError, OSError, EOFError) as error:
        origin = getattr(error, "orig", None) or error
        text = " ".join(str(origin).split())
        raise DatabaseError(
            f"cannot {doing}: the database refused or did not answer",
            without_secrets(f"{type(origin).__name__}: {text}", (str(engine.url.password or ""),)),
            "The transaction was rolled back by the database. See that it runs and that the "
            "account has its rights.",
            isinstance(error, IntegrityError),
        ) from None


def _engine(url: URL) -> Engine:
    arguments: dict[str, object] = {}
    if url.get_backend_name() == "mysql":
        arguments = {
            "connect_timeout": _CONNECT_SECONDS,
            "read_timeout": _READ_SECONDS,
            "write_timeout": _READ_SECONDS,
        }
    elif url.get_backend_name() == "postgresql":
        arguments = {"timeout": _READ_SECONDS}
    try:
        return create_engine(url, connect_args=arguments, poolclass=NullPool, hide_parameters=True)
    except ImportError as error:
        raise UsageError(
            f"there is no driver for {url.drivername}",
            type(error).__name__,
            "PostgreSQL needs pg8000: install wholecard[postgresql].",
        ) from None
