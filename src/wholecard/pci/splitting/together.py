"""What cannot go together on one card, and why: one function, and each answer has its source."""

from __future__ import annotations

import re

from wholecard.core.record import dataclass
from wholecard.core.units import joined
from wholecard.pci.splitting import amd, mig, nvswitch
from wholecard.pci.splitting.nvidia import HETEROGENEOUS, NOVA, ONE_PARENT
from wholecard.pci.splitting.record import Software, Source
from wholecard.pci.splitting.registry import find_card, ways_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SRIOV = Source("linux, Documentation/PCI/pci-iov-howto.rst; the PF's sriov_totalvfs", "2026-11-29")

# A type by its ID, which does not say its size: a folder of sysfs, or the number of a VF's type.
_TYPE_ID = re.compile(r"(?:nvidia-)?[0-9]+")


@dataclass(frozen=True)
class Split:
    """What is asked of one card with the ids `card`; what is not asked for stays empty.

    `ways` are of whole, mdev, vfs and mig. `types` are the vGPU types below this card, `vfs` how
    many VFs, `total_vfs` how many the PF can have (None is not known), `geometry` how many of each
    MIG profile. `placement` is whether nova counts PCI devices in Placement, `heterogeneous`
    whether the card is in that mode. `gpus` are the module ids of a board's GPUs for one server.
    """

    card: str
    ways: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    vfs: int = 0
    total_vfs: int | None = None
    geometry: Mapping[str, int] | None = None
    software: Software = Software()
    placement: bool = False
    heterogeneous: bool = False
    gpus: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Conflict:
    """What excludes what, as a finding of the rule with this code."""

    rule: str
    reason: str
    source: Source


def conflicts(split: Split) -> tuple[Conflict, ...]:
    """All that prevents it, in the order of the rules; empty where nothing that is known does."""
    found = [*_between_ways(split), *_between_types(split), *_mig(split), *_too_many(split),
             *_impossible(split), *_board(split)]  # fmt: skip
    return tuple(sorted(found, key=lambda conflict: conflict.rule))


def _between_ways(split: Split) -> Iterator[Conflict]:
    parts = [way for way in split.ways if way != "whole"]
    if "whole" in split.ways and parts:
        reason = (
            f"the card is asked for whole and as {joined(parts)}: nova-compute does not start with "
            "a PF and its VFs in device_spec, and a PF that a guest has cannot be split"
        )
        yield Conflict("WC601", reason, NOVA)
    if {"mdev", "vfs"} <= set(split.ways):
        reason = "a card has either mediated devices or VFs with types: driver and kernel decide"
        yield Conflict("WC601", reason, NOVA)


def _between_types(split: Split) -> Iterator[Conflict]:
    types = sorted(set(split.types))
    if len(types) < 2:
        return
    card = find_card(split.card)
    if "vfs" in split.ways and not split.placement:
        reason = (
            f"{joined(types)} below one card need a resource class each, and nova tells them apart "
            "only with [pci] report_in_placement and [filter_scheduler] pci_in_placement"
        )
        yield Conflict("WC602", reason, NOVA)
    if "mdev" in split.ways and card and card.generation in ONE_PARENT:
        reason = f"{joined(types)} have one parent, and nova accepts an address in one type alone"
        yield Conflict("WC602", reason, NOVA)
    if "mig" not in split.ways and not split.heterogeneous and _of_several_sizes(types):
        reason = f"{joined(types)} have different sizes, and the card is not in heterogeneous mode"
        yield Conflict("WC602", reason, HETEROGENEOUS)


def _of_several_sizes(types: list[str]) -> bool:
    return len({_size(name) for name in types if not _TYPE_ID.fullmatch(name)}) > 1


def _size(name: str) -> str:
    """`12` of `NVIDIA L40S-12Q`: the framebuffer; a name of another form is a size of its own."""
    digits = "".join(filter(str.isdigit, name.rpartition("-")[2]))
    return digits or name


def _mig(split: Split) -> Iterator[Conflict]:
    card = mig.mig_card(split.card)
    if card is None or ("mig" not in split.ways and not split.geometry):
        return
    driver = split.software.driver
    refusal = mig.driver_refusal(card, driver) if driver is not None else ""
    if refusal:
        yield Conflict("WC603", refusal, mig.GUIDE)
    if split.geometry:
        fit = mig.geometry_fits(card, split.geometry, None if refusal else driver)
        if not fit.fits:
            yield Conflict("WC604", fit.reason, card.sources[-1])


def _too_many(split: Split) -> Iterator[Conflict]:
    if split.total_vfs is not None and split.vfs > split.total_vfs:
        reason = f"{split.vfs} VFs are asked for, and the PF has {split.total_vfs}"
        yield Conflict("WC605", reason, _SRIOV)
    model = next((model for model in amd.MODELS if split.card in model.ids), None)
    if model is None or not split.vfs:
        return
    if not any(mode.least <= split.vfs <= mode.most for mode in model.modes):
        counts = joined((mode.count for mode in model.modes), "or")
        reason = f"{model.name} can have {counts} VFs, and {split.vfs} are asked for"
        yield Conflict("WC605", reason, amd.GIM)


def _impossible(split: Split) -> Iterator[Conflict]:
    card = find_card(split.card)
    if card is None:
        return
    for way in ways_of(card, split.software):
        # A driver that is too old for MIG has a rule of its own.
        is_mig = way.name == "mig" and mig.mig_card(split.card) is not None
        if way.name in split.ways and way.state == "no" and not is_mig:
            yield Conflict("WC606", f"{way.name}: {way.reason}", way.sources[0])


def _board(split: Split) -> Iterator[Conflict]:
    board = nvswitch.board_of(split.card)
    if board is None or not split.gpus or nvswitch.partition_of(board.partitions, split.gpus):
        return
    same = (sorted(each.gpus) for each in board.partitions if each.size == len(split.gpus))
    sets = "; ".join(",".join(map(str, gpus)) for gpus in same) or "none"
    asked = ",".join(map(str, sorted(split.gpus)))
    reason = f"GPUs {asked} are no partition of {board.name}; of that number there are: {sets}"
    yield Conflict("WC607", reason, board.source)
