"""`migrate`, `drain`, `undrain` and `card`: what they print, write and end with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.cards_on_board import board, gpu
from support.fleet_database import Fleet, sqlite_fleet
from support.moving_cloud import MovingCloud, moving_cloud
from support.openstack_api import PASSWORD, serving
from wholecard.cli.app import run_app
from wholecard.moving import move


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MovingCloud]:
    """Two hosts with two cards each, a folder for the journals, and no pause between looks."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(move.Pace, "interval", 0.0)
    monkeypatch.setattr("wholecard.moving.move.time.sleep", lambda _: None)
    with serving(tmp_path) as api:
        yield moving_cloud(api)


def run(cloud: MovingCloud, *words: str) -> int:
    """The exit status, with this cloud and without audits."""
    where = ["--cloud", "test", "--clouds-file", str(cloud.api.clouds)]
    audit = [] if "--no-audit" in words else ["--no-audit"]
    return run_app([*words, *where, *audit])


def test_migrate(cloud: MovingCloud, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What will happen is printed first, then what happened; progress goes to standard error."""
    cloud.add("train", "gpu-01")
    assert run(cloud, "migrate", "train", "--dry-run") == 0
    before = capsys.readouterr().out
    assert "to           gpu-02 (2 free)" in before
    assert cloud.moves == []
    assert run(cloud, "migrate", "train") == 0
    out, err = capsys.readouterr()
    assert out.startswith(before.rstrip())
    assert "train: moved to gpu-02 and confirmed" in out
    assert "train: RESIZE/resize_migrating" in err
    written = [path.read_text() for path in (tmp_path / "state").rglob("*.json")]
    assert PASSWORD not in out + err + "".join(written)
    assert run(cloud, "migrate", "train", "--to", "gpu-01", "--revert", "--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["ended"], data["host"]) == ("reverted", "gpu-02")


def test_ssh_options(cloud: MovingCloud, capsys: pytest.CaptureFixture[str]) -> None:
    """Options of ssh without --ssh are refused before anything is asked of nova."""
    cloud.add("train", "gpu-01")
    assert run(cloud, "migrate", "train", "--sudo") == 2
    assert "work only with --ssh" in capsys.readouterr().err
    assert cloud.moves == []


@pytest.mark.parametrize(
    "words", [["migrate", "train"], ["drain", "gpu-01", "--ssh"], ["undrain", "gpu-01"]]
)
def test_repair_needs(
    cloud: MovingCloud, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    """--repair without nova's databases or the hosts is refused before nova is asked."""
    cloud.add("train", "gpu-01")
    assert run(cloud, *words, "--repair") == 2
    assert "--repair needs --databases and --ssh" in capsys.readouterr().err
    assert cloud.moves == []


def test_repair_without_libvirt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where no host answers by ssh the server moves, and the warning says why nothing was taken
    out."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(move.Pace, "interval", 0.0)
    (tmp_path / "ssh").write_text("#!/bin/sh\nexit 255\n")
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    fleet = Fleet(hosts=2, cards=2)
    databases = sqlite_fleet(tmp_path, fleet)
    with serving(tmp_path) as api:
        cloud = moving_cloud(api, {fleet.host(0): 2, fleet.host(1): 2})
        cloud.add("train", fleet.host(0))
        cloud.other_card = True
        read = ["--repair", "--ssh", "--databases", str(databases)]
        assert run(cloud, "migrate", "train", *read) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "It is taken out after the move" in out
    assert "It was not taken out: the audit does not show it (WC524)" in out
    assert cloud.moves == ["train migrate", "train confirmResize"]


def test_migrate_refused(cloud: MovingCloud, capsys: pytest.CaptureFixture[str]) -> None:
    """A server that cannot move ends with 1, and nova is not asked."""
    cloud.add("train", "gpu-01", locked=True)
    assert run(cloud, "migrate", "train") == 1
    assert "WC590 error train: it is locked" in capsys.readouterr().out
    assert cloud.moves == []


@pytest.mark.parametrize(
    "words",
    [["migrate", "none"], ["migrate", "train", "--live", "--cold"],
     ["migrate", "train", "--revert", "--confirm"], ["migrate", "train", "--continue"],
     ["drain", "gpu-09"], ["drain", "gpu-01"], ["undrain", "gpu-01", "--prove", "gpu"],
     ["drain", "gpu-01", "--yes", "--to", "gpu-09"]],
)  # fmt: skip
def test_called_wrongly(cloud: MovingCloud, words: list[str]) -> None:
    """A wrong call ends with 2 and changes nothing; drain does not ask without a terminal."""
    cloud.add("train", "gpu-01")
    assert run(cloud, *words) == 2
    assert cloud.moves == []
    assert cloud.services["gpu-01"]["status"] == "enabled"


def test_drain(cloud: MovingCloud, capsys: pytest.CaptureFixture[str]) -> None:
    """The list as table and JSON, the drain, its status, and the way back."""
    cloud.add("train", "gpu-01")
    assert run(cloud, "drain", "gpu-01", "--dry-run", "-c", "name", "-c", "to") == 0
    assert capsys.readouterr().out == "NAME   TO\ntrain  gpu-02\n"
    assert run(cloud, "drain", "gpu-01", "--yes", "--reason", "firmware") == 0
    out, err = capsys.readouterr()
    assert "gpu-01 is empty" in out
    assert "gpu-01: the service is disabled" in err
    assert run(cloud, "drain", "gpu-01", "--status", "--json") == 0
    status = json.loads(capsys.readouterr().out)
    assert (status["service"], status["reason"]) == ("disabled", "firmware")
    assert [row["ended"] for row in status["servers"]] == ["confirmed"]
    assert run(cloud, "undrain", "gpu-01") == 0
    assert "gpu-01: not audited." in capsys.readouterr().out
    assert cloud.services["gpu-01"]["status"] == "enabled"


def test_audited_through_the_apis(cloud: MovingCloud, capsys: pytest.CaptureFixture[str]) -> None:
    """Without databases the audits read the APIs, and say what they did not read."""
    cloud.add("train", "gpu-01")
    where = ["--cloud", "test", "--clouds-file", str(cloud.api.clouds)]
    run_app(["migrate", "train", *where])
    out = capsys.readouterr().out
    assert "audit        before: 0 disagreements; after: 0 disagreements" in out
    assert "not read     " in out


def test_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """--begin keeps the facts, --after compares; without either it is called wrongly."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    before, now = tmp_path / "before.json", tmp_path / "now.json"
    before.write_text(json.dumps(board().to_json()))
    after = board(first=gpu(1, 0x41, "S9"), shift=-2, boot_id="boot-two")
    now.write_text(json.dumps(after.to_json()))
    card = ["card", "replace", "gpu-01"]
    assert run_app([*card, "--after", "--facts", str(now)]) == 2
    assert run_app(card) == 2
    assert run_app([*card, "--begin", "--slot", "0000:43:00", "--facts", str(before)]) == 0
    assert "0000:44:00.0  H100        may change" in capsys.readouterr().out
    assert run_app([*card, "--after", "--facts", str(now), "--json"]) == 1
    data = json.loads(capsys.readouterr().out)
    assert [(row["before"], row["after"]) for row in data["renumbered"]] == [
        ("0000:44:00.0", "0000:42:00.0"), ("0000:45:00.0", "0000:43:00.0"),
    ]  # fmt: skip
    assert run_app([*card, "--forget"]) == 0
    assert capsys.readouterr().out == "Forgotten.\n"


def test_card_in_use(
    cloud: MovingCloud, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a cloud the servers that hold an address are named, and whether the host is drained."""
    server = cloud.add("train", "gpu-01")
    before = tmp_path / "before.json"
    before.write_text(json.dumps(board().to_json()))
    card = ["card", "retire", "gpu-01", "--begin", "--slot", "S2", "--facts", str(before),
            "--cloud", "test", "--clouds-file", str(cloud.api.clouds)]  # fmt: skip
    assert run_app(card) == 1
    out = capsys.readouterr().out
    assert f"WC596 error gpu-01 0000:41:00.0: the server {server.id} holds it" in out
    assert "1. [to do] Move the servers away" in out
    del cloud.servers[server.id], cloud.allocations[server.id]
    cloud.services["gpu-01"]["status"] = "disabled"
    assert run_app(card) == 0
    assert "1. [done] Move the servers away" in capsys.readouterr().out
