"""What is remembered between two readings: lines counted once, sources that failed."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.health_reports import SLOT, answers, card, fleet_of, health, line
from wholecard.health.exporter.reading import LineCounts, Sources
from wholecard.health.request import HealthRequest

FATAL, RESET = (SLOT, "aer-fatal"), (SLOT, "reset-failed")


def test_lines_count_once() -> None:
    """Each answer has the boot's lines again; only what is new is added."""
    counts = LineCounts()
    first = (line("aer-fatal", 1.0), line("aer-fatal", 2.0))
    assert counts.add("gpu-01", health(events=first)) == {FATAL: 2}
    assert counts.add("gpu-01", health(events=first)) == {FATAL: 2}
    more = (*first, line("reset-failed", 3.0))
    assert counts.add("gpu-01", health(events=more)) == {FATAL: 2, RESET: 1}
    # The ring buffer has lost the first lines.
    assert counts.add("gpu-01", health(events=more[2:])) == {FATAL: 2, RESET: 1}


def test_reboot() -> None:
    """After a reboot a host's lines begin at zero, and another host's stay."""
    counts = LineCounts()
    counts.add("gpu-01", health(events=(line("aer-fatal", 100.0),)))
    counts.add("gpu-02", health(events=(line("aer-fatal", 100.0),)))
    again = health(events=(line("reset-failed", 2.0),), boot_id="boot-2")
    assert counts.add("gpu-01", again) == {RESET: 1}
    assert counts.add("gpu-02", health()) == {FATAL: 1}


def test_lines_of_two_logs() -> None:
    """QEMU's lines have another clock than the kernel's, and each log has its own mark."""
    stopped = line("vfio-unrecoverable", 0.0)
    stopped = type(stopped)(stopped.kind, SLOT, stopped.address, "qemu", "x", 0.0, "2026-11-29T1Z")
    counts = LineCounts()
    counts.add("gpu-01", health(events=(stopped,)))
    both = counts.add("gpu-01", health(events=(line("aer-fatal", 1.0), stopped)))
    assert both == {FATAL: 1, (SLOT, "vfio-unrecoverable"): 1}


def test_failing_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that fails is down, has no cards, and keeps the time of its last success."""
    fleet = fleet_of(tmp_path / "fleet", "gpu-01", "gpu-02")
    monkeypatch.setenv("PATH", fleet.environment()["PATH"])
    answers(fleet, "gpu-01", health())
    answers(fleet, "gpu-02", health(card("0000:61:00")))
    sources = Sources(HealthRequest(("gpu-01", "gpu-02")))
    first = sources.read()
    assert [(state.host, state.up) for state in first.sources] == [
        ("gpu-01", True), ("gpu-02", True),
    ]  # fmt: skip
    answers(fleet, "gpu-02", "{}")
    second = sources.read()
    assert [(state.host, state.up) for state in second.sources] == [
        ("gpu-01", True), ("gpu-02", False),
    ]  # fmt: skip
    assert second.sources[1].last_success == first.sources[1].last_success > 0
    assert second.sources[1].error.startswith("its answer cannot be read")
    assert [row.host for row in second.cards] == ["gpu-01"]
