"""The whole card or nothing: the functions of one card belong to one server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wholecard.audit.checks.cloud_case import Place
from wholecard.audit.checks.host_case import HostCase, address_of
from wholecard.audit.record import Disagreement, PciDevice


def split(case: HostCase) -> Iterator[Disagreement]:
    """Each card whose functions nova gives to more than one server."""
    if case.rows is None:
        return
    for rows in _cards(case):
        holders = {row.instance_uuid for row in rows if row.is_held and row.instance_uuid}
        if len(holders) < 2:
            continue
        here = sorted(holder for holder in holders if case.place(holder) is Place.HOME)
        if len(here) < 2:
            continue
        first = min(rows, key=lambda row: row.address)
        parts = "; ".join(
            f"{row.address} is with {case.cloud.server_text(row.instance_uuid or '')}"
            for row in sorted(rows, key=lambda row: row.address) if row.is_held
        )  # fmt: skip
        yield case.disagreement(
            "WC518", first.address, f"One card is with {len(here)} servers: {parts}.",
            "Delete or move one of the servers. Then give the card as a whole: wholecard nova "
            "lint names flavors that split cards.",
            server=here[0], row=first,
            pending=next(filter(None, (case.cloud.activity(holder) for holder in here)), ""),
        )  # fmt: skip


def _cards(case: HostCase) -> Iterator[list[PciDevice]]:
    """nova's rows of each card that has more than one; VFs belong to whoever asked for them."""
    rows = case.rows or {}
    if case.host.sysfs is not None:
        for card in case.host.sysfs.cards:
            if len(card.functions) > 1:
                yield _present(rows.get(address_of(function)) for function in card.functions)
        return
    slots: dict[str, list[PciDevice]] = {}
    for row in rows.values():
        if row.is_held and row.dev_type in ("type-PCI", "type-PF"):
            slots.setdefault(row.address[:-2], []).append(row)
    yield from (some for some in slots.values() if len(some) > 1)


def _present(rows: Iterable[PciDevice | None]) -> list[PciDevice]:
    return [row for row in rows if row is not None]
