"""How a new Debian root is unpacked: mmdebstrap's arguments, as root and as an ordinary user."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from support.tree import grow
from wholecard.core import RunError
from wholecard.guest.image import debian_root

_RECORD = '#!/bin/sh\necho "$(basename "$0") $*" >> "$CALLS"\n'


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which stand-ins for mmdebstrap, unshare and tar record how they are called."""
    names = ("mmdebstrap", "unshare", "tar")
    programs = grow(tmp_path / "bin", dict.fromkeys(names, (_RECORD, 0o755)))
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    return tmp_path / "calls"


def test_as_root_it_is_unpacked_in_a_mount_namespace(
    calls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What mmdebstrap mounts is gone with the namespace, however it ends."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    debian_root.unpack("trixie", Path("/x/root"), ("udev", "kmod"), not_unpacked=("/usr/*/man/*",))
    assert calls.read_text().split() == [
        "unshare", "--mount", "--propagation", "private", "mmdebstrap", "--variant=minbase",
        "--aptopt=APT::Install-Recommends", '"false"', "--aptopt=Acquire::Languages", '"none"',
        "--aptopt=Acquire::Retries", '"3"', "--dpkgopt=path-exclude=/usr/*/man/*",
        "--include=udev,kmod", "--quiet", "--mode=root", "--format=directory", "trixie", "/x/root",
    ]  # fmt: skip


def test_an_ordinary_user_unpacks_an_archive(
    calls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without root the packages become a tar archive, whose files are the user's when unpacked."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    debian_root.unpack("trixie", tmp_path / "root")
    first, second = calls.read_text().splitlines()
    assert first.startswith("mmdebstrap ")
    assert first.endswith(f"--mode=unshare --format=tar trixie {tmp_path}/root.tar")
    assert second == (f"tar --extract --file {tmp_path}/root.tar --directory {tmp_path}/root "
                      "--no-same-owner --exclude=./dev/*")  # fmt: skip


def test_a_failure_says_what_to_check(calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no mirror has the packages, the message says so and names the suite."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    (calls.parent / "bin/mmdebstrap").write_text("#!/bin/sh\necho no mirror >&2\nexit 1\n")
    with pytest.raises(RunError) as caught:
        debian_root.unpack("trixie", calls.parent / "root")
    assert "no mirror" in caught.value.details
    assert "has trixie" in caught.value.resolution
