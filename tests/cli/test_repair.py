"""`wholecard repair`: a row of a real cell's schema is planned, repaired, shown and rolled back."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.fleet_database import Fleet, sqlite_fleet
from support.openstack_api import PASSWORD, Api, serving
from wholecard.cli.app import run_app
from wholecard.core import UsageError

FLEET = Fleet(hosts=2, cards=2)
HOST, ADDRESS = FLEET.host(1), FLEET.address(1)
GONE = "cccccccc-0000-4000-8000-000000000003"
# No host answers here.
NO_SSH = "#!/bin/sh\necho 'ssh: connect: No route to host' >&2\nexit 255\n"


class Broken:
    """A host without power, with a row for a server that is deleted."""

    def __init__(self, api: Api, folder: Path) -> None:
        self.databases = sqlite_fleet(folder, FLEET)
        self.cell = folder / "nova.db"
        self.sql("UPDATE services SET forced_down = 1")
        self.sql("UPDATE pci_devices SET status = 'allocated', instance_uuid = ? "
                 "WHERE address = ? AND compute_node_id = "
                 "(SELECT id FROM compute_nodes WHERE host = ?)", GONE, ADDRESS, HOST)  # fmt: skip
        self.write = folder / "write.ini"
        self.write.write_text(f"[cell cell1]\nconnection = sqlite:///{self.cell}\n")
        self.write.chmod(0o600)
        self.options = ["--cloud", "test", "--clouds-file", str(api.clouds)]
        service = {"binary": "nova-compute", "host": HOST, "state": "down", "updated_at": None}
        api.answers["GET /compute/v2.1/os-services"] = (200, {"services": [service]})
        for table in ("/placement/resource_providers", "/placement/allocations"):
            api.answers[f"GET {table}"] = (503, {})

    def sql(self, statement: str, *values: str) -> list[Any]:
        with sqlite3.connect(self.cell) as connection:
            return connection.execute(statement, values).fetchall()

    @property
    def rows(self) -> list[Any]:
        return self.sql("SELECT * FROM pci_devices ORDER BY id")

    def run(self, command: str, *more: str) -> int:
        audited = ["--databases", str(self.databases), "--wait", "0"]
        words = audited if command in ("plan", "apply") else []
        return run_app(["repair", command, *self.options, *words, *more])


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Broken]:
    """The cloud's API over HTTP, its databases, and hosts that do not answer."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/ssh").write_text(NO_SSH)
    (tmp_path / "bin/ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    with serving(tmp_path) as api:
        yield Broken(api, tmp_path)


def test_the_whole_way(broken: Broken, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Plan changes nothing, apply is refused by the guards, then done, shown and rolled back."""
    before = broken.rows
    assert broken.run("plan") == 1
    text = capsys.readouterr().out
    assert f"1. change-database-row {HOST} {ADDRESS}" in text
    assert "SET status = 'available', instance_uuid = NULL, request_id = NULL" in text
    assert "note: libvirt was not read" in text
    assert broken.run("plan", "--json", "--rule", "WC515") == 4
    assert json.loads(capsys.readouterr().out)["actions"] == []

    assert broken.run("apply") == 2
    assert "GRANT SELECT, INSERT, UPDATE, DELETE" in capsys.readouterr().err
    written = ("--databases-write", str(broken.write))
    assert broken.run("apply", *written) == 1
    text = capsys.readouterr().out
    assert "Left out, because a guard refuses:" in text
    assert f"--powered-off {HOST}" in text
    assert broken.rows == before

    assert broken.run("apply", *written, "--powered-off", HOST) == 4
    text = capsys.readouterr().out
    assert "Repaired as journal 0001." in text
    assert "WC511" not in text.partition("Repaired as")[2]
    assert broken.run("status") == 0
    assert "0001" in capsys.readouterr().out
    repaired = broken.rows
    assert broken.run("rollback", "--plan", *written) == 0
    assert "1. journal 0001:" in capsys.readouterr().out
    assert broken.rows == repaired
    assert broken.run("rollback", *written) == 0
    assert "Journal 0001 is rolled back." in capsys.readouterr().out
    assert broken.rows == before
    assert broken.run("rollback") == 2
    for path in (tmp_path / "state").rglob("*"):
        assert path.is_dir() or PASSWORD not in path.read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("plan", "--rule", "WC999"), "there is no rule WC999"),
        (("plan", "--confirm-resize", GONE, "--revert-resize", GONE), "both to be confirmed and"),
        (("plan", "--ssh-name", "gpu-01"), "has no name of ssh's"),
        (("apply", "--databases-write", "/nowhere"), "cannot read /nowhere"),
    ],
)
def test_called_wrongly(
    broken: Broken, words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot be meant is told before the cloud is asked."""
    assert broken.run(*words) == UsageError.exit_code
    assert said in capsys.readouterr().err
