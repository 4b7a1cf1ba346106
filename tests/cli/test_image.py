"""`wholecard image …` as a person calls it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from support import virt_customize
from support.disk_images import TOOLS, as_qcow2, raw_disk
from wholecard.cli.app import run_app

SITE = """\
release: 2025.2
cards: {h100: {match: [{vendor: 10de, product: 2330}]}}
images:
  plain: {build: {from: disk.qcow2, os: debian-13, size: 1}}
  driver:
    build:
      from: disk.qcow2
      os: debian-13
      packages: [htop]
      files: {/etc/modprobe.d/nouveau.conf: {content: "blacklist nouveau\\n"}}
  absent: {build: {from: no.img, os: debian-13}}
"""

AMD = """\
release: 2025.2
cards: {mi300x: {match: [{vendor: 1002, product: 74a1}]}}
images: {amd: {build: {from: disk.raw, os: debian-13, size: 9, profiles: [amd]}}}
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A base image of 48 MiB."""
    return as_qcow2(raw_disk(tmp_path_factory.mktemp("b"), {"/f": "x"}), "-c").read_bytes()


@pytest.fixture
def site(base: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The site file's folder, with a base image; it is the working directory.

    Of this machine's programs only those for disks are on PATH, and so no virt-customize.
    """
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("qemu-img", "sfdisk", "e2fsck", "resize2fs", "prlimit", "cp"):
        (programs / name).symlink_to(shutil.which(name, path=TOOLS["PATH"]) or name)
    monkeypatch.setenv("PATH", str(programs))
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "site.yaml").write_text(SITE)
    (folder / "disk.qcow2").write_bytes(base)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def test_plan(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A plan says what would be done and changes nothing; findings are in its exit status."""
    before = sorted(site.iterdir())
    assert run_app(["image", "plan", "plain"]) == 0
    said = capsys.readouterr().out
    assert "size:    48 MiB -> 1 GiB, by sfdisk and e2fsprogs" in said
    assert run_app(["image", "plan", "driver", "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert [finding["rule"] for finding in answer["findings"]] == ["WC412", "WC415"]
    assert sorted(site.iterdir()) == before
    assert not (site.parent / "cache").exists()


def test_build_and_show(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A build says what it does on standard error; show has what went in, by name and by file."""
    assert run_app(["image", "build", "plain"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith(f"{site}/plain.qcow2 is built.")
    assert "growing from 48 MiB to 1 GiB" in said.err
    assert run_app(["image", "show", "plain"]) == 0
    by_name = capsys.readouterr().out
    assert "disk:    1 GiB (sfdisk and e2fsprogs)" in by_name
    assert run_app(["image", "show", "plain.qcow2"]) == 0
    assert capsys.readouterr().out == by_name
    (site / "site.yaml").write_text(SITE.replace("size: 1", "size: 2"))
    assert run_app(["image", "show", "plain"]) == 1
    assert "WC414 warning image plain" in capsys.readouterr().out


def test_writer(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer that is named is used, also where this machine would not choose it."""
    log = virt_customize.installed(tmp_path, monkeypatch)
    assert run_app(["image", "build", "driver", "--writer", "virt-customize", "-o", "d.qcow2"]) == 0
    assert (site / "d.qcow2.json").exists()
    assert "htop" in log.read_text()


def test_the_drivers_of_what_was_built(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An image whose kernel lacks the driver is built, named and ends with 1; where the tree could
    not be read, that is said instead."""
    modules = "usr/lib/modules/6.12.1-amd64/modules"
    tree = raw_disk(tmp_path, {f"{modules}.dep": "kernel/a.ko:\n", f"{modules}.alias": ""})
    (site / "disk.raw").write_bytes(tree.read_bytes())
    (site / "site.yaml").write_text(AMD)
    virt_customize.installed(tmp_path, monkeypatch)
    build = ["image", "build", "amd", "--writer", "virt-customize"]
    assert run_app(build) == 0
    not_seen = "Its drivers were not looked at: bwrap is not installed; its package is"
    assert not_seen in capsys.readouterr().out
    (tmp_path / "bwrap").symlink_to(shutil.which("bwrap", path=TOOLS["PATH"]) or "bwrap")
    assert run_app(build) == 1
    said = capsys.readouterr()
    assert "amd.qcow2 is built." in said.out
    assert "WC426 error" in said.out
    assert "it is not installed for this kernel" in " ".join(said.out.split())
    assert "looking for the drivers in the image" in said.err
    assert run_app([*build, "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert [finding["rule"] for finding in answer["findings"]] == ["WC426"]
    assert answer["not_looked_at"] == ""
    assert (site / "amd.qcow2.json").exists()


def test_on_boot(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For the first boot only user data is written."""
    assert run_app(["image", "build", "driver", "--on-boot"]) == 0
    assert "--user-data" in capsys.readouterr().out
    assert (site / "driver.user-data").read_text().startswith("#cloud-config\n")
    assert not (site / "driver.qcow2").exists()


@pytest.mark.parametrize(("words", "status", "said"), [
    (["build", "absent"], 2, "No such file"),
    (["build", "no"], 2, "has no image 'no'"),
    (["show", "driver"], 2, "Build it first: wholecard image build driver"),
    (["plan", "driver", "--writer", "x"], 2, "there is no writer 'x'"),
    (["plan", "driver", "--on-boot", "--writer", "root"], 2, "contradict each other"),
    (["build", "driver"], 1, "WC412 No writer can change the image"),
])  # fmt: skip
def test_errors(
    site: Path, capsys: pytest.CaptureFixture[str], words: list[str], status: int, said: str
) -> None:
    """Each error says what to do, and nothing is written."""
    before = sorted(site.iterdir())
    assert run_app(["image", *words]) == status
    assert said in capsys.readouterr().err
    assert sorted(site.iterdir()) == before
