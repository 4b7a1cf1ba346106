"""A small cloud in SQLite: three hosts of four cards, two servers on each."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from support.fleet_database import Fleet, databases_file, sqlite_fleet

FLEET = Fleet(hosts=3, cards=4)

# Runs statements in one of the databases: `nova`, `placement`, `api`.
Sql = Callable[..., None]


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fleet's databases, made once."""
    folder = tmp_path_factory.mktemp("fleet")
    sqlite_fleet(folder, FLEET)
    return folder


@pytest.fixture
def file(template: Path, tmp_path: Path) -> Path:
    """The file that names a copy of the fleet's databases; they are beside it."""
    for name in ("nova", "placement", "api"):
        shutil.copy(template / f"{name}.db", tmp_path)
    return databases_file(tmp_path)


@pytest.fixture
def sql(file: Path) -> Sql:
    """Change what a database has, by hand."""

    def run(name: str, *statements: str) -> None:
        with sqlite3.connect(file.parent / f"{name}.db") as connection:
            for statement in statements:
                connection.execute(statement)
        connection.close()

    return run
