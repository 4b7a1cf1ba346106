"""What an operator decides about a card that the hand-over has, or shall not have."""

from __future__ import annotations

from dataclasses import replace

from openstack.connection import Connection

from wholecard.core import UsageError
from wholecard.handover.record import CardRecord, CardState
from wholecard.handover.reserved_cards import CardProvider, one_time_use_cards
from wholecard.handover.store import Store


def clean_again(store: Store, host: str, address: str) -> CardRecord:
    """A card that is not cleared, out or kept is cleaned at the next look. The store is held.

    Raises UsageError where the hand-over has no such card.
    """
    record = store.card(host, address)
    if record is None:
        known = ", ".join(card.name for card in store.cards()) or "none"
        raise UsageError(
            f"the hand-over has no card {host} {address}",
            f"Its cards: {known}",
            "See wholecard handover status.",
        )
    return store.put(replace(record, state=CardState.WAITING, rule="", reason="", fix="", tries=0))


def keep_out(conn: Connection, store: Store, host: str, address: str, reason: str) -> CardRecord:
    """A card is not cleaned and not given back after its present or next use. The store is held.

    It does not take the card from a server, and does not reserve one that is free.
    Raises UsageError where Placement has no such one-time-use card.
    """
    provider = _provider(conn, host, address)
    return store.put(
        CardRecord(
            host,
            address,
            provider.uuid,
            CardState.KEPT,
            rule="WC576",
            reason=reason,
            fix=f"wholecard handover retry {host} {address}",
        )
    )


def _provider(conn: Connection, host: str, address: str) -> CardProvider:
    for provider in one_time_use_cards(conn):
        if (provider.host, provider.address) == (host, address):
            return provider
    raise UsageError(
        f"Placement has no one-time-use card {host} {address}",
        resolution="Write the hypervisor's host name and the address: gpu-01 0000:88:00.0",
    )
