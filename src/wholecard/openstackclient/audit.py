"""`openstack gpu audit`."""

from __future__ import annotations

import argparse
from typing import Any

from osc_lib.command import command

from wholecard.audit.checks.cloud_case import PERIOD
from wholecard.openstackclient.command import GpuCommand, add_facts, add_sources, cell

_COLUMNS = ("rule", "severity", "host", "address", "server", "message", "fix")


class ShowAudit(GpuCommand, command.Lister):
    """List on which cards nova, Placement and the hosts disagree

    Nothing is changed. What could not be read is listed too (WC550): nova's rows of devices need
    --databases, sysfs and libvirt need --facts. Exit status 0 where all was read and agrees, 1
    where something disagrees, 4 where nothing disagrees and not everything was read.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """The options."""
        parser = super().get_parser(prog_name)
        add_sources(parser)
        add_facts(parser)
        wait = parser.add_mutually_exclusive_group()
        wait.add_argument("--wait", metavar="<seconds>", type=float, default=PERIOD,
            help=f"Before the second look where something is in progress, default: {PERIOD:g}",
        )  # fmt: skip
        wait.add_argument("--no-wait", dest="wait", action="store_const", const=None,
            help="List what is in progress as such (WC551)")  # fmt: skip
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Any, Any]:
        """The findings."""
        from wholecard.audit.request import AuditRequest, audit  # noqa: PLC0415

        report = audit(AuditRequest(self.sources(parsed_args), parsed_args.wait), self.watcher())
        self.status = report.exit_status
        rows = report.to_json()["findings"]
        heads = tuple(name.capitalize() for name in _COLUMNS)
        return heads, [tuple(cell(data[name]) for name in _COLUMNS) for data in rows]
