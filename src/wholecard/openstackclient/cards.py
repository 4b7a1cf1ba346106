"""`openstack gpu card list`."""

from __future__ import annotations

import argparse
from typing import Any

from osc_lib.command import command

from wholecard.cloud.placement.card_state import CardState
from wholecard.openstackclient.command import GpuCommand, add_sources, row

_COLUMNS = {
    "Host": "host", "Card": "card", "Resource Class": "resource_class", "Traits": "traits",
    "State": "state", "Servers": "servers",
}  # fmt: skip
_LONG = {
    "Server Names": "server_names", "Projects": "projects", "NUMA Node": "numa_node",
    "Total": "total", "Given": "given", "Reserved": "reserved", "Free": "free",
    "Host Closed": "closed",
}  # fmt: skip

_STATES = (CardState.GIVEN, CardState.DIRTY, CardState.RESERVED, CardState.FREE)


class ListCard(GpuCommand, command.Lister):
    """List the cards that Placement and nova have, with their state and their servers

    A card is given (a server has it), dirty (used once and not cleaned), reserved, or free.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """The options."""
        parser = super().get_parser(prog_name)
        parser.add_argument("--state", metavar="<state>", action="append", default=[],
            choices=[state.value for state in _STATES],
            help="Only cards in this state: given, dirty, reserved or free (repeat option for "
            "more)")  # fmt: skip
        parser.add_argument("--long", action="store_true",
            help="List additional fields: names of servers, projects, NUMA nodes, amounts, and "
            "why nova gives nothing on a host")  # fmt: skip
        add_sources(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Any, Any]:
        """The rows, by host and address."""
        from wholecard.capacity.cards import list_cards  # noqa: PLC0415

        cards = list_cards(self.sources(parsed_args), self.watcher(), parsed_args.state)
        columns = {**_COLUMNS, **(_LONG if parsed_args.long else {})}
        rows = (card.to_json() for card in cards)
        return tuple(columns), [row([data[key] for key in columns.values()]) for data in rows]
