"""The vendors' ways: which are possible with which driver and kernel, and why not."""

from __future__ import annotations

import re

import pytest

from wholecard.core import UsageError
from wholecard.pci.splitting.record import Software, version
from wholecard.pci.splitting.registry import card_named, find_card, known_cards, ways_of

YES, NO, DEPENDS, UNKNOWN = "yes", "no", "depends", "not known"


def _states(ids: str, driver: str = "", kernel: str = "") -> tuple[str, ...]:
    software = Software(version(driver) if driver else None, version(kernel) if kernel else None)
    return tuple(way.state for way in ways_of(card_named(ids), software))


@pytest.mark.parametrize(
    ("ids", "driver", "kernel", "states"),
    [
        # L40S: VFs with types from vGPU 17 and kernel 6.8 on, mdev before.
        ("10de:26b9", "", "", (YES, DEPENDS, DEPENDS, NO)),
        ("10de:26b9", "580.159.01", "6.8.0-45-generic", (YES, NO, YES, NO)),
        ("10de:26b9", "535.216.01", "5.15.0", (YES, YES, NO, NO)),
        ("10de:26b9", "535.216.01", "6.8", (YES, NO, NO, NO)),
        # With vGPU 17 on an older kernel sources differ for Ada and later, not for Ampere.
        ("10de:26b9", "550.90.05", "5.14.0", (YES, DEPENDS, DEPENDS, NO)),
        ("10de:2235", "550.90.05", "5.14.0", (YES, YES, NO, NO)),
        ("10de:2235", "", "6.12", (YES, NO, DEPENDS, NO)),
        # No SR-IOV before Ampere, and no mdev on kernel 6.8.
        ("10de:1eb8", "550.90.05", "5.14.0", (YES, YES, NO, NO)),
        ("10de:1eb8", "550.90.05", "6.12.0", (YES, NO, NO, NO)),
        # MIG by its minimum driver.
        ("10de:2330", "525.85.12", "5.14", (YES, YES, NO, YES)),
        ("10de:2330", "525.60.13", "5.14", (YES, YES, NO, NO)),
        ("10de:2901", "570.133.20", "6.8", (YES, UNKNOWN, UNKNOWN, YES)),
        # AMD by GIM's release and the kernels that AMD tries.
        ("1002:74a1", "", "", (YES, NO, DEPENDS, NO)),
        ("1002:74a1", "9.4.0", "6.14.0", (YES, NO, YES, NO)),
        ("1002:74a1", "9.4.0", "6.17.0", (YES, NO, DEPENDS, NO)),
        ("1002:74a1", "9.2.0", "7.0", (YES, NO, DEPENDS, NO)),
        ("1002:75a8", "9.3.0", "6.14", (YES, NO, NO, NO)),
        # Intel by the driver and the kernel.
        ("8086:e212", "", "6.19.4", (YES, NO, YES, NO)),
        ("8086:e212", "", "6.12", (YES, NO, DEPENDS, NO)),
        ("8086:56c0", "", "6.19", (YES, NO, DEPENDS, NO)),
        ("8086:5912", "", "6.1", (YES, DEPENDS, NO, NO)),
    ],
)
def test_states(ids: str, driver: str, kernel: str, states: tuple[str, ...]) -> None:
    """Whole, mdev, VFs and MIG of a card with this driver and kernel."""
    assert _states(ids, driver, kernel) == states


@pytest.mark.parametrize("card", known_cards(), ids=lambda card: card.name)
def test_every_way_has_reason_and_source(card: object) -> None:
    """Each answer says why, needs are sentences, and each source has the day it was read."""
    for way in ways_of(card):  # type: ignore[arg-type]
        assert way.reason or way.name == "whole"
        assert way.sources
        assert all(re.fullmatch(r"2026-1[12]-\d\d", source.read) for source in way.sources)
        assert all(need.endswith(".") for need in way.needs)
        assert way.state != NO or not way.needs


def test_vfs_of_mi300x() -> None:
    """One VF or eight, each with its modes; eight only since GIM 8.5."""
    card = card_named("1002:74a1")
    new, old = (ways_of(card, Software(driver))[2].count for driver in ((9, 4), (8, 4)))
    assert (new, old) == ("1 (SPX NPS1) or 8 (CPX NPS4)", "1 (SPX NPS1)")


def test_whole_has_what_the_model_needs() -> None:
    """The variant driver of Grace, the reset that MI300X does not survive, an HGX board's sets."""
    grace, amd, board, pcie = (
        " ".join(ways_of(card_named(ids))[0].needs)
        for ids in ("10de:2342", "1002:74a1", "10de:2330", "10de:2331")
    )
    assert "nvgrace_gpu_vfio_pci" in grace
    assert "reads as all ones after a reset" in amd
    assert "must be a partition of Fabric Manager (8, 4, 2, 1 GPUs)" in board
    assert "Fabric Manager" not in pcie


def test_unknown_cards() -> None:
    """A card in no table is an error that lists those of its vendor; other words are no ids."""
    with pytest.raises(UsageError) as caught:
        card_named("1002:1234")
    assert "Instinct MI300X: 1002:74a1" in caught.value.details
    assert "10de" not in caught.value.details
    with pytest.raises(UsageError) as caught:
        card_named("9999:0001")
    assert "H200, H200 NVL: 10de:2335 10de:233b" in caught.value.details
    with pytest.raises(UsageError, match="'2330' is not a card's ids"):
        card_named("2330")
    assert find_card("10de:ffff") is None
    assert card_named(" 10DE:233B ").ids == ("10de:233b",)


def test_ids_are_of_one_card() -> None:
    """No id is in two rows of any table, and all are written alike."""
    ids = [each for card in known_cards() for each in card.ids]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"[0-9a-f]{4}:[0-9a-f]{4}", each) for each in ids)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("6.8.0-45-generic", (6, 8, 0)),
        ("6.12.118+deb13-amd64", (6, 12, 118)),
        ("5.14.0-427.el9", (5, 14, 0)),
        ("580.159.01", (580, 159, 1)),
        ("9.4.0.K", (9, 4, 0)),
        ("7", (7,)),
    ],
)
def test_versions(text: str, numbers: tuple[int, ...]) -> None:
    """A version's leading numbers, as kernels and drivers write them."""
    assert version(text) == numbers


@pytest.mark.parametrize("text", ["", "R580", "v6.8", "1" * 20, "6.8\n7", "6,8"])
def test_no_versions(text: str) -> None:
    """Anything else is an error that names it."""
    with pytest.raises(UsageError, match="does not begin with a version"):
        version(text, "--kernel")
