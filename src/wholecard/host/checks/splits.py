"""What is requested of split cards, and cannot be, or is not so now. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wholecard.core import Finding, Severity, UsageError
from wholecard.core.near_names import did_you_mean
from wholecard.host.card_split import CardSplit
from wholecard.host.facts.host import Host
from wholecard.host.facts.offered_slices import MdevType
from wholecard.host.facts.split_state import SplitState
from wholecard.pci.splitting.record import Software, version
from wholecard.pci.splitting.together import Split, conflicts

# The kinds of driver offers nothing: then which types it has is not known.
_NOTHING_LISTED = "none now"


def check_splits(host: Host, splits: Iterable[CardSplit], state: SplitState) -> list[Finding]:
    """What prevents it: WC601 to WC606 by the vendors' tables, WC610 and WC611 by the driver."""
    return [
        finding
        for split in splits
        for check in (_tables, _vf_types, _mdev_types)
        for finding in check(host, split, state)
    ]


def _tables(host: Host, split: CardSplit, state: SplitState) -> Iterator[Finding]:
    pf = state.pf(split.card)
    if not pf.present:
        return
    ways = ("mig", split.through) if split.way == "mig" else (split.way,)
    asked = Split(
        pf.ids, ways, tuple(name for name, _ in split.types), split.vfs, pf.total,
        dict(split.geometry) or None, _software(host), placement=True,
        heterogeneous=split.mixed_sizes,
    )  # fmt: skip
    for conflict in conflicts(asked):
        yield Finding(
            conflict.rule, split.card, Severity.ERROR,
            f"{conflict.reason[:1].upper()}{conflict.reason[1:]}. Source: {conflict.source}.",
            f"wholecard split types --card {pf.ids} shows what the card can do.",
        )  # fmt: skip


def _software(host: Host) -> Software:
    try:
        return Software(kernel=version(host.boot.release, "kernel"))
    except UsageError:
        return Software()


def _vf_types(host: Host, split: CardSplit, state: SplitState) -> Iterator[Finding]:  # noqa: ARG001
    """WC610: a type that the driver never listed, where it has listed any."""
    known = dict(state.known_types)
    if split.parts != "vfs" or not known:
        return
    for name, _ in split.types:
        if name not in known and not (name.isdigit() and int(name) in known.values()):
            yield _unknown(split.card, name, known)


def _mdev_types(host: Host, split: CardSplit, state: SplitState) -> Iterator[Finding]:  # noqa: ARG001
    """WC610 for a type that the parent does not have; WC611 where it has room for fewer."""
    parents = {split.card, *(vf.address for vf in state.pf(split.card).vfs)}
    offered = [row for row in state.offered.mdev_types if row.parent in parents]
    if split.parts != "mdev" or not offered:
        return
    for name, count in split.types:
        rows = [row for row in offered if row.type_id == name]
        if rows:
            yield from _room(split.card, name, count, rows, state)
        else:
            yield _unknown(split.card, name, {row.type_id: row.name for row in offered})


def _room(
    card: str, name: str, count: int, rows: list[MdevType], state: SplitState
) -> Iterator[Finding]:
    """WC611; `rows` are what the parents offer of the type."""
    parents = {row.parent for row in rows}
    existing = sum(
        mdev.active and mdev.type_id == name and mdev.parent in parents for mdev in state.mdevs
    )
    free = sum(row.available or 0 for row in rows)
    known = all(row.available is not None for row in rows)
    if known and existing + free < count:
        yield Finding(
            "WC611", card, Severity.ERROR,
            f"{count} of {name} are requested, and the driver can have {existing + free}: {free} "
            f"more beside the {existing} that exist.",
            "Request fewer, or end devices of other types: what exists takes up room.",
        )  # fmt: skip


def _unknown(card: str, name: str, known: dict[str, int] | dict[str, str]) -> Finding:
    listed = ", ".join(f"{key} ({value})" for key, value in sorted(known.items()))
    return Finding(
        "WC610", card, Severity.ERROR,
        f"{card} has no type {name!r}. The driver offers: {listed or _NOTHING_LISTED}.",
        did_you_mean(name, known) or "Name one of these.",
    )  # fmt: skip
