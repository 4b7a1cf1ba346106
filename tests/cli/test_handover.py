"""`wholecard handover` as a person calls it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.cleaning import PAGE, PAGES, host, kernel
from support.fakes_on_path import fake_tools
from support.one_time_cards import Card, placement
from support.openstack_api import PASSWORD, Api, serving
from wholecard.cli.app import run_app

STATE = "--state"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with serving(tmp_path) as found:
        yield found


def run(api: Api, tmp_path: Path, *words: str) -> int:
    """The exit status of `wholecard handover`; the cloud's options where a command takes them."""
    command = [word for word in words[:1] if not word.startswith("-")]
    rest = words[len(command) :]
    where = ["--cloud", "test", "--clouds-file", str(api.clouds), STATE, str(tmp_path / "state")]
    return run_app(["handover", *command, *where, *rest])


def test_once_here(
    api: Api, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """--once --local cleans this host's card, gives it back, and says so; status shows it."""
    fake_tools(tmp_path, monkeypatch)
    root = host(tmp_path / "host")
    card = Card(host="gpu-09", address="0000:01:00.0")
    placement(api, card, Card(host="elsewhere"))
    with kernel():
        here = ("--local", "--host-name", "gpu-09", "--root", str(root))
        assert run(api, tmp_path, "--once", *here) == 0
    shown = capsys.readouterr()
    assert "gpu-09  0000:01:00.0  given back" in shown.out
    assert shown.err == "gpu-09 0000:01:00.0: cleaned by flr, given back\n"
    assert run(api, tmp_path, "status", "--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert [(row["address"], row["state"]) for row in data["cards"]] == [
        ("0000:01:00.0", "given back")
    ]
    assert data["counters"]["given_back"] == 1


def test_not_cleared(
    api: Api, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A card that kept memory stays reserved: status 1 with the finding, until retry."""
    fake_tools(tmp_path, monkeypatch)
    root = host(tmp_path / "host", b"secret! " * (PAGE * PAGES // 8))
    card = Card(host="gpu-09", address="0000:01:00.0")
    placement(api, card)
    here = ("--local", "--host-name", "gpu-09", "--root", str(root))
    with kernel():
        assert run(api, tmp_path, "--once", *here) == 1
        shown = capsys.readouterr().out
        assert "not cleared" in shown
        assert "WC570" in shown
        assert run(api, tmp_path, "retry", "gpu-09", "0000:01:00.0") == 0
        assert run(api, tmp_path, "--once", *here, "--scrub-visible") == 0
    assert card.reserved == 0


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("--once", "--rabbit", "rabbit.ini"), 2, "--once looks at Placement alone"),
        (("--once", "--local", "--sudo"), 2, "--local needs no ssh"),
        (("--rabbit", "none.ini"), 2, "cannot read none.ini"),
        (("retry", "gpu-01", "0000:01:00.0"), 2, "has no card gpu-01 0000:01:00.0"),
        (("keep", "gpu-07", "0000:01:00.0", "--reason", "x"), 2, "no one-time-use card gpu-07"),
    ],
)  # fmt: skip
def test_called_wrongly(
    api: Api, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...],
    status: int, said: str,
) -> None:  # fmt: skip
    """A wrong call is told what to write, and changes nothing."""
    placement(api)
    assert run(api, tmp_path, *words) == status
    shown = capsys.readouterr()
    assert said in shown.err
    assert PASSWORD not in shown.err + shown.out


def test_unit(capsys: pytest.CaptureFixture[str]) -> None:
    """The unit starts the service with the cloud that was named."""
    assert run_app(["handover", "unit", "--cloud", "prod"]) == 0
    assert " handover --cloud prod --rabbit " in capsys.readouterr().out


def test_empty_status(api: Api, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without any card there is nothing to show, and that is no finding."""
    assert run(api, tmp_path, "status") == 0
    assert "No card has waited" in capsys.readouterr().out
