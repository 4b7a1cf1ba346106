"""The answer of `split types` for people: a table of ways for each card, and what they need."""

from __future__ import annotations

from collections.abc import Iterator

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from wholecard.host.facts.split_types import CardTypes, Shown, SplitTypes
from wholecard.pci.splitting.registry import AS_OF

_STYLES = {"yes": "green", "no": "dim", "depends": "yellow", "not known": "yellow"}
_NOTE = f"As of {AS_OF}; the vendors' tables, not run on hardware."

Block = Text | Table | Padding


def blocks(report: SplitTypes, whole_list: bool = False) -> Iterator[Block]:
    """The list of all cards, or each card with its details; the notes at the end."""
    if whole_list:
        yield _overview(report)
    else:
        for row in report.cards:
            yield from _card(row)
    if not report.cards:
        yield Text("No GPU and no other accelerator.")
    for parent in report.other_parents:
        yield Text(str(parent))
    for note in (*report.notes, _NOTE):
        yield Text(note, "dim")


def _overview(report: SplitTypes) -> Table:
    table = _table("card", "ids", "mdev", "VFs", "MIG")
    for row in report.cards:
        devices = " ".join(ids.partition(":")[2] for ids in row.card.ids)
        states = [Text(way.state, _STYLES[way.state]) for way in row.ways[1:]]
        table.add_row(row.card.name, f"{row.card.ids[0][:5]}{devices}", *states)
    return table


def _card(row: CardTypes) -> Iterator[Block]:
    yield Text(f"{row.card.name or 'A card'}  {' '.join(row.card.ids)}", "bold")
    if not row.ways:
        yield Text("  No table has it: it can be given whole.")
    else:
        table = _table("way", "possible", "parts", "why")
        for way in row.ways:
            state = Text(way.state, _STYLES[way.state])
            table.add_row(way.name, state, way.count or "-", way.reason or f"by {way.through}")
        yield Padding(table, (0, 0, 0, 2))
    for shown in row.shown:
        yield from _shown(shown)
    yield from _details(row)
    yield Text()


def _details(row: CardTypes) -> Iterator[Block]:
    if row.mig_card and row.mig_card.profiles:
        profiles = ", ".join(f"{each.name} {each.most}" for each in row.mig_card.profiles)
        yield Padding(Text(f"MIG profiles, and how many at most: {profiles}"), (0, 0, 0, 2))
    if row.board:
        sets = "; ".join(",".join(map(str, sorted(each.gpus))) for each in row.board.partitions)
        text = f"Fabric Manager's partitions of {row.board.name}, by module id: {sets}"
        yield Padding(Text(text), (0, 0, 0, 2))
    for way in row.ways:
        if way.needs:
            yield Text(f"  {way.name}:", "bold")
        for need in way.needs:
            yield Padding(Text(need), (0, 0, 0, 4))
    sources = dict.fromkeys(str(source) for way in row.ways for source in way.sources)
    if sources:
        yield Text("  Sources:", "bold dim")
    for source in sources:
        yield Padding(Text(source, "dim"), (0, 0, 0, 4))


def _shown(shown: Shown) -> Iterator[Block]:
    vfs = f"{shown.vfs} of {shown.total_vfs} VFs" if shown.total_vfs else "no SR-IOV"
    yield Text(f"  {shown.address}: driver {shown.driver or 'none'}, {vfs}", "cyan")
    for row in shown.mdev_types:
        yield Padding(Text(str(row)), (0, 0, 0, 4))
    for vf in shown.typed_vfs:
        creatable = ", ".join(f"{number} {name}" for number, name in vf.creatable) or "none"
        current = "not known" if vf.current is None else vf.current or "none"
        text = f"{vf.address}: type {current}; can be made now: {creatable}"
        yield Padding(Text(text), (0, 0, 0, 4))


def _table(*heads: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for head in heads:
        table.add_column(head, overflow="fold", no_wrap=head in ("way", "possible"))
    return table
