"""Who may not change a host is told so before anything is read or printed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import wholecard.host.agent.commands  # noqa: F401 - another account may not be able to import it
from wholecard.core import WholecardError
from wholecard.host.agent.cli import main
from wholecard.host.changing.access import refuse_without_access

_NOBODY = 65534


@pytest.fixture
def root() -> Iterator[Path]:
    """An empty root folder that everybody may read."""
    if os.getuid():
        pytest.skip("only root can become another account")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        Path(folder, "var/lib").mkdir(parents=True)
        yield Path(folder)


@contextmanager
def nobody() -> Iterator[None]:
    """Another account for some lines of a test: what pytest does around it needs its own."""
    os.seteuid(_NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("command", ["apply", "rollback"])
def test_refused_at_once(root: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """No plan is printed first, and the error names sudo."""
    words = ["--all-cards"] if command == "apply" else []
    with nobody():
        assert main([command, "--root", str(root), *words], "wholecard host") == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert f"only root may {command}: {root}/var/lib is not writable" in err
    assert f"sudo wholecard-host {command}" in err or f"sudo wholecard host {command}" in err


def test_own_folder(root: Path) -> None:
    """Who may write the journal's folder is let on: a tree of one's own is no host's."""
    (root / "var/lib").chmod(0o777)
    with nobody():
        refuse_without_access(root, "apply")
        (root / "var/lib/wholecard").mkdir(mode=0o755)
        refuse_without_access(root, "apply")


def test_root(tmp_path: Path) -> None:
    """root is never refused here, whatever a mode says."""
    tmp_path.chmod(0o555)
    if os.getuid():
        with pytest.raises(WholecardError, match="only root may apply"):
            refuse_without_access(tmp_path, "apply")
    else:
        refuse_without_access(tmp_path, "apply")
    tmp_path.chmod(0o755)
