"""A card's generation, from pci.ids' names and from the table's ranges."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.tree import grow
from wholecard.core import UsageError
from wholecard.guest.drivers.generation import cards_of, generation_of
from wholecard.guest.drivers.known_drivers import GENERATIONS
from wholecard.pci.ids import PciNames

NO_NAMES = "# Without an entry.\n"


def _name(vendor: str, device: str, name: str) -> str | None:
    generation = generation_of(vendor, device, name)
    return generation.name if generation else None


@pytest.mark.parametrize(
    ("device", "name", "generation"),
    [
        ("13f2", "GM204GL [Tesla M60]", "Maxwell"),
        ("15f8", "GP100GL [Tesla P100 PCIe 16GB]", "Pascal"),
        ("1db4", "GV100GL [Tesla V100 PCIe 16GB]", "Volta"),
        ("1eb8", "TU104GL [Tesla T4]", "Turing"),
        ("20b2", "GA100 [A100 SXM4 80GB]", "Ampere"),
        ("2330", "GH100 [H100 SXM5 80GB]", "Hopper"),
        ("2330", "GH100[H100 SXM5 80GB]", "Hopper"),
        ("2342", "GH100 [GH200 120GB / 480GB]", "Grace Hopper"),
        ("26b9", "AD102GL [L40S]", "Ada"),
        ("2901", "GB100 [B200]", "Blackwell"),
        ("2bb5", "GB202GL [RTX PRO 6000 Blackwell Server Edition]", "Blackwell RTX"),
        ("3182", "GB110 [B300 SXM6 AC]", "Blackwell Ultra"),
        ("11b4", "GK104GL [Quadro K4200]", "Kepler"),
    ],
)
def test_by_name_and_by_id(device: str, name: str, generation: str) -> None:
    """The chip's name and, without one, the device id give the same generation."""
    assert _name("10de", device, name) == generation
    assert _name("10de", device, "") == generation


def test_a_name_counts_before_the_table() -> None:
    """A device that came after the table is known by its chip's name alone."""
    assert _name("10de", "4fff", "") is None
    assert _name("10de", "4fff", "AD999 [not made yet]") == "Ada"


def test_an_unknown_chip_is_not_guessed() -> None:
    """A chip that the table does not have has no generation, whatever range its id is in."""
    assert _name("10de", "2330", "GR100 [Rubin]") is None
    assert _name("10de", "3002", "") is None


def test_other_vendors_have_none() -> None:
    """AMD's and Intel's drivers are the kernel's own, for every generation."""
    assert _name("1002", "74a1", "Aqua Vanjaram [Instinct MI300X]") is None


def test_ranges_exclude_each_other() -> None:
    """No device id is in the ranges of two generations, but Grace Hopper's in Hopper's."""
    named = [each for each in GENERATIONS if each.chips]
    spans = sorted((first, last, each.name) for each in named for first, last in each.ids)
    assert [pair for pair in zip(spans, spans[1:], strict=False) if pair[0][1] >= pair[1][0]] == []


def test_each_kind_once(tmp_path: Path) -> None:
    """Cards keep their order, and a kind that is named twice counts once, in any case."""
    root = grow(tmp_path, {"usr/share/misc/pci.ids": "# ids\n10de  NVIDIA\n\t2330  GH100 [H100]\n"})
    cards = cards_of(["10de:2330", "1002:74A1", "10DE:2330"], PciNames(root))
    assert [card.title for card in cards] == ["10de:2330 GH100 [H100], Hopper", "1002:74a1"]


@pytest.mark.parametrize("text", ["2330", "10de:", "10de:2330:1", "10de:23zz", "\x1b[31m:2330", ""])
def test_what_is_no_card(text: str, tmp_path: Path) -> None:
    """Text of another form is refused, and nothing of it commands a terminal."""
    root = grow(tmp_path, {"usr/share/misc/pci.ids": NO_NAMES})
    with pytest.raises(UsageError, match="is not a card's ids") as caught:
        cards_of([text], PciNames(root))
    assert "\x1b" not in str(caught.value)


def test_an_unknown_vendor(tmp_path: Path) -> None:
    """A vendor without a row is named, and so are those that have one."""
    root = grow(tmp_path, {"usr/share/misc/pci.ids": NO_NAMES})
    with pytest.raises(UsageError, match="vendor 1234"):
        cards_of(["1234:1111"], PciNames(root))
    with pytest.raises(UsageError, match="no card is named"):
        cards_of([], PciNames(root))
