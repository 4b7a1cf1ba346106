"""A host is asked by ssh: its report, or why there is none."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from support.fleets import FakeFleet
from support.one_time_cards import report
from wholecard.core import WholecardError
from wholecard.fleet import Ssh
from wholecard.handover.cleaner import SshCleaner
from wholecard.host.agent.zipapp import agent_bytes

AGENT = f"wholecard-host-{hashlib.sha256(agent_bytes()).hexdigest()[:16]}"


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeFleet:
    made = FakeFleet.make(tmp_path, "gpu-01")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    return made


def answers(fleet: FakeFleet, text: str, status: int) -> None:
    """What the host's agent prints and ends with."""
    (fleet.home("gpu-01") / "answer").write_text(text)
    script = f"echo {AGENT}; echo {AGENT} >&2; cat answer; exit {status}"
    (fleet.home("gpu-01") / "instead").write_text(script)


def test_report(fleet: FakeFleet) -> None:
    """The agent's report is the answer, also one with findings."""
    answers(fleet, json.dumps(report("not cleared", "WC570", "kept")), 1)
    found = SshCleaner(Ssh(), scrub=True).clean("gpu-01", "0000:88:00.0")
    assert found == report("not cleared", "WC570", "kept")
    assert fleet.calls()[0][0][-1].endswith("clean-card 0000:88:00.0 --json --scrub-visible")


@pytest.mark.parametrize(
    ("text", "status", "said"),
    [
        (json.dumps({"error": {"brief": "there is no card", "details": "", "resolution": "r"}}), 2,
         "gpu-01: there is no card"),
        ("nonsense", 0, "gpu-01: clean-card gave no report"),
    ],
)  # fmt: skip
def test_no_report(fleet: FakeFleet, text: str, status: int, said: str) -> None:
    """An agent that broke is an error with its own words."""
    answers(fleet, text, status)
    with pytest.raises(WholecardError, match=said):
        SshCleaner(Ssh()).clean("gpu-01", "0000:88:00.0")


def test_no_host(fleet: FakeFleet) -> None:
    """A host that is not there is an error."""
    with pytest.raises(WholecardError, match="gone"):
        SshCleaner(Ssh()).clean("gone", "0000:88:00.0")
    assert fleet.calls()
