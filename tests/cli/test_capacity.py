"""`wholecard capacity`: what it reads, prints, writes and ends with."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support.capacity_stock import ALIAS, cards, flavor, host, machine, nodes, split, stock
from support.golden import compare
from support.moving_cloud import COMPUTE, moving_cloud
from support.openstack_api import PASSWORD, serving
from wholecard.capacity.saved import saved_text
from wholecard.cli.app import run_app


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A cloud of five hosts: free, half given, without CPUs, disabled, and one with slices."""
    hosts = (
        host("gpu-01", nodes=nodes()),
        host("gpu-02", cards=cards(given=5), machine=machine(used=40)),
        host("gpu-03", cards=cards(given=4, reserved=1), machine=machine(used=124)),
        host("gpu-04", cards=cards(given=2), closed="nova-compute is disabled"),
        host("gpu-05", cards=(split(given=3),)),
    )
    flavors = (flavor("g1.h100", 1), flavor("g4.h100", 4), flavor("v1", 0, resources__VGPU="1"))
    path = tmp_path / "capacity.json"
    path.write_text(saved_text(stock(*hosts, flavors=flavors, not_known=("the disks",))))
    return path


def test_table(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Types, flavors, hosts, what is not known, and what is stranded and why."""
    assert run_app(["capacity", "--saved", str(saved), "--reservations"]) == 0
    out = capsys.readouterr().out
    compare("capacity.txt", out, Path(__file__).parent / "golden")
    tables = out.split("Not known")[0].splitlines()
    assert max(map(len, tables)) <= 80


def test_mix(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A mix that fits ends with 0, one that does not with 1 and a finding."""
    words = ["capacity", "--saved", str(saved), "--json"]
    assert run_app([*words, "--mix", "g4.h100=2", "--mix", "g1.h100=2"]) == 0
    assert json.loads(capsys.readouterr().out)["mix"] == {"g4.h100": [2, 2], "g1.h100": [2, 2]}
    assert run_app([*words, "--mix", "g4.h100=3"]) == 1
    data: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert data["mix"] == {"g4.h100": [2, 3]}
    assert "WC642" in [row["rule"] for row in data["findings"]]


def test_rows(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The rows of the other formats are the types."""
    words = ["capacity", "--saved", str(saved), "-f", "csv", "-c", "resource_class", "-c", "free"]
    assert run_app(words) == 0
    assert capsys.readouterr().out.splitlines() == [
        "resource_class,free", "CUSTOM_PCI_10DE_2330,20", "VGPU,13",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["--mix", "g1.h100"], "--mix 'g1.h100' has no number"),
        (["--mix", "g1.h100=-1"], "--mix 'g1.h100=-1' has no number"),
        (["--mix", "g2=1"], "no flavor with cards is called g2"),
        (["--plot", "left.jpg"], "left.jpg ends neither in .png nor in .svg"),
        (["--save", "/nowhere/x.json"], "cannot write /nowhere/x.json"),
        (["--saved", "/nowhere/x.json"], "cannot read /nowhere/x.json"),
    ],
    ids=["no number", "negative", "unknown flavor", "jpg", "no folder", "no file"],
)  # fmt: skip
def test_called_wrongly(
    saved: Path, words: list[str], what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot be done is said, and the status is 2."""
    assert run_app(["capacity", "--saved", str(saved), *words]) == 2
    assert what in capsys.readouterr().err


def test_nothing_is_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without aliases nothing could be counted, which is status 4; --conf tells them."""
    path = tmp_path / "capacity.json"
    path.write_text(saved_text(replace(stock(), aliases=())))
    assert run_app(["capacity", "--saved", str(path)]) == 4
    assert "aliases are not known: add --conf api=PATH" in capsys.readouterr().out
    (tmp_path / "api.conf").write_text(f"[pci]\nalias = {ALIAS}\n")
    words = ["capacity", "--saved", str(path), "--conf", f"api={tmp_path / 'api.conf'}"]
    assert run_app(words) == 0


def test_what_if(saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A planned site is counted beside today's: a host more, and one less."""
    plan = tmp_path / "site2.yaml"
    lines = "".join(f"  gpu-0{number}: {{cards: {{h100: 8}}}}\n" for number in (1, 2, 3, 6))
    plan.write_text(
        'release: "2026.2"\ncards:\n  h100:\n    match: [{vendor: "10de", product: "2330"}]\n'
        f"    device_type: type-PF\nhosts:\n{lines}"
        "flavors:\n  g4.h100: {ram: 262144, vcpus: 32, cards: {h100: 4}}\n"
    )
    picture = tmp_path / "left.svg"
    words = ["capacity", "--saved", str(saved), "--what-if", str(plan), "--plot", str(picture)]
    assert run_app(words) == 0
    out = capsys.readouterr().out
    assert "5 that are given today have no card." in out
    row = next(line for line in out.splitlines() if line.startswith("g4.h100"))
    assert row.split() == ["g4.h100", "4", "2", "7", "6", "4"]
    assert picture.exists()


def test_cloud(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A cloud is read, saved, and counted again from the file with the same answer."""
    (tmp_path / "api.conf").write_text(f"[pci]\nalias = {ALIAS}\n")
    with serving(tmp_path) as api:
        moving_cloud(api).add("train", "gpu-01")
        api.answers[f"GET {COMPUTE}/flavors/detail"] = (200, {"flavors": [
            {"id": "1", "name": "g1", "vcpus": 4, "ram": 8192, "disk": 0, "swap": "",
             "OS-FLV-EXT-DATA:ephemeral": 0, "extra_specs": {"pci_passthrough:alias": "h100:1"}}
        ]})  # fmt: skip
        kept = tmp_path / "kept.json"
        words = ["capacity", "--cloud", "test", "--clouds-file", str(api.clouds), "--conf",
                 f"api={tmp_path / 'api.conf'}", "--save", str(kept), "--json"]  # fmt: skip
        assert run_app(words) == 0
    out = capsys.readouterr().out
    data = json.loads(out)
    assert [(row["flavor"], row["fits"], row["empty"]) for row in data["flavors"]] == [("g1", 3, 4)]
    assert PASSWORD not in out + kept.read_text()
    assert run_app(["capacity", "--saved", str(kept), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == data
