"""The file that names the databases of an audit: an INI file with nova's own connection strings.

    [cell cell1]
    connection = mysql+pymysql://audit:PASSWORD@10.0.0.5/nova
    [placement]
    connection = mysql+pymysql://audit:PASSWORD@10.0.0.5/placement
    [api]
    connection = mysql+pymysql://audit:PASSWORD@10.0.0.5/nova_api

There is a `[cell NAME]` for each cell with computes; cell0 has none. `[placement]` and `[api]` are
optional. The values are those of `[database] connection`, `[placement_database] connection` and
`[api_database] connection` of nova.conf and placement.conf (oslo.db's), with an account that may
only SELECT. The connection strings have passwords: the file is refused where others may read it,
and no error, log or representation shows one.
"""

from __future__ import annotations

import configparser
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from wholecard.core import UsageError
from wholecard.core.input_files import read_input

VARIABLE = "WHOLECARD_DATABASES"

# The drivers that Wholecard has, by the dialect's name; nova.conf may name another one.
_DRIVERS = {
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
    "postgresql": "postgresql+pg8000",
    "sqlite": "sqlite+pysqlite",
}
_LIMIT = 1 << 20
_EXAMPLE = "connection = mysql+pymysql://USER:PASSWORD@HOST/nova"


@dataclass(frozen=True)
class Database:
    """A database and how it is reached; `name` is how messages call it: `nova's cell cell1`."""

    name: str
    url: URL

    def __repr__(self) -> str:
        return f"Database({self.name!r})"


@dataclass(frozen=True)
class Databases:
    """The databases of one cloud: nova's cells by name, Placement's and nova's API database."""

    cells: tuple[tuple[str, Database], ...] = ()
    placement: Database | None = None
    api: Database | None = None


def default_file() -> Path | None:
    """The file that the environment variable WHOLECARD_DATABASES names, None without it."""
    path = os.environ.get(VARIABLE)
    return Path(path) if path else None


def read_databases(path: Path) -> Databases:
    """The databases that the file names.

    Raises UsageError where it cannot be read, others may read it, or it names no database rightly.
    """
    _refuse_open_file(path)
    # Values are not interpolated: a password may have a per cent sign.
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(read_input(path, _LIMIT).decode())
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except (configparser.Error, UnicodeDecodeError) as error:
        # The parser's own message quotes the line, and so the password.
        line = getattr(error, "lineno", None)
        where = f", line {line}" if isinstance(line, int) else ""
        raise UsageError(
            f"{path} is not an INI file{where}",
            resolution=f"Write sections such as [cell cell1], each with {_EXAMPLE}",
        ) from None
    return _databases(path, parser)


def _refuse_open_file(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise UsageError(
            f"cannot read {path}: {error.strerror}",
            resolution="Name the file with the databases' connections: --databases FILE, or "
            f"{VARIABLE}=FILE.",
        ) from error
    if stat.S_ISREG(mode) and mode & (stat.S_IRWXG | stat.S_IRWXO) & ~stat.S_IXGRP & ~stat.S_IXOTH:
        raise UsageError(
            f"{path} has passwords, and others may read or write it (mode {mode & 0o777:04o})",
            resolution=f"chmod 600 {path}",
        )


def _databases(path: Path, parser: configparser.ConfigParser) -> Databases:
    cells: list[tuple[str, Database]] = []
    others: dict[str, Database] = {}
    for section in parser.sections():
        kind, _, name = section.partition(" ")
        name = name.strip()
        if kind == "cell" and name:
            cells.append((name, _database(path, parser, section, f"nova's cell {name}")))
        elif section == "placement":
            others[section] = _database(path, parser, section, "Placement's database")
        elif section == "api":
            others[section] = _database(path, parser, section, "nova's API database")
        else:
            raise UsageError(
                f"{path}: the section [{section}] is not known",
                resolution="Sections are [cell NAME], [placement] and [api].",
            )
    if not cells and not others:
        raise UsageError(
            f"{path} names no database", resolution=f"Write [cell cell1], and below it {_EXAMPLE}"
        )
    return Databases(tuple(cells), others.get("placement"), others.get("api"))


def _database(path: Path, parser: configparser.ConfigParser, section: str, name: str) -> Database:
    text = parser[section].get("connection", "").strip()
    where = f"{path}: [{section}] connection"
    example = f"Write it as nova.conf does: {_EXAMPLE}"
    if not text:
        raise UsageError(f"{where} is missing", resolution=example)
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise UsageError(f"{where} is not a URL of a database", resolution=example) from None
    dialect = url.get_backend_name()
    if dialect not in _DRIVERS:
        raise UsageError(
            f"{where} is of a kind of database that nova does not support",
            resolution="mysql+pymysql:// (MariaDB, MySQL) and postgresql:// can be read.",
        )
    if not url.database:
        raise UsageError(f"{where} names no database after the host", resolution=example)
    return Database(name, url.set(drivername=_DRIVERS[dialect]))
