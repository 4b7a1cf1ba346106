"""Which generation of GPUs a card is: by its chip's name in pci.ids, else by its device id.

pci.ids begins a GPU's name with its chip (`GH100 [H100 PCIe]`), so a card that came after the table
is known as soon as the machine's pci.ids has it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from wholecard.core import UsageError
from wholecard.core.plain_text import plain
from wholecard.guest.drivers.known_drivers import AMD, GENERATIONS, INTEL, NVIDIA
from wholecard.guest.drivers.records import Generation
from wholecard.pci.ids import PciNames

VENDORS = {NVIDIA: "NVIDIA", AMD: "AMD", INTEL: "Intel"}
_IDS = re.compile(r"([0-9a-f]{4}):([0-9a-f]{4})", re.IGNORECASE)
_CHIP = re.compile(r"G[A-Z][0-9A-F]{3}|AD[0-9]{3}|TU[0-9]{3}")


@dataclass(frozen=True)
class Card:
    """A card by its ids (`10de:2330`), its name in pci.ids (may be empty), and its generation.

    `generation` is None where the table does not know it, and for vendors other than NVIDIA, whose
    drivers are the kernel's own.
    """

    ids: str
    name: str
    generation: Generation | None

    @property
    def vendor(self) -> str:
        """The vendor's id."""
        return self.ids[:4]

    @property
    def title(self) -> str:
        """`10de:2330 GH100 [H100 SXM5 80GB], Hopper`."""
        words = f"{self.ids} {self.name}".strip()
        return f"{words}, {self.generation.name}" if self.generation else words


def cards_of(texts: Iterable[str], names: PciNames) -> tuple[Card, ...]:
    """The cards of `vendor:device` texts, each kind once, in their order.

    Raises UsageError for a text of another form, for a vendor without a row in the table and for
    none at all.
    """
    cards: dict[str, Card] = {}
    for text in texts:
        match = _IDS.fullmatch(text.strip())
        if match is None:
            raise UsageError(
                f"{plain(text[:80])!r} is not a card's ids",
                resolution="Write vendor:device as `lspci -nn` prints it: --card 10de:2330.",
            )
        vendor, device = match[1].lower(), match[2].lower()
        if vendor not in VENDORS:
            raise UsageError(
                f"no driver is known for cards of the vendor {vendor}",
                resolution="Known are 10de (NVIDIA), 1002 (AMD) and 8086 (Intel).",
            )
        name = names.device(vendor, device)
        cards[f"{vendor}:{device}"] = Card(
            f"{vendor}:{device}", name, generation_of(vendor, device, name)
        )
    if not cards:
        raise UsageError("no card is named", resolution="Name each kind: --card 10de:2330.")
    return tuple(cards.values())


def generation_of(vendor: str, device: str, name: str) -> Generation | None:
    """The generation by ids of its own, then by the chip at the name's beginning, then by range."""
    if vendor != NVIDIA:
        return None
    number = int(device, 16)
    # Grace Hopper has Hopper's chip: only its ids tell it.
    for generation in GENERATIONS:
        if not generation.chips and _in_ranges(generation, number):
            return generation
    chip = _CHIP.match(name)
    if chip:
        return _of_chip(chip[0])
    return next((each for each in GENERATIONS if _in_ranges(each, number)), None)


def _of_chip(chip: str) -> Generation | None:
    """The generation with the longest beginning of the chip's name."""
    known = [
        (len(start), position)
        for position, generation in enumerate(GENERATIONS)
        for start in generation.chips
        if chip.startswith(start)
    ]
    return GENERATIONS[max(known)[1]] if known else None


def _in_ranges(generation: Generation, number: int) -> bool:
    return any(first <= number <= last for first, last in generation.ids)
