"""Where journals and states are kept on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from wholecard.core import UsageError
from wholecard.core.state_folder import state_folder


def test_in_the_state_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is in XDG's folder for state, or below ~/.local/state where that is not set."""
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert state_folder("drain", "prod", "gpu-01") == Path("/state/wholecard/drain/prod/gpu-01")
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", "/home/ops")
    assert state_folder("repair") == Path("/home/ops/.local/state/wholecard/repair")


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "a\x00b"])
def test_names_of_no_folder(name: str) -> None:
    """A cloud or a host whose name leads elsewhere is refused."""
    with pytest.raises(UsageError, match="cannot be the name of a folder"):
        state_folder("drain", "prod", name)
