"""`wholecard explain` from files: what it reads, prints and ends with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.small_cloud import ALIAS, FILTERS, SPEC, facts
from wholecard.cli.app import run_app


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """The files of a cloud whose host would take a server, as a person has them."""
    (tmp_path / "api.conf").write_text(f"[pci]\nalias = {ALIAS}\n")
    (tmp_path / "scheduler.conf").write_text(f"[filter_scheduler]\nenabled_filters = {FILTERS}\n")
    etc = tmp_path / "gpu-01"
    (etc / "nova.conf.d").mkdir(parents=True)
    (etc / "nova.conf").write_text("[DEFAULT]\ndebug = true\n")
    (etc / "nova.conf.d/cards.conf").write_text(f"[pci]\nalias = {ALIAS}\ndevice_spec = {SPEC}\n")
    (tmp_path / "gpu-01.json").write_text(json.dumps(facts().to_json()))
    return tmp_path


def explained(files: Path, *more: str) -> tuple[int, list[str]]:
    """The exit status of `explain` on all the files, and its words."""
    argv = ["explain", "--release", "2025.2", "--conf", f"api={files / 'api.conf'}",
            "--conf", f"scheduler={files / 'scheduler.conf'}",
            "--conf", f"compute@gpu-01={files / 'gpu-01'}",
            "--facts", f"gpu-01={files / 'gpu-01.json'}", *more]  # fmt: skip
    return run_app(argv), argv


def test_no_check_fails(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With files alone what is free is not known, and it says so; the status is 0."""
    status, _ = explained(files, "--spec", "pci_passthrough:alias=h100:1")
    assert status == 0
    out = capsys.readouterr().out
    assert "No check fails for gpu-01" in out
    assert "cards.conf:3" in "".join(out.split())


def test_the_break_as_json(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A break is a finding, and the status is 1."""
    status, _ = explained(files, "--spec", "pci_passthrough:alias=h100:4", "--json")
    assert status == 1
    data: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert [(each["rule"], each["subject"]) for each in data["findings"]] == [("WC312", "gpu-01")]
    states = {each["name"]: each["state"] for each in data["hosts"][0]["checks"]}
    assert (states["device_spec"], states["card"], states["NUMA"]) == ("ok", "failed", "not run")


def test_what_nova_said(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a person read of nova's refusal counts as evidence."""
    argv = ["explain", "--flavor", "g1", "--spec", "pci_passthrough:alias=a100:1", "--error",
            "PCI alias a100 is not defined", "--json"]  # fmt: skip
    assert run_app(argv) == 1
    data = json.loads(capsys.readouterr().out)
    assert [each["rule"] for each in data["findings"]] == ["WC303"]


def test_flavor_of_the_site(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The site file gives release, flavor and facts; the flavor's place is its line."""
    (tmp_path / "site.yaml").write_text(
        "release: 2025.2\n"
        "cards:\n  h100:\n    match: [{vendor: '10de', product: '2330'}]\n"
        "hosts:\n  gpu-01: {facts: gpu-01.json}\n"
        "flavors:\n  g1.h100: {ram: 16384, vcpus: 8, cards: {h100: 1}}\n"
    )
    argv = ["explain", "--site", str(tmp_path / "site.yaml"), "--flavor", "g1.h100",
            "--conf", f"api={files / 'api.conf'}", "--json"]  # fmt: skip
    assert run_app(argv) == 4
    data = json.loads(capsys.readouterr().out)
    assert data["release"] == "2025.2"
    assert data["checks"][0]["seen"] == [f"{tmp_path / 'site.yaml'}:8"]
    states = {each["name"]: each["state"] for each in data["hosts"][0]["checks"]}
    assert (states["card"], states["device type"]) == ("ok", "ok")


@pytest.mark.parametrize(
    ("argv", "brief"),
    [
        ([], "explain needs a flavor or a server"),
        (["--spec", "x=y", "--facts", "/nowhere/gpu-01.json"], "/nowhere/gpu-01.json"),
        (["--spec", "x=y", "--conf", "api.conf"], "--conf 'api.conf' names no role"),
        (["--spec", "x=y", "--conf", "apy=api.conf"], "nova has no role 'apy'"),
        (
            ["--spec", "x=y", "--conf", "api@gpu-01=api.conf"],
            "only the role compute can have a host",
        ),
        (["--flavor", "x", "--spec", "y"], "--spec 'y' has no value"),
        (["--spec", "x=y", "--host", "gpu-09"], "not a known host: gpu-09"),
        (["--spec", "x=y", "--conf", "api=/nowhere/api.conf"], "/nowhere/api.conf is not a file"),
        (["--flavor", "x"], "no flavor x is known"),
        (["--flavor", "x", "--error", "No valid host was found."], "no flavor x is known"),
    ],
)
def test_called_wrongly(argv: list[str], brief: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be meant is said, with status 2."""
    assert run_app(["explain", *argv]) == 2
    assert brief in capsys.readouterr().err


def test_a_misspelled_flavor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A flavor that the site file does not have is none, but with the words of --spec it may be."""
    (tmp_path / "site.yaml").write_text(
        "release: 2025.2\ncards:\n  h100: {match: [{vendor: '10de', product: '2330'}]}\n"
        "flavors:\n  h100x1: {ram: 16384, vcpus: 8, cards: {h100: 1}}\n"
    )
    argv = ["explain", "--site", str(tmp_path / "site.yaml"), "--flavor", "h100x"]
    assert run_app(argv) == 2
    err = capsys.readouterr().err
    assert f"{tmp_path / 'site.yaml'} has no flavor h100x" in err
    assert "Did you mean 'h100x1'?" in err
    assert run_app([*argv, "--spec", "pci_passthrough:alias=h100:1"]) == 4
    assert capsys.readouterr().out.startswith("flavor h100x ")


def test_image_of_the_site_beside_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The image of the site file counts for a flavor of words alone, and has to be there."""
    (tmp_path / "site.yaml").write_text(
        "release: 2025.2\ncards:\n  h100: {match: [{vendor: '10de', product: '2330'}]}\n"
        "images:\n  odd: {properties: {hw_mem_page_size: 2MB}}\n"
    )
    argv = ["explain", "--site", str(tmp_path / "site.yaml"),
            "--spec", "pci_passthrough:alias=h100:1", "--image"]  # fmt: skip
    assert run_app([*argv, "odd"]) == 1
    assert "the image requests a page size" in " ".join(capsys.readouterr().out.split())
    assert run_app([*argv, "other"]) == 2
    assert f"{tmp_path / 'site.yaml'} has no image other" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flavor", "typed"),
    [((), "FLAVOR"), (("--flavor", "g1"), "g1"), (("--flavor", "my gpu"), "'my gpu'")],
)
def test_the_flavor_in_a_command(
    flavor: tuple[str, ...], typed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command can be pasted: the flavor's name quoted, FLAVOR where words alone are given."""
    assert run_app(["explain", *flavor, "--spec", "pci_passthrough:alias=h100"]) == 1
    wanted = f"openstack flavor set {typed} --property pci_passthrough:alias=ALIAS:1"
    assert wanted in " ".join(capsys.readouterr().out.split())
