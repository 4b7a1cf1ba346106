"""`wholecard nova lint` as a person calls it: statuses, formats, --fix and its way back."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from support.lint_hosts import ALIAS, FILTERS, H100, hosts
from wholecard.cli.app import run_app
from wholecard.core import WholecardError
from wholecard.core.releases import RELEASES

WRONG = "[pci]\nalias = {'name': 'a', 'vendor_id': '10de', 'product_id': '1eb8'}\n"
SITE = """\
version: 1
release: "2025.2"
cards:
  h100: {match: [{vendor: "10de", product: "2330"}]}
hosts:
  gpu-01: {facts: gpu-01.json, cards: {h100: 2}}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with files of each kind, which is the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    Path("wrong.conf").write_text(WRONG)
    Path("api.conf").write_text(f"[pci]\nalias = {ALIAS}\n")
    Path("compute.conf").write_text(f"[pci]\ndevice_spec = {H100}\nalias = {ALIAS}\n")
    Path("scheduler.conf").write_text(f"[filter_scheduler]\n{FILTERS}\n")
    Path("gpu-01.json").write_text(json.dumps(hosts()["gpu-01"].to_json()))
    Path("site.yaml").write_text(SITE)
    return tmp_path


def lint(*words: str) -> int:
    """The status of the command."""
    return run_app(["nova", "lint", *words])


