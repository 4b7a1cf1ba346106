"""Hosts' answers: read from JSON as they were written, and compared with earlier ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.health_reports import NOW, SLOT, answer, card, health, line
from support.sick_host import GPU, aer, kernel_log, qemu_log
from support.sick_host import card as card_tree
from support.tree import grow
from wholecard.core import UsageError
from wholecard.health.host_answers import ask_here, judged, only_new, read_earlier, read_health
from wholecard.health.record import HostAnswer
from wholecard.health.request import report
from wholecard.host.facts.card_health import Errors, HostHealth

FEW = Errors(3, 1, 0, (("correctable BadTLP", 3), ("nonfatal UnsupReq", 1)))
MORE = Errors(5, 1, 2, (("correctable BadTLP", 3), ("correctable RxErr", 2),
                        ("nonfatal UnsupReq", 1), ("fatal DLP", 2)))  # fmt: skip


def test_json(tmp_path: Path) -> None:
    """What a host writes is read back as it was, logs and links included."""
    stop = f"vfio_err_notifier_handler({GPU}) Unrecoverable error detected. Please"
    tree = {
        **card_tree(**aer(2, 1, 1)),
        **kernel_log("x", f"vfio-pci {GPU}: not ready 65535ms after FLR; giving up"),
        **qemu_log(f"2026-11-29T10:00:00.000000Z qemu-system-x86_64: {stop}"),
        "proc/sys/kernel/hostname": "gpu-01\n",
    }
    known = ask_here(root=str(grow(tmp_path, tree))).health
    assert known is not None
    assert len(known.events) == 2
    assert read_health(json.loads(json.dumps(known.to_json()))) == known


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2}, {"boot_id": 7}, {"cards": [{"slot": "x"}]}, {"taken_at": "now"},
        {"events": [{"kind": "xid"}]},
    ],
    ids=str,
)  # fmt: skip
def test_not_an_answer(change: dict[str, Any]) -> None:
    """Another release's answer and values of another type are refused."""
    with pytest.raises(ValueError, match=r"health|another release"):
        read_health({**health().to_json(), **change})


def test_newer_field() -> None:
    """A field that a newer agent has added is no error."""
    assert read_health({**health().to_json(), "findings": [], "colour": "red"}) == health()


def test_only_new() -> None:
    """Counters are less what they were, and lines are those after the last one."""
    before = health(card(errors=FEW), events=(line("aer-nonfatal", 5.0),))
    now = health(card(errors=MORE), events=(line("aer-nonfatal", 5.0), line("aer-fatal", 9.0)))
    new = only_new(now, before)
    kinds = (("correctable RxErr", 2), ("fatal DLP", 2))
    assert new.cards[0].functions[0].errors == Errors(2, 0, 2, kinds)
    assert [event.kind for event in new.events] == ["aer-fatal"]


def test_findings_since() -> None:
    """The findings are about what is new, and say since when."""
    before, now = health(card(errors=FEW)), health(card(errors=MORE))
    found = judged("gpu-01", now, before).findings
    assert [(one.rule, one.subject) for one in found] == [
        ("WC581", f"gpu-01 {SLOT}.0"), ("WC582", f"gpu-01 {SLOT}.0"),
    ]  # fmt: skip
    assert "2 fatal errors and 0 non-fatal errors since 1970-01-12 13:46:40 UTC" in found[0].message


def test_reboot() -> None:
    """After a reboot everything counts: the counters began anew."""
    before = health(card(errors=MORE), boot_id="boot-0")
    assert judged("gpu-01", health(card(errors=FEW)), before) == judged(
        "gpu-01", health(card(errors=FEW))
    )


def test_exchanged_card() -> None:
    """Counters that went back are of a card that was put in anew, and all count."""
    new = only_new(health(card(errors=FEW)), health(card(errors=MORE)))
    assert new.cards[0].functions[0].errors == FEW


def test_earlier_answer(tmp_path: Path) -> None:
    """What health --json wrote is read for --since; a host without an answer is left out."""
    text = json.dumps(report((answer(), HostAnswer("b", error="no")), None, NOW).to_json())
    file = tmp_path / "before.json"
    file.write_text(text)
    assert read_earlier(file) == {"gpu-01": _health_of(answer())}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"hosts": {"a": {"health": {}}}}'])
def test_no_earlier_answer(tmp_path: Path, text: str) -> None:
    """Any other file is refused with how to write one."""
    file = tmp_path / "before.json"
    file.write_text(text)
    with pytest.raises(UsageError, match="is no answer of health"):
        read_earlier(file)


def _health_of(one: Any) -> HostHealth:
    known: HostHealth = one.health
    return known
