"""`wholecard card list`: the cards of a cloud, what each is now, and which server has it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from wholecard.cli import options
from wholecard.cli.audit import Databases, Hosts

if TYPE_CHECKING:
    from wholecard.capacity.cards import ListedCard

_HEAD = ("HOST", "CARD", "TYPE", "STATE", "SERVER")


def list_command(
    cloud: options.CloudName = "",
    clouds_file: options.CloudsFile = None,
    databases: Databases = None,
    host: Hosts = None,
    state: Annotated[list[str] | None, typer.Option("--state", metavar="STATE", help="Only cards "
        "in this state: given, dirty, reserved or free; may be repeated.")] = None,
    format_name: options.Format = "table",
    columns: options.Columns = None,
    as_json: options.Json = False,
) -> None:  # fmt: skip
    """List the cards that Placement and nova have, with their state and their servers.

    A card is given (a server has it), dirty (used once and not cleaned), reserved, or free.

      wholecard card list --cloud CLOUD
      wholecard card list --cloud CLOUD --state free -f csv -c host -c card

    The same as openstackclient's command: openstack gpu card list
    """
    from wholecard.audit.views.databases_file import default_file
    from wholecard.audit.views.open_views import AuditSources
    from wholecard.capacity.cards import list_cards
    from wholecard.cli.audit_progress import progress

    databases = databases or default_file()
    cloud = options.chosen_cloud(cloud, clouds_file) if cloud or databases is None else ""
    sources = AuditSources(cloud, clouds_file, databases, tuple(host) if host else None)
    with progress() as watcher:
        cards = list_cards(sources, watcher, state or ())
    options.show(_text(cards), {"cards": [card.to_json() for card in cards]}, "cards",
                 as_json=as_json, format_name=format_name, columns=columns)  # fmt: skip


def _text(cards: Sequence[ListedCard]) -> str:
    """A line for each card, traits below it; then how many are what, and the closed hosts."""
    from wholecard.core.report_text import table
    from wholecard.core.units import counted

    if not cards:
        return "No cards were found."
    lines = [line for card in cards for line in _lines(card)]
    counts = Counter(card.state.value for card in cards)
    states = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    closed = dict.fromkeys(f"{card.host}: {card.closed}." for card in cards if card.closed)
    total = f"{counted(len(cards), 'card')}: {states}."
    return "\n".join([table(_HEAD, lines), "", total, *closed])


def _lines(card: ListedCard) -> Iterator[list[str]]:
    units, state = card.units, card.state.value
    if units.total > 1:
        state = f"{state} {units.given}/{units.total}"
    names = ", ".join(server.name or server.id for server in card.servers) or "-"
    yield [card.host, units.name, units.kind.resource_class, state, names]
    yield from (["", "", f"  {trait}", "", ""] for trait in card.traits)
