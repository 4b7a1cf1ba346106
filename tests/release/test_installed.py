"""Releases installed in clean roots of Debian, and run there."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from build_image import build_image

from support.wholecard_installed import EPOCH, chroot, judge_agent
from wholecard import __version__
from wholecard.guest.image import debian_root

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]

if os.geteuid() != 0:
    pytest.skip("chroot needs root", allow_module_level=True)


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def clean(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """A Debian with its Python and nothing else."""
    root = tmp_path_factory.mktemp(request.param) / "root"
    debian_root.unpack(request.param, root, ("python3",))
    yield root
    shutil.rmtree(root)


def test_deb(clean: Path, deb: Path) -> None:
    """The deb installs, runs, is as dpkg knows it, and leaves nothing when it is removed."""
    shutil.copy(deb, clean / "tmp/agent.deb")
    chroot(clean, "dpkg", "--install", "/tmp/agent.deb")
    judge_agent(clean, __version__)
    assert chroot(clean, "dpkg", "--verify", "wholecard-host") == ""
    chroot(clean, "dpkg", "--purge", "wholecard-host")
    assert list(clean.rglob("wholecard-host*")) == []


def test_rpm(clean: Path, rpm: Path) -> None:
    """The rpm's files run on a Debian too; EL's own dependency solver is not had here."""
    words = ["--root", str(clean), "--dbpath", "/var/lib/rpm"]
    subprocess.run(["rpm", *words, "--install", "--nodeps", str(rpm)], check=True)
    judge_agent(clean, __version__)
    subprocess.run(["rpm", *words, "--erase", "wholecard-host"], check=True)
    assert list(clean.glob("usr/**/wholecard-host*")) == []


def test_wheel(clean: Path, wheel: Path) -> None:
    """The wheel has the pages of the rules in it."""
    shutil.copy(wheel, clean / "tmp/wholecard.zip")
    code = (
        "import sys, zipfile; names = zipfile.ZipFile('/tmp/wholecard.zip').namelist();"
        "print('wholecard/rule_pages/WC103.md' in names)"
    )
    assert chroot(clean, "python3", "-c", code) == "True\n"


def test_image(tmp_path: Path, wheel: Path) -> None:
    """The image is an OCI archive whose command runs in its own root, with ssh beside it."""
    if shutil.which("umoci") is None:
        pytest.skip("no umoci here")
    uv = shutil.which("uv") or "uv"
    archive = build_image(tmp_path, wheel, EPOCH, uv)
    layout, bundle = tmp_path / "layout", tmp_path / "bundle"
    layout.mkdir()
    subprocess.run(["tar", "-xf", archive, "-C", layout], check=True)
    subprocess.run(["umoci", "unpack", "--image", f"{layout}:{__version__}", bundle], check=True)
    root = bundle / "rootfs"
    assert chroot(root, "wholecard", "--version") == f"{__version__}\n"
    assert chroot(root, "wholecard", "rule", "WC103").startswith("# WC103")
    chroot(root, "ssh", "-V")
