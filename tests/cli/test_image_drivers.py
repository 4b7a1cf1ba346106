"""`wholecard image drivers`: arguments, output and exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.tree import grow
from wholecard.cli.app import run_app

UBUNTU = ["image", "drivers", "--os", "ubuntu-24.04"]


def test_a_plan_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    """The choice, each step with its reason, and status 0 where nothing prevents it."""
    assert run_app([*UBUNTU, "--card", "10de:2330"]) == 0
    text = capsys.readouterr().out
    assert "Driver  NVIDIA 580, open kernel modules, prebuilt and signed (ubuntu)\n" in text
    assert "  1. write /etc/modprobe.d/wholecard-nouveau.conf\n" in text
    assert max(map(len, text.splitlines())) <= 100


def test_a_plan_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """The same as one object, with every step's content."""
    assert run_app([*UBUNTU, "--card", "10de:2330", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["cards"][0]["generation"] == "Hopper"
    assert data["drivers"][0]["branch"] == 580
    assert [step["kind"] for step in data["steps"]] == ["file", "install", "run"]
    assert data["steps"][0]["content"].startswith("blacklist nouveau\n")
    assert data["findings"] == []


def test_findings_are_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    """Cards that exclude each other are a finding, and no step is printed."""
    assert run_app([*UBUNTU, "--card", "10de:1db4", "--card", "10de:2901"]) == 1
    text = capsys.readouterr().out
    assert "WC421 error" in text
    assert "Steps" not in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--card", "2330"], "'2330' is not a card's ids"),
        (["--card", "10de:2330", "--modules", "closed"], "--modules 'closed' does not exist"),
        (["--card", "10de:2330", "--origin", "debian"], "has no origin 'debian'"),
        (["--card", "10de:2330", "--branch", "999"], "the table has no branch 999"),
        (["--card", "10de:2330", "--key", "cuda"], "--key 'cuda' names no file"),
        (["--card", "10de:2330", "--key", "cuda=/nowhere"], "cannot read the key /nowhere"),
    ],
)
def test_wrong_calls(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is wrong in an option is named, with status 2."""
    assert run_app([*UBUNTU, *words]) == 2
    assert said in capsys.readouterr().err


def test_a_key_of_a_repository(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A key that is given is the repository's; a file that is none is refused."""
    key = tmp_path / "key.asc"
    key.write_text("-----BEGIN PGP PUBLIC KEY BLOCK-----\n")
    words = ["image", "drivers", "--os", "rocky-10.0", "--card", "10de:2330", "--json"]
    assert run_app(words) == 2
    assert "must be given" in capsys.readouterr().err
    assert run_app([*words, "--key", f"cuda-rhel10={key}"]) == 0
    steps = json.loads(capsys.readouterr().out)["steps"]
    assert [step["key"] for step in steps if step["kind"] == "repository"] == [key.read_text()]
    key.write_text("no key\n")
    assert run_app([*words, "--key", f"cuda-rhel10={key}"]) == 2
    assert "is no armored OpenPGP key" in capsys.readouterr().err


def test_an_images_tree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --root the tree's own kernel is checked: the wrong module, or no kernel at all."""
    words = [
        "image",
        "drivers",
        "--os",
        "debian-13",
        "--card",
        "1002:74a1",
        "--root",
        str(tmp_path),
    ]
    assert run_app(words) == 2
    assert "has no kernel" in capsys.readouterr().err
    base = "lib/modules/6.12.118+deb13-amd64"
    grow(tmp_path, {f"{base}/modules.dep": "kernel/radeon.ko:\n", f"{base}/modules.alias": ""})
    assert run_app(words) == 1
    text = capsys.readouterr().out
    assert "System  debian-13, kernel 6.12.118+deb13-amd64" in text
    assert "WC426 error module amdgpu: " in text
    assert "Steps" not in text
