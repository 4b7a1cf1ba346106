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
        held = sorted((row for row in rows if row.is_held), key=lambda row: row.address)
        here = _servers_here(case, held) if len(held) > 1 else []
        if len(here) > 1:
            yield _split(case, held, here)


def _servers_here(case: HostCase, held: list[PciDevice]) -> list[str]:
    servers = {row.instance_uuid for row in held if row.instance_uuid}
    return sorted(server for server in servers if case.place(server) is Place.HOME)


def _split(case: HostCase, held: list[PciDevice], here: list[str]) -> Disagreement:
    text = case.cloud.server_text
    parts = "; ".join(f"{row.address} is with {text(row.instance_uuid or '')}" for row in held)
    return case.disagreement(
        "WC518", held[0].address, f"One card is with {len(here)} servers: {parts}.",
        "Delete or move one of the servers. Then give the card as a whole: wholecard nova lint "
        "names flavors that split cards.",
        server=here[0], row=held[0],
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
    yield from _slots(rows.values())


def _slots(rows: Iterable[PciDevice]) -> Iterator[list[PciDevice]]:
    """The rows of each slot, where the host's facts are not known."""
    slots: dict[str, list[PciDevice]] = {}
    for row in rows:
        if row.dev_type in ("type-PCI", "type-PF"):
            slots.setdefault(row.address[:-2], []).append(row)
    yield from slots.values()


def _present(rows: Iterable[PciDevice | None]) -> list[PciDevice]:
    return [row for row in rows if row is not None]
