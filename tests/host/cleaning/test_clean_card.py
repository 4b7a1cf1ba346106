"""A card between two tenants: what is done, what is seen, and what the verdict is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.cleaning import AER, AUDIO, GPU, PAGE, PAGES, PORT, config, host, kernel
from support.faults import counted, points_of
from support.tree import grow, snapshot
from wholecard.core import UsageError
from wholecard.host.cleaning.clean_card import clean_card

FOLDER = "sys/bus/pci/devices"
TENANT = b"the last tenant's weights. " * 200
PATTERN = (TENANT[:PAGE]) * PAGES


def gpu(root: Path) -> Path:
    return root / FOLDER / GPU


def cleared(root: Path) -> Callable[[Path], object]:
    """A reset that clears the memory."""
    return lambda _: (gpu(root) / "resource0").write_bytes(bytes(PAGE * PAGES))


def rules(
    root: Path, effect: Callable[[Path], object] = lambda _: None, **asked: bool
) -> list[str]:
    with kernel(effect):
        report = clean_card(root, GPU, **asked)
    return [report.verdict, *(finding.rule for finding in report.findings)]


def test_clean(tmp_path: Path) -> None:
    """A reset that clears the memory makes a card clean, and every value is as before."""
    host(tmp_path, PATTERN)
    with kernel(cleared(tmp_path)) as said:
        report = clean_card(tmp_path, GPU)
    assert (report.verdict, report.method, report.findings) == ("clean", "flr", ())
    assert said == [
        f"{GPU}/control on", f"{AUDIO}/control on", f"{GPU}/reset 1", f"{AUDIO}/reset 1",
        f"{GPU}/control auto", f"{AUDIO}/control auto",
    ]  # fmt: skip
    look = report.memory[0]
    assert (look.looked_at_bytes, look.zero, look.kept) == (PAGE * PAGES, PAGES, 0)
    assert (gpu(tmp_path) / "config").read_bytes() == config()
    assert not list((tmp_path / "run/wholecard").glob("*.json"))


def test_memory_kept(tmp_path: Path) -> None:
    """Memory that is the same after the reset is `not cleared`, with its pages counted (WC570)."""
    host(tmp_path, PATTERN)
    with kernel():
        report = clean_card(tmp_path, GPU)
    assert [report.verdict, *(f.rule for f in report.findings)] == ["not cleared", "WC570"]
    assert (report.memory[0].data, report.memory[0].kept) == (PAGES, PAGES)
    assert "8 of 8 pages behind BAR 0" in report.findings[0].message


def test_scrub(tmp_path: Path) -> None:
    """--scrub-visible overwrites plain memory, and the card is clean then."""
    host(tmp_path, PATTERN)
    with kernel():
        report = clean_card(tmp_path, GPU, scrub=True)
    assert (report.verdict, report.memory[0].overwritten_bytes) == ("clean", PAGE * PAGES)
    assert (gpu(tmp_path) / "resource0").read_bytes() == bytes(PAGE * PAGES)


@pytest.mark.parametrize("content", [b"\xff" * PAGE * PAGES, b"\x02\x10\xdf\xba" * 1024 * PAGES])
def test_memory_not_visible(tmp_path: Path, content: bytes) -> None:
    """A BAR that answers with all ones or with refusals shows no memory, and a note says so."""
    host(tmp_path, content)
    assert rules(tmp_path) == ["clean", "WC574"]


def test_changed_memory(tmp_path: Path) -> None:
    """What is in memory after the reset and was not before it is not the last tenant's."""
    host(tmp_path, PATTERN)
    other = (b"another pattern!" * 256) * PAGES
    report = rules(tmp_path, lambda _: (gpu(tmp_path) / "resource0").write_bytes(other))
    assert report == ["clean"]


