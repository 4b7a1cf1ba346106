"""What `make dist` builds: the same bytes each time, and what is in them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from build_deb import build_deb
from build_rpm import build_rpm
from man_page import client_page, host_page

from support.wholecard_installed import EPOCH, MAINTAINER
from wholecard import __version__
from wholecard.cli.app import build_app
from wholecard.host.agent.help import COMMANDS


def out(*words: object) -> str:
    return subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, check=True
    ).stdout


def test_deb(deb: Path, tmp_path: Path) -> None:
    """The deb is the same each time, needs Python 3.9, and its files are root's and unwritable."""
    assert build_deb(tmp_path, EPOCH, MAINTAINER).read_bytes() == deb.read_bytes()
    assert out("dpkg-deb", "-f", deb, "Version", "Depends") == (
        f"Version: {__version__}\nDepends: python3 (>= 3.9)\n"
    )
    modes = {line.split()[-1]: line.split()[:2] for line in out("dpkg-deb", "-c", deb).splitlines()}
    assert modes["./usr/bin/wholecard-host"] == ["-rwxr-xr-x", "root/root"]
    assert {mode for mode, _ in modes.values()} <= {"drwxr-xr-x", "-rwxr-xr-x", "-rw-r--r--"}


def test_rpm(rpm: Path, tmp_path: Path) -> None:
    """The rpm is the same each time, needs Python 3.9 and nothing else."""
    assert build_rpm(tmp_path, EPOCH).read_bytes() == rpm.read_bytes()
    needs = out("rpm", "-qp", "--requires", rpm).splitlines()
    assert [line for line in needs if not line.startswith("rpmlib")] == ["python3 >= 3.9"]
    assert "/usr/bin/wholecard-host" in out("rpm", "-qlp", rpm)


@pytest.mark.parametrize("page", [host_page, client_page])
def test_manual_pages(page: object) -> None:
    """roff finds nothing wrong with a page, and it has the date that the build says."""
    if shutil.which("groff") is None:
        pytest.skip("no groff here")
    text = page(EPOCH)  # type: ignore[operator]
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-z"],
        input=text, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    assert '"2023-11-14"' in text.splitlines()[0]


def test_manual_pages_have_all_commands() -> None:
    """Every command has its section, the host's in one page and all others in the other."""
    ours = set(re.findall(r"^\.SH (.*)$", host_page(EPOCH), re.MULTILINE))
    assert {name.upper().replace("-", "\\-") for name in COMMANDS} <= ours
    theirs = set(re.findall(r"^\.SH (.*)$", client_page(EPOCH), re.MULTILINE))
    groups = {group.name for group in build_app([]).registered_groups}
    commands = {command.name for command in build_app([]).registered_commands}
    names = {str(name).upper().replace("-", "\\-") for name in groups | commands}
    assert names <= theirs
