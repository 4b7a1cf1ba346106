"""A database that is only read, and whose failures are said without its password."""

from __future__ import annotations

import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import URL, make_url

from wholecard.audit.views.databases_file import Database
from wholecard.audit.views.read_only_database import ReadOnlyDatabase
from wholecard.core import WholecardError

PASSWORD = "pa55-w0rd-that-must-not-leak"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A small SQLite database."""
    with sqlite3.connect(tmp_path / "nova.db") as connection:
        connection.execute("CREATE TABLE t (id INTEGER, name VARCHAR)")
        connection.executemany("INSERT INTO t VALUES (?, ?)", [(n, str(n)) for n in range(40_000)])
    connection.close()
    return tmp_path / "nova.db"


def opened(url: str | URL) -> ReadOnlyDatabase:
    return ReadOnlyDatabase(Database("nova's cell one", make_url(url)), timeout=5)


@contextmanager
def rude_server() -> Iterator[int]:
    """A port where a connection is accepted and ended at once."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    server.accept()[0].close()
                except OSError:
                    return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def test_refuses_to_write(file: Path) -> None:
    """A statement that changes something is refused by the database itself."""
    database = opened(f"sqlite:///{file}")
    before = file.read_bytes()
    with pytest.raises(WholecardError, match="cannot read nova's cell one"):
        database.all(text("DELETE FROM t"))
    database.close()
    assert file.read_bytes() == before


def test_columns(file: Path) -> None:
    """The columns that a table has are known, and that there is no such table."""
    database = opened(f"sqlite:///{file}")
    assert database.columns("t") == {"id", "name"}
    assert database.columns("pci_devices") == frozenset()
    with pytest.raises(WholecardError, match="is not a cell database of nova") as error:
        database.require(["t", "pci_devices"], "a cell database of nova")
    assert "it has no table pci_devices" in error.value.brief
    database.close()


@pytest.mark.parametrize("driver", ["mysql+pymysql", "postgresql+pg8000"])
def test_no_password_in_errors(driver: str, caplog: pytest.LogCaptureFixture) -> None:
    """Where a server breaks off, the error has neither password nor URL, nor a cause that has."""
    caplog.set_level(0)
    with rude_server() as port:
        database = opened(f"{driver}://audit:{PASSWORD}@127.0.0.1:{port}/nova")
        with pytest.raises(WholecardError, match="cannot connect to nova's cell one") as error:
            database.all(text("SELECT 1"))
    said = f"{error.value}{error.value.to_json()}{error.value.__cause__!r}{caplog.text}"
    assert PASSWORD not in said
    assert "://" not in said
    assert "Nothing was changed." in error.value.resolution
    assert error.value.__cause__ is None


def test_nobody_listens() -> None:
    """A server that does not run is said so, with what to check."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    database = opened(f"mysql+pymysql://audit:{PASSWORD}@127.0.0.1:{port}/nova")
    with pytest.raises(WholecardError, match="cannot connect to nova's cell one") as error:
        database.all(text("SELECT 1"))
    assert "databases file" in error.value.resolution
    assert PASSWORD not in str(error.value)


def test_gone_in_the_middle(file: Path) -> None:
    """A database that fails while rows are read is one error, that says to run it again."""
    database = opened(f"sqlite:///{file}")
    rows = database.rows(text("SELECT * FROM t"))
    next(rows)
    file.write_bytes(b"no database" * 1000)
    with pytest.raises(WholecardError, match="nova's cell one") as error:
        list(rows)
    assert error.value.resolution == "Nothing was changed; run it again."
    database.close()


def test_no_such_file(tmp_path: Path) -> None:
    """A SQLite file that does not exist is not made."""
    with pytest.raises(WholecardError, match="cannot connect to"):
        opened(f"sqlite:///{tmp_path}/none.db").all(text("SELECT 1"))
    assert list(tmp_path.iterdir()) == []


def test_clock(file: Path) -> None:
    """The database's clock is naive UTC."""
    database = opened(f"sqlite:///{file}")
    assert database.now().tzinfo is None
    database.close()
