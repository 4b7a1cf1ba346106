"""`wholecard split`: arguments, output and exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.golden import compare
from support.hosts import boot, function, host
from support.nodes import APART, bare
from support.tree import grow
from wholecard.cli.app import run_app
from wholecard.host.facts.snapshot import save

GOLDEN = Path(__file__).parent / "golden"
NEW = ["--driver", "580.159.01", "--kernel", "6.8.0-45-generic"]


@pytest.fixture(autouse=True)
def eighty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")


def _out(capsys: pytest.CaptureFixture[str]) -> str:
    return "".join(f"{line.rstrip()}\n" for line in capsys.readouterr().out.splitlines())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("split-list", []),
        ("split-h100", ["--card", "10de:2330", *NEW]),
        ("split-mi300x", ["--card", "1002:74A1", "--driver", "9.4.0", "--kernel", "6.14"]),
    ],
)
def test_types(name: str, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The list of cards, and a card with its ways, needs and sources, in 80 columns."""
    assert run_app(["split", "types", *words]) == 0
    text = _out(capsys)
    assert max(map(len, text.splitlines())) <= 80
    compare(f"{name}.txt", text, GOLDEN)


def test_types_in_a_pipe(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe has 100 columns, as for every other answer."""
    monkeypatch.delenv("COLUMNS")
    assert run_app(["split", "types", "--card", "10de:2330", *NEW]) == 0
    assert 80 < max(map(len, _out(capsys).splitlines())) <= 100


def test_types_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """One object, and all of it not run on hardware."""
    assert run_app(["split", "types", "--card", "10de:2335", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["run_on_hardware"] is False
    (card,) = data["cards"]
    assert card["card"]["ids"] == ["10de:2335"]
    assert card["mig_profiles"]["7g.141gb"] == 1


def test_types_of_a_host(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What sysfs shows stands beside the tables, and a list that shrinks is called none."""
    pf = function("0000:41:00.0", "10de:26b9", driver="nvidia", sriov_total=32, sriov_vfs=1)
    facts = tmp_path / "gpu-01.json"
    # As older releases wrote them.
    older = host(pf, boot=boot(release="6.8.0")).to_json()
    del older["slices"]
    facts.write_text(json.dumps(older))
    assert run_app(["split", "types", "--facts", str(facts)]) == 0
    text = _out(capsys)
    assert "  0000:41:00.0: driver nvidia, 1 of 32 VFs\n" in text
    assert "The file is too old to have vGPU types" in text
    vf = "sys/bus/pci/devices/0000:01:00.0/nvidia"
    root = grow(tmp_path / "root", {
        **bare(APART), f"{vf}/current_vgpu_type": "0",
        f"{vf}/creatable_vgpu_types": "ID    : vGPU Name\n1145  : NVIDIA L40S-1B\n",
        "sys/class/mdev_bus/mtty/mdev_supported_types/mtty-1/name": "Single port serial",
    })  # fmt: skip
    save(root, tmp_path / "gpu-01.tar")
    assert run_app(["split", "types", "--facts", str(tmp_path / "gpu-01.tar")]) == 0
    text = _out(capsys)
    assert "0000:01:00.0: type none; can be made now: 1145 NVIDIA L40S-1B\n" in text
    assert "mtty: mtty-1 (Single port serial), ? more can be made\n" in text
    assert "is no inventory" in " ".join(text.split())
    empty = tmp_path / "empty.json"
    empty.write_text("".join(host().to_lines()))
    assert run_app(["split", "types", "--facts", str(empty)]) == 0
    assert _out(capsys).startswith("No GPU and no other accelerator.\n")


def test_check(capsys: pytest.CaptureFixture[str]) -> None:
    """A finding for what excludes each other, with its source and status 1."""
    words = ["split", "check", "--card", "10de:2330", "--mig", "1g.10gb"]
    assert run_app([*words, "--give", "mig", "--mig", "3g.40gb=2"]) == 1
    text = _out(capsys)
    assert text.startswith("WC604 error 10de:2330: 9 memory slices are asked for")
    assert "Source: nvidia-smi mig -lgipp" in " ".join(text.split())
    assert run_app([*words, "--give", "whole", "--gpu", "1", "--gpu", "2", "--json"]) == 1
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert [finding["rule"] for finding in findings] == ["WC601", "WC607"]


def test_check_goes_together(capsys: pytest.CaptureFixture[str]) -> None:
    """What fits is said with the places, and whether these are inferred; status 0."""
    words = ["split", "check", "--give", "mig", "--mig"]
    assert run_app([*words, "1g.10gb=2", "--mig", "3g.40gb", "--card", "10de:2330"]) == 0
    assert _out(capsys) == (
        "Nothing that is known prevents it. It was not run on hardware.\n"
        "MIG: 5 of 7 compute slices, 6 of 8 memory slices; by first memory slice: 3g.40gb at 0, "
        "1g.10gb at 4, 1g.10gb at 5.\n"
    )
    assert run_app([*words, "7g.180gb", "--card", "10de:2901"]) == 0
    assert "The placements are inferred from those of other cards." in _out(capsys)
    assert run_app(["split", "check", "--give", "vfs", "--card", "10de:26b9"]) == 0
    assert _out(capsys) == "Nothing that is known prevents it. It was not run on hardware.\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["types", "--card", "2330"], "'2330' is not a card's ids"),
        (["types", "--card", "10de:ffff"], "no table has the card 10de:ffff"),
        (["types", "--card", "10de:2330", "--facts", "x.json"], "exclude each other"),
        (["types", "--facts", "/nowhere.json"], "cannot read a host's facts from /nowhere.json"),
        (["types", "--driver", "new"], "--driver 'new' does not begin with a version"),
        (["check", "--card", "10de:2330"], "Missing option '--give'"),
        (["check", "--card", "10de:2330", "--give", "half"], "--give does not know 'half'"),
        (["check", "--card", "10de:ffff", "--give", "vfs"], "no table has the card"),
        (["check", "--card", "10de:2330", "--give", "mig", "--mig", "1g.10gb=x"], "has no number"),
    ],
)
def test_wrong_calls(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is wrong is named, with status 2; an unknown card comes with those that are known."""
    assert run_app(["split", *words]) == 2
    printed = " ".join(capsys.readouterr().err.split())
    assert said in printed
    assert ("H200, H200 NVL: 10de:2335 10de:233b" in printed) == ("ffff" in " ".join(words))