def ruined(root: Path, name: str, content: bytes) -> Callable[[Path], object]:
    return lambda _: (gpu(root) / name).write_bytes(content)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("config", b"\xff" * 256, "does not answer"),
        ("config", config(power=3), "is in D3hot"),
        ("config", config()[:0x10] + bytes(4) + config()[0x14:], "other base addresses"),
        ("current_link_width", b"8\n", "has a link of 8 lanes, and had 16"),
        ("aer_dev_fatal", AER.format(word="FATAL", count=2).encode(), "reports 2 fatal errors"),
    ],
)
def test_broken(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    """WC571: a card that is worse after its reset than before is out."""
    host(tmp_path)
    with kernel(ruined(tmp_path, name, content)):
        report = clean_card(tmp_path, GPU)
    assert report.verdict == "out"
    assert {finding.rule for finding in report.findings} == {"WC571"}
    assert words in report.findings[0].message


def test_correctable_errors(tmp_path: Path) -> None:
    """Correctable errors during a reset are counted and are no finding."""
    host(tmp_path)
    errors = AER.format(word="COR", count=5).encode()
    with kernel(ruined(tmp_path, "aer_dev_correctable", errors)):
        report = clean_card(tmp_path, GPU)
    assert (report.verdict, report.after[0].errors["correctable"]) == ("clean", 5)


def test_refused_reset(tmp_path: Path) -> None:
    """A reset that the kernel refuses makes a card out, with the kernel's reason."""

    def refuse(path: Path) -> None:
        raise OSError(25, "Inappropriate ioctl for device", str(path))

    host(tmp_path)
    with kernel(refuse):
        report = clean_card(tmp_path, GPU)
    assert [report.verdict, report.findings[0].rule] == ["out", "WC571"]
    assert "Inappropriate ioctl" in report.findings[0].message
    assert (gpu(tmp_path) / "config").read_bytes() == config()


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"proc__77__comm": "qemu-system\n", "proc__77__fd__4": "-> /dev/vfio/7"},
         "qemu-system (pid 77) has /dev/vfio/7 open"),
        ({"driver": "nouveau"}, "is on the driver nouveau"),
    ],
)  # fmt: skip
def test_in_use(tmp_path: Path, extra: dict[str, Any], words: str) -> None:
    """WC573: a card that somebody has is not touched."""
    host(tmp_path, PATTERN, **extra)
    before = snapshot(tmp_path, without="run")
    with kernel() as said:
        report = clean_card(tmp_path, GPU)
    assert (report.verdict, said, snapshot(tmp_path, without="run")) == ("busy", [], before)
    assert {finding.rule for finding in report.findings} == {"WC573"}
    assert words in report.findings[0].message


def test_taken_meanwhile(tmp_path: Path) -> None:
    """A card that is taken after the first look at who has it is not reset."""
    host(tmp_path)

    def taken(_: Path) -> None:
        grow(tmp_path, {"proc/77/comm": "qemu\n", "proc/77/fd/4": "-> /dev/vfio/7"})

    with kernel(names=("control",), effect=taken) as said:
        report = clean_card(tmp_path, GPU)
    assert report.verdict == "busy"
    assert not [word for word in said if "reset" in word]


def test_bus_by_bridge(tmp_path: Path) -> None:
    """An H200 is reset with its bus, by the bridge, because FLR keeps state in it."""
    host(tmp_path, ids="10de:2335")
    (tmp_path / f"sys/devices/pci0000:00/{PORT}/reset_subordinate").touch()
    with kernel() as said:
        report = clean_card(tmp_path, GPU)
    assert (report.verdict, report.method) == ("clean", "bus")
    assert [word for word in said if "reset" in word] == [f"{PORT}/reset_subordinate 1"]


def test_killed_anywhere(tmp_path: Path) -> None:
    """A cleaning that is killed before any of its calls is put right by the next one."""
    place = host(tmp_path / "whole", PATTERN, methods="pm flr bus", audio=False)
    with kernel(cleared(place)):
        points = points_of(lambda: clean_card(place, GPU))
    assert "write_config" in points
    for at in range(1, len(points) + 1):
        root = host(tmp_path / str(at), PATTERN, methods="pm flr bus", audio=False)

        def killed(*_: object) -> None:
            raise KeyboardInterrupt

        with kernel(cleared(root)):
            # Nothing after the kill is done either, as with a real one.
            with pytest.raises(KeyboardInterrupt), counted(at, killed, lasting=True):
                clean_card(root, GPU)
            assert clean_card(root, GPU).verdict == "clean"
        assert (gpu(root) / "config").read_bytes() == config()
        assert (gpu(root) / "reset_method").read_text().strip() == "pm flr bus"
        assert (gpu(root) / "power/control").read_text().strip() == "auto"


def test_no_card(tmp_path: Path) -> None:
    """An address without a card is a wrong call that names the cards."""
    host(tmp_path)
    with pytest.raises(UsageError, match="there is no card at") as raised:
        clean_card(tmp_path, "0000:05:00.0")
    assert "0000:01:00" in raised.value.details


def test_json(tmp_path: Path) -> None:
    """The report is JSON, each change with its undo."""
    host(tmp_path, PATTERN)
    with kernel(cleared(tmp_path)):
        data = json.loads(json.dumps(clean_card(tmp_path, GPU).to_json()))
    assert data["functions"] == [GPU, AUDIO]
    assert all(step["undo"] for step in data["steps"])


def test_damaged_undo_file(tmp_path: Path) -> None:
    """A damaged file of former values stops a cleaning before it changes anything."""
    host(tmp_path)
    folder = tmp_path / "run/wholecard"
    folder.mkdir()
    (folder / "clean-card-0000:01:00.json").write_text("{")
    with kernel() as said:
        report = clean_card(tmp_path, GPU)
    assert (report.verdict, said) == ("out", [])
    assert "cannot read" in report.findings[0].message
