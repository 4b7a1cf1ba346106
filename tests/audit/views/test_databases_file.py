"""The file that names the databases: what is read, and how bad ones are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from wholecard.audit.views.databases_file import Databases, default_file, read_databases
from wholecard.core import UsageError

PASSWORD = "s3cr%t-pa55"
URL = f"mysql+pymysql://audit:{PASSWORD.replace('%', '%25')}@db/nova"


def written(folder: Path, text: str, mode: int = 0o600) -> Path:
    file = folder / "databases.ini"
    file.write_text(text)
    file.chmod(mode)
    return file


def test_sections(tmp_path: Path) -> None:
    """Cells are in the file's order, and the drivers are those that Wholecard has."""
    databases = read_databases(written(tmp_path, (
        f"[cell one]\nconnection = {URL}\n"
        "[cell two]\nconnection = postgresql+psycopg2://audit:x@db/nova2\n"
        "[placement]\nconnection = mysql://audit:x@db/placement\n"
        "[api]\nconnection = mysql+mysqldb://audit:x@db/nova_api?charset=utf8\n"
    )))  # fmt: skip
    assert [name for name, _ in databases.cells] == ["one", "two"]
    drivers = [database.url.drivername for _, database in databases.cells]
    assert drivers == ["mysql+pymysql", "postgresql+pg8000"]
    assert databases.cells[0][1].url.password == PASSWORD
    assert databases.placement is not None
    assert databases.placement.url.drivername == "mysql+pymysql"
    assert databases.api is not None
    assert databases.api.url.query == {"charset": "utf8"}


def test_says_no_password(tmp_path: Path) -> None:
    """The record's representation has no URL in it."""
    assert PASSWORD not in repr(read_databases(written(tmp_path, f"[cell c]\nconnection={URL}\n")))
    assert repr(Databases()) == "Databases(cells=(), placement=None, api=None)"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o602])
def test_refuses_open_file(tmp_path: Path, mode: int) -> None:
    """A file that others may read is refused, with the command that closes it."""
    file = written(tmp_path, f"[cell c]\nconnection = {URL}\n", mode)
    with pytest.raises(UsageError) as refused:
        read_databases(file)
    assert refused.value.resolution == f"chmod 600 {file}"


@pytest.mark.parametrize(
    ("text", "brief"),
    [
        ("", "names no database"),
        (f"connection = {URL}\n", "is not an INI file, line 1"),
        (f"[cell c]\nconnection = {URL}\n[cell c]\nconnection = {URL}\n", "not an INI file, line"),
        ("[cell c]\njust words\n", "is not an INI file"),
        (f"[cells c]\nconnection = {URL}\n", "the section [cells c] is not known"),
        (f"[cell]\nconnection = {URL}\n", "the section [cell] is not known"),
        (f"[cell c]\nurl = {URL}\n", "[cell c] connection is missing"),
        (f"[cell c]\nconnection = {PASSWORD}\n", "is not a URL of a database"),
        (f"[cell c]\nconnection = mysql://audit:{PASSWORD}@db:x/nova\n", "is not a URL"),
        (f"[cell c]\nconnection = oracle://audit:{PASSWORD}@db/nova\n", "does not support"),
        (f"[cell c]\nconnection = mysql://audit:{PASSWORD}@db\n", "names no database after"),
    ],
)
def test_refuses_bad_input(tmp_path: Path, text: str, brief: str) -> None:
    """What is wrong is said with the section, and never with the password."""
    with pytest.raises(UsageError) as refused:
        read_databases(written(tmp_path, text))
    assert brief in refused.value.brief
    assert refused.value.resolution
    assert PASSWORD not in f"{refused.value}{refused.value.__cause__}"
    assert refused.value.__cause__ is None


def test_missing_file(tmp_path: Path) -> None:
    """A file that is not there is an error that names the option and the variable."""
    with pytest.raises(UsageError, match="No such file") as refused:
        read_databases(tmp_path / "none")
    assert "WHOLECARD_DATABASES" in refused.value.resolution


def test_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment names the file by default."""
    monkeypatch.delenv("WHOLECARD_DATABASES", raising=False)
    assert default_file() is None
    monkeypatch.setenv("WHOLECARD_DATABASES", "/etc/wholecard/databases.ini")
    assert default_file() == Path("/etc/wholecard/databases.ini")
