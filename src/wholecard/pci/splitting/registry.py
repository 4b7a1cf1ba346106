"""All vendors: which cards are known, and in which ways one can be split."""

from __future__ import annotations

import re

from wholecard.core.errors import UsageError
from wholecard.core.record import replace
from wholecard.pci.known_models import RESET_BUGS
from wholecard.pci.splitting import amd, intel, nvidia, nvswitch
from wholecard.pci.splitting.record import Software, Source, Way
from wholecard.pci.vfio_drivers import NEEDS_VARIANT, VFIO_PCI, driver_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wholecard.pci.splitting.record import CardKind

# A vendor is a module with `VENDOR`, `CARDS` and `ways`.
VENDORS = (nvidia, amd, intel)
# The day of the newest row; each row has its own.
AS_OF = "2026-11-30"

_ANY = Software()
_IDS = re.compile(r"[0-9a-f]{4}:[0-9a-f]{4}")
_WHOLE = Source("linux, drivers/vfio/pci", AS_OF)


def known_cards() -> tuple[CardKind, ...]:
    """Every card of the tables, by vendor."""
    return tuple(card for vendor in VENDORS for card in vendor.CARDS)


def find_card(ids: str) -> CardKind | None:
    """The card with these ids, and no other ids; None where no table has it."""
    card = next((card for card in known_cards() if ids in card.ids), None)
    return None if card is None else replace(card, ids=(ids,))


def has_sriov(card: CardKind) -> bool:
    """Whether it is sold with SR-IOV (NVIDIA's vGPU guide, "GPUs that support SR-IOV"; GIM)."""
    return card.ids[0].startswith(amd.VENDOR) or card.generation in nvidia.SRIOV


def card_named(text: str) -> CardKind:
    """The card with the ids that a person wrote. Raises UsageError, which lists those known."""
    ids = text.strip().lower()
    if not _IDS.fullmatch(ids):
        resolution = "Write vendor:device as lspci -nn prints them: 10de:2330"
        raise UsageError(f"{text[:40]!r} is not a card's ids", resolution=resolution)
    card = find_card(ids)
    if card is not None:
        return card
    same = [known for known in known_cards() if known.ids[0][:4] == ids[:4]]
    lines = [f"{known.name}: {' '.join(known.ids)}" for known in same or known_cards()]
    raise UsageError(
        f"no table has the card {ids}",
        "\n".join(["Known are:", *lines]),
        "Name one of these, or give the card whole: every card can be.",
    )


def ways_of(card: CardKind, software: Software = _ANY) -> tuple[Way, ...]:
    """The four ways, in the order whole, mdev, VFs, MIG."""
    vendor = next(vendor for vendor in VENDORS if card.ids[0].startswith(vendor.VENDOR))
    return (_whole(card), *vendor.ways(card, software))


def _whole(card: CardKind) -> Way:
    """Any card can be given whole; what a model needs for it is known elsewhere and quoted."""
    drivers = sorted({driver_of(NEEDS_VARIANT.get(ids, VFIO_PCI)) for ids in card.ids})
    needs = [f"The card on {' or '.join(drivers)}; in nova an alias, type-PF for one with SR-IOV."]
    needs += [f"{bug.name}: {bug.effect}" for bug in RESET_BUGS if bug.ids & set(card.ids)]
    board = next(filter(None, map(nvswitch.board_of, card.ids)), None)
    sources = [_WHOLE]
    if board is not None:
        sizes = sorted({partition.size for partition in board.partitions}, reverse=True)
        needs.append(
            f"On the board {board.name} several for one server must be a partition of Fabric "
            f"Manager ({', '.join(map(str, sizes))} GPUs)."
        )
        sources.append(board.source)
    return Way("whole", "yes", "", "VFIO", "1", tuple(needs), tuple(sources))