def test_nothing_wrong(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Roles that fit together, with the host's facts, end with 0 and one line."""
    words = [
        "--conf",
        "api=api.conf",
        "--conf",
        "compute=compute.conf",
        "--conf",
        "scheduler=scheduler.conf",
    ]
    assert lint(*words, "--release", "flamingo", "--facts", "gpu-01.json") == 0
    assert capsys.readouterr().out == "No findings.\n"


def test_findings_end_with_one(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A finding is printed with its file and place, and the status is 1."""
    assert lint("wrong.conf", "--role", "api") == 1
    out = capsys.readouterr().out
    assert out.startswith("wrong.conf\n  2:10    WC217 error")
    assert out.endswith("1 error; --fix fixes 1 of them\nNot checked: hosts (--facts or --site).\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["scheduler.conf", "--role", "scheduler"], ""),
        (["compute.conf", "--role", "compute"], "hosts (--facts or --site)"),
        (["compute.conf"], "hosts (--facts or --site), roles (--role)"),
        (["compute.conf", "--facts", "gpu-01.json"], "roles (--role)"),
        (["--conf", "compute@gpu-01=compute.conf", "--conf", "compute@gpu-02=compute.conf",
          "--facts", "gpu-01.json"], "the host of compute.conf (--facts)"),
        (["--conf", "compute=rtx.conf", "--facts", "gpu-01.json"],
         "the alias rtx, whose cards no known host has (--facts or --site)"),
        (["--conf", "compute=compute.conf", "--site", "site.yaml"], ""),
    ],
)  # fmt: skip
def test_what_was_not_looked_at(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    """The last line says what was left out and which option tells of it; no other format does."""
    rtx = ALIAS.replace("h100", "rtx").replace("2330", "26b9")
    Path("rtx.conf").write_text(f"[pci]\ndevice_spec = {H100}\nalias = {rtx}\n")
    assert lint(*words) == 0
    rest = f"Not checked: {said}.\n" if said else ""
    assert capsys.readouterr().out == f"No findings.\n{rest}"
    assert lint(*words, "--format", "github") == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "no file to check"),
        (["nothing.conf"], "nothing.conf is not a file"),
        (["api.conf", "--role", "ape"], "no role 'ape'"),
        (["api.conf", "--release", "2052.1"], "knows no OpenStack release"),
        (["api.conf", "--format", "xml"], "no format 'xml'"),
        (["api.conf", "-f", "sarif", "-c", "rule"], "has no columns"),
        (["wrong.conf", "-c", "ruel"], "no column 'ruel'"),
        (["api.conf", "--dry-run"], "works only with --fix"),
        (["--role", "api"], "no FILE is given"),
        (["--conf", "compute@gpu-09=compute.conf", "--site", "site.yaml"], "has no host 'gpu-09'"),
        (["--conf", "compute@gpu-01=nothing.conf"], "nothing.conf is not a file"),
        (["api.conf", "--facts", "api.conf"], "cannot read a host's facts"),
        (["wrong.conf", "--fix", "--undo"], "exclude each other"),
        (["wrong.conf", "--discard-edits"], "needs --undo"),
        (["--undo"], "needs the files"),
        (["--undo", "wrong.conf"], "has changed none of these files"),
    ],
)
def test_called_wrongly(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    """A wrong call says what is wrong with it, and ends with 2."""
    assert lint(*words) == 2
    assert said in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(folder: Path) -> None:
    """A file that cannot be read ends with 3."""
    Path("wrong.conf").chmod(0)
    assert lint("wrong.conf") == 3


def test_a_site_knows_release_and_hosts(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a site file the release and the facts of its hosts come from there."""
    Path("compute.conf").write_text(f"[pci]\npassthrough_whitelist = {H100}\n")
    assert lint("compute.conf", "--role", "compute", "--site", "site.yaml", "--format", "json") == 1
    found = json.loads(capsys.readouterr().out)["findings"]
    assert [each["rule"] for each in found] == ["WC211"]
    Path("compute.conf").write_text('[pci]\ndevice_spec = {"vendor_id": "11de"}\n')
    assert lint("compute.conf", "--role", "compute", "--site", "site.yaml") == 1
    assert "matches nothing on gpu-01" in capsys.readouterr().out


def test_fix_and_its_way_back(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--dry-run shows the difference and changes nothing, --fix changes it, --undo undoes it."""
    assert lint("wrong.conf", "--fix", "--dry-run") == 1
    out = capsys.readouterr().out
    assert '+alias = {"name": "a", "vendor_id": "10de", "product_id": "1eb8"}' in out
    assert Path("wrong.conf").read_text() == WRONG
    assert lint("wrong.conf", "--fix") == 0
    assert Path("wrong.conf").read_text() == WRONG.replace("'", '"')
    out = capsys.readouterr().out
    undo = out.split("To undo it: wholecard ")[1].splitlines()[0].split()
    assert run_app(undo) == 0
    assert Path("wrong.conf").read_text() == WRONG
    assert run_app(undo) == 2


def test_a_fix_is_none_of_the_hosts_journals(folder: Path) -> None:
    """A host's rollback and status see nothing of a fix, which needs no root."""
    assert lint("wrong.conf", "--fix") == 0
    assert run_app(["host", "rollback", "--root", str(folder)]) == 2
    assert Path("wrong.conf").read_text() == WRONG.replace("'", '"')
    assert not (folder / "var").exists()


def test_undo_of_an_edited_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An edit after --fix is not lost unless it is discarded, and the error says how."""
    assert lint("wrong.conf", "--fix") == 0
    Path("wrong.conf").write_text("mine\n")
    assert lint("--undo", "wrong.conf") == 3
    assert "lint --undo --discard-edits" in capsys.readouterr().err
    assert lint("--undo", "--discard-edits", ".") == 0
    assert Path("wrong.conf").read_text() == WRONG


def test_undo_of_another_set_of_files(folder: Path) -> None:
    """Each set of files has its own journals: what was fixed last of a file is undone first."""
    Path("other.conf").write_text(WRONG)
    assert lint("wrong.conf", "--fix") == 0
    assert lint("other.conf", "--fix") == 0
    assert lint("--undo", "wrong.conf") == 0
    assert Path("wrong.conf").read_text() == WRONG
    assert Path("other.conf").read_text() != WRONG


@pytest.mark.parametrize(
    ("words", "out"),
    [
        (["-c", "rule", "-c", "line"], "RULE   LINE\nWC217  2"),
        (["-f", "csv", "-c", "rule", "-c", "line"], "rule,line\nWC217,2"),
        (["-f", "yaml", "-c", "rule"], '- rule: "WC217"'),
        (["-f", "json", "-c", "line"], '[\n  {\n    "line": 2\n  }\n]'),
    ],
)
def test_rows_and_columns(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], out: str
) -> None:
    """Findings are rows: `-f` and `-c` take them apart as openstackclient does."""
    assert lint("wrong.conf", *words) == 1
    assert capsys.readouterr().out.rstrip("\n") == out


def test_fix_keeps_the_format(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --format json what --fix did goes to standard error, and what is left is JSON."""
    assert lint("wrong.conf", "--fix", "--format", "json") == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["findings"] == []
    assert "Fixed wrong.conf" in said.err


def test_a_snapshot_is_a_host(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Facts that are no host are refused as what they are."""
    Path("host.tar.gz").write_bytes(b"no archive")
    assert lint("compute.conf", "--facts", "host.tar.gz") in (2, WholecardError.exit_code)
    assert "host.tar.gz" in capsys.readouterr().err


@pytest.mark.parametrize("series", [each.series for each in RELEASES if each.nova >= 15])
def test_what_render_writes_is_clean(
    folder: Path, capsys: pytest.CaptureFixture[str], series: str
) -> None:
    """What `nova render` writes for each role of each release has no findings."""
    words = []
    for role in ("api", "scheduler", "conductor", "compute"):
        card = ["--alias", "h100=10de:2330,type-PF", "--release", series]
        assert run_app(["nova", "render", "--role", role, *card]) == 0
        Path(f"r-{role}.conf").write_text(capsys.readouterr().out)
        words += ["--conf", f"{role}=r-{role}.conf"]
    status = lint(*words, "--release", series, "--facts", "gpu-01.json")
    assert (status, capsys.readouterr().out) == (0, "No findings.\n")


def test_each_compute_with_its_host(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--conf compute@HOST=FILE pairs files with facts; a file without a host is the others'."""
    disk = '{"vendor_id": "144d", "product_id": "a80a"}'
    Path("other.conf").write_text(f"[pci]\ndevice_spec = {disk}\nalias = {ALIAS}\n")
    Path("gpu-02.json").write_text(Path("gpu-01.json").read_text())
    words = ["--conf", "compute@gpu-01=compute.conf", "--facts", "gpu-01.json", "--format", "json"]
    for compute, host in (
        ("compute@gpu-02=other.conf", "gpu-02.json"),
        ("compute@b=other.conf", "b=gpu-02.json"),
        ("compute=other.conf", "gpu-02.json"),
    ):
        assert lint(*words, "--conf", compute, "--facts", host) == 1
        found = json.loads(capsys.readouterr().out)["findings"]
        said = [(each["file"], each["rule"]) for each in found]
        assert said == [("other.conf", "WC247")]
        assert f"of {host.replace('=', '.').split('.')[0]}, which" in found[0]["message"]
    Path("a=b.conf").write_text(f"[pci]\ndevice_spec = {H100}\nalias = {ALIAS}\n")
    assert lint("--conf", "compute=a=b.conf", "--facts", "gpu-01.json") == 0


def test_a_site_of_several_kinds(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a site file the aliases of other hosts' cards are right, be --host one of them or none.

    Facts that cannot be read are those of a host that is not known.
    """
    rtx = '{"name": "rtx", "vendor_id": "10de", "product_id": "2204", "device_type": "type-PCI"}'
    lines = f"alias = {ALIAS}\nalias = {rtx}\n"
    Path("api.conf").write_text(f"[pci]\n{lines}")
    Path("compute.conf").write_text(f"[pci]\ndevice_spec = {H100}\n{lines}")
    Path("gpu-01.json").write_text(json.dumps(hosts()["gpu-08"].to_json()))
    text = SITE.replace("h100: 2", "h100: 8").replace(
        "hosts:\n", '  rtx: {match: [{vendor: "10de", product: "2204"}]}\n'
        "hosts:\n  rtx-01: {facts: rtx-01.json, cards: {rtx: 1}}\n",
    )  # fmt: skip
    Path("site.yaml").write_text(text)
    Path("rtx-01.json").write_text(json.dumps(hosts()["gpu-01"].to_json()))
    words = ["--conf", "api=api.conf", "--site", "site.yaml"]
    assert lint(*words, "--conf", "compute@gpu-01=compute.conf") == 0, capsys.readouterr().out
    assert lint(*words, "--conf", "compute=compute.conf", "--host", "gpu-01") == 0
    Path("rtx-01.json").write_text("{")
    assert lint(*words, "--conf", "compute=compute.conf", "--host", "gpu-01") == 0


def test_chosen_findings(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--select and --ignore choose, pyproject.toml counts without them, and a wrong code is 2."""
    Path("short.conf").write_text("[filter_scheduler]\nenabled_filters = ComputeFilter\n")
    for words, rules in (
        ([], {"WC236", "WC238"}),
        (["--select", "WC238"], {"WC238"}),
        (["--ignore", "WC236,WC238"], set()),
    ):
        status = lint("short.conf", "--role", "scheduler", "--format", "json", *words)
        found = json.loads(capsys.readouterr().out)
        rows = found if isinstance(found, list) else found["findings"]
        assert {row["rule"] for row in rows} == rules
        assert status == int(bool(rules))
    Path("pyproject.toml").write_text('[tool.wholecard.lint]\nignore = ["WC2"]\n')
    assert lint("short.conf", "--role", "scheduler") == 0
    assert lint("short.conf", "--role", "scheduler", "--select", "WC236") == 1
    assert lint("short.conf", "--select", "E501") == 2


def test_a_folder_without_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """0 files are an error, not 'No findings'."""
    Path("empty").mkdir()
    assert lint("empty", "--role", "compute") == 2
    assert "0 files would be read" in capsys.readouterr().err
