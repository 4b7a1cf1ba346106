"""The answer of `split types`: what the tables say of cards, and what a host's sysfs shows."""

from __future__ import annotations

from wholecard.core.json_text import plain_value
from wholecard.core.record import dataclass, replace
from wholecard.host.facts.offered_slices import OfferedSlices
from wholecard.pci import is_bmc_display
from wholecard.pci.splitting import mig, nvswitch
from wholecard.pci.splitting.record import CardKind, Software, Way, version
from wholecard.pci.splitting.registry import AS_OF, find_card, known_cards, ways_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wholecard.host.facts.host import Host
    from wholecard.host.facts.offered_slices import MdevType, TypedVf
    from wholecard.pci import Function

NO_INVENTORY = (
    "creatable_vgpu_types is no inventory: it shrinks while VFs are in use, also to none."
)
NO_TYPES = "The file is too old to have vGPU types: write it again (wholecard-host inspect --json)."


@dataclass(frozen=True)
class Shown:
    """What sysfs shows of one card of a host; of vGPU types nothing where facts have none."""

    address: str
    driver: str
    total_vfs: int
    vfs: int
    mdev_types: tuple[MdevType, ...]
    typed_vfs: tuple[TypedVf, ...]


@dataclass(frozen=True)
class CardTypes:
    """A card, its ways, and what a host shows of it; `ways` are empty for one in no table."""

    card: CardKind
    ways: tuple[Way, ...]
    shown: tuple[Shown, ...] = ()

    @property
    def mig_card(self) -> mig.MigCard | None:
        """Its row of MIG's table."""
        return mig.mig_card(self.card.ids[0])

    @property
    def board(self) -> nvswitch.Board | None:
        """The board on which such GPUs are."""
        return nvswitch.board_of(self.card.ids[0])

    def to_json(self) -> dict[str, Any]:
        """The fields by their names, with MIG's profiles and the board's partitions."""
        profiles = self.mig_card.profiles if self.mig_card else ()
        partitions = self.board.partitions if self.board else ()
        return {
            **plain_value(self),
            "mig_profiles": {profile.name: profile.most for profile in profiles},
            "partitions": {str(each.number): sorted(each.gpus) for each in partitions},
        }


@dataclass(frozen=True)
class SplitTypes:
    """`other_parents` are parents of mediated devices that are no card of the list (mtty)."""

    cards: tuple[CardTypes, ...]
    other_parents: tuple[MdevType, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The whole answer; `run_on_hardware` is False for all of it."""
        return {
            "as_of": AS_OF,
            "run_on_hardware": False,
            "cards": [row.to_json() for row in self.cards],
            "other_parents": plain_value(self.other_parents),
            "notes": list(self.notes),
        }


def of_cards(cards: tuple[CardKind, ...], software: Software) -> SplitTypes:
    """What the tables say of these cards, or of all where none are named."""
    rows = (CardTypes(card, ways_of(card, software)) for card in cards or known_cards())
    return SplitTypes(tuple(rows))


def of_host(host: Host, software: Software) -> SplitTypes:
    """The same for each kind of card of a host, with its own kernel where none is given."""
    if software.kernel is None and host.boot.release:
        software = replace(software, kernel=version(host.boot.release, "kernel"))
    slices, offered = host.slices, host.slices or OfferedSlices()
    rows: dict[str, CardTypes] = {}
    parents: set[str] = set()
    for function in _gpus(host):
        vfs = (vf for vf in host.functions if vf.physfn == function.address)
        own = {str(each.address) for each in (function, *vfs)}
        parents |= own
        row = rows.get(function.ids) or _row(function, software)
        rows[function.ids] = replace(row, shown=(*row.shown, _shown(function, own, offered)))
    others = tuple(row for row in offered.mdev_types if row.parent not in parents)
    notes = (NO_TYPES,) if slices is None else (NO_INVENTORY,) if slices.typed_vfs else ()
    return SplitTypes(tuple(rows.values()), others, notes)


def _gpus(host: Host) -> list[Function]:
    displays = (each for each in host.functions if each.is_display and each.physfn is None)
    return [function for function in displays if not is_bmc_display(function)]


def _row(function: Function, software: Software) -> CardTypes:
    card = find_card(function.ids)
    if card is None:
        return CardTypes(CardKind(function.device_name, (function.ids,)), ())
    return CardTypes(card, ways_of(card, software))


def _shown(function: Function, own: set[str], offered: OfferedSlices) -> Shown:
    return Shown(
        str(function.address), function.driver or "", function.sriov_total, function.sriov_vfs,
        tuple(row for row in offered.mdev_types if row.parent in own),
        tuple(row for row in offered.typed_vfs if row.address in own),
    )  # fmt: skip
