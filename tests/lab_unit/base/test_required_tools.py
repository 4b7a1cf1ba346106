"""What the lab says where the machine lacks something."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from support.tree import grow
from wholecard.lab.base.errors import LabError
from wholecard.lab.base.required_tools import require_tools


def be(monkeypatch: pytest.MonkeyPatch, uid: int) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)


GOOD = ("#!/bin/sh\n", 0o755)
REFUSES = ("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n", 0o755)


@pytest.mark.parametrize(
    ("programs", "uid", "brief", "helps"),
    [
        ({}, 0, "bwrap is not installed", "apt-get install bubblewrap"),
        ({"bwrap": GOOD}, 0, "mmdebstrap is not installed", "apt-get install mmdebstrap"),
        ({"bwrap": REFUSES, "mmdebstrap": GOOD}, 1000,
         "this machine does not allow user namespaces to ordinary users", "as root"),
        ({"bwrap": GOOD, "mmdebstrap": GOOD}, 1000, "newuidmap is not installed",
         "apt-get install uidmap"),
    ],
)  # fmt: skip
def test_missing_tools_are_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    programs: dict[str, tuple[str, int]],
    uid: int,
    brief: str,
    helps: str,
) -> None:
    """What the machine lacks is named, with the package that has it or what else helps."""
    monkeypatch.setenv("PATH", str(grow(tmp_path, {"./": "", **programs})))
    be(monkeypatch, uid)
    with pytest.raises(LabError) as caught:
        require_tools()
    assert caught.value.brief == brief
    assert helps in caught.value.resolution


def test_refused_namespace_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where user namespaces are refused, bubblewrap's own words are shown."""
    programs = grow(tmp_path, {"bwrap": REFUSES, "mmdebstrap": GOOD})
    monkeypatch.setenv("PATH", str(programs))
    be(monkeypatch, 1000)
    with pytest.raises(LabError) as caught:
        require_tools()
    assert caught.value.details == "bwrap: No permissions to create new namespace"


@pytest.mark.parametrize(("uid", "extra"), [(0, {}), (1000, {"newuidmap": GOOD})])
def test_enough_tools(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uid: int, extra: dict[str, tuple[str, int]]
) -> None:
    """Root needs no user namespaces; with all that is needed there is no error."""
    programs = grow(tmp_path, {"bwrap": GOOD if uid else REFUSES, "mmdebstrap": GOOD, **extra})
    monkeypatch.setenv("PATH", str(programs))
    be(monkeypatch, uid)
    require_tools()
