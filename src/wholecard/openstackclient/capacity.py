"""`openstack gpu capacity`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from osc_lib.command import command

from wholecard.openstackclient.command import (
    GpuCommand,
    Lines,
    add_files,
    add_sources,
    cell,
    files_of,
)

if TYPE_CHECKING:
    from wholecard.capacity.answer import Capacity

Rows = tuple[tuple[str, ...], list[tuple[Any, ...]]]


class ShowCapacity(GpuCommand, command.Lister):
    """List which cards and slices can still be given

    By type of card, by host and NUMA node, or by flavor: how many more servers of it fit. Aliases
    are in nova's files only: without --conf api=<path> or --site, a flavor that has one is not
    counted. Exit status 1 where a flavor gets no device, 4 where no flavor could be counted.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """The options."""
        parser = super().get_parser(prog_name)
        parser.add_argument("--by", choices=tuple(_ROWS), default="type",
            help="What a row is, default: type")  # fmt: skip
        add_sources(parser)
        add_files(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Rows:
        """The rows of one of the three tables; findings are logged as warnings."""
        from wholecard.capacity.request import CapacityRequest, capacity  # noqa: PLC0415
        from wholecard.core.finding import UNDECIDED, exit_status  # noqa: PLC0415

        request = CapacityRequest(self.sources(parsed_args), files_of(parsed_args))
        answer = capacity(request, self.watcher())
        for finding in answer.findings:
            self.log.warning(
                "%s %s: %s", finding.rule, cell(finding.subject), cell(finding.message)
            )
        self.status = exit_status(answer.findings) or UNDECIDED * answer.undecided
        return _ROWS[parsed_args.by](answer.today)


def _by_type(today: Capacity) -> Rows:
    columns = ("Resource Class", "Traits", "Total", "Given", "Reserved", "Free", "Stranded")
    return columns, [
        (cell(units.resource_class), Lines(list(units.traits)), units.total, units.given,
         units.reserved, units.free, units.stranded)
        for units in today.types
    ]  # fmt: skip


def _by_host(today: Capacity) -> Rows:
    columns = ("Host", "Resource Class", "NUMA Node", "Total", "Given", "Reserved", "Free",
               "Host Closed")  # fmt: skip
    return columns, [
        (cell(host.host), cell(units.resource_class), units.numa_node, units.total, units.given,
         units.reserved, units.free, cell(host.closed))
        for host in today.hosts
        for units in host.units
    ]  # fmt: skip


def _by_flavor(today: Capacity) -> Rows:
    columns = ("Flavor", "Cards", "Fit", "Exact", "Of Empty", "Strands", "Not Counted")
    return columns, [
        (cell(flavor.flavor), *_counted(flavor), cell(flavor.unknown)) for flavor in today.flavors
    ]


def _counted(flavor: Any) -> tuple[Any, ...]:
    if flavor.unknown:
        return (None,) * 5
    return flavor.units, flavor.fits, flavor.exact, flavor.empty, flavor.strands


_ROWS = {"type": _by_type, "host": _by_host, "flavor": _by_flavor}
