"""`openstack gpu explain`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from osc_lib.command import command

from wholecard.core import UsageError
from wholecard.openstackclient.command import (
    GpuCommand,
    Texts,
    add_files,
    cell,
    files_of,
    name_of,
)

if TYPE_CHECKING:
    from wholecard.explain.explain import Explanation


class ExplainServer(GpuCommand, command.ShowOne):
    """Explain why a server with cards finds no host: the first check that fails, and its fix

    Name a server that failed, or a flavor. Exit status 0 where a host can run it, 1 where a cause
    was found, 4 where too little is known.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """The options."""
        parser = super().get_parser(prog_name)
        parser.add_argument("server", metavar="<server>", nargs="?", default="",
            help="Server that failed (name or ID)")  # fmt: skip
        parser.add_argument("--flavor", metavar="<flavor>", default="",
            help="The flavor; with a server the new flavor of a failed resize")  # fmt: skip
        parser.add_argument("--image", metavar="<image>", default="", help="Image (name or ID)")
        parser.add_argument("--host", metavar="<host>", action="append", default=[],
            help="Only this hypervisor host (repeat option for more)")  # fmt: skip
        parser.add_argument("--availability-zone", metavar="<zone>", default="",
            help="The requested availability zone")  # fmt: skip
        add_files(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Any, Any]:
        """The answer, its findings and each host's answer."""
        from wholecard.core.finding import UNDECIDED, exit_status  # noqa: PLC0415
        from wholecard.explain.evidence.selector import Changes, ServerSelector  # noqa: PLC0415
        from wholecard.explain.request import ExplainRequest, explain_server  # noqa: PLC0415

        args = parsed_args
        if not (args.server or args.flavor):
            resolution = "Write: openstack gpu explain SERVER, or --flavor FLAVOR."
            raise UsageError("explain needs a server or a flavor", resolution=resolution)
        selector = ServerSelector(args.flavor, args.server, args.image, tuple(args.host),
                                  Changes(zone=args.availability_zone))  # fmt: skip
        conn = self.connection()
        request = ExplainRequest(selector, files_of(args), name_of(conn), conn=conn)
        explanation = explain_server(request)
        self.status = (UNDECIDED if explanation.undecided
                       else exit_status(explanation.findings))  # fmt: skip
        return _fields(explanation)


def _fields(explanation: Explanation) -> tuple[tuple[str, ...], tuple[Any, ...]]:
    data = explanation.to_json()
    hosts = Texts(data["hosts"], (f"{host['host']}: {host['answer']}" for host in data["hosts"]))
    checks = Texts(data["checks"], (_check(check) for check in data["checks"]))
    findings = Texts(data["findings"], (_finding(row) for row in data["findings"]))
    values = {
        "answer": cell(data["answer"]),
        "flavor": cell(data["flavor"]),
        "image": cell(data["image"]),
        "release": data["release"],
        "findings": findings,
        "request": checks,
        "hosts": hosts,
    }
    return tuple(values), tuple(values.values())


def _check(check: dict[str, Any]) -> str:
    says = check.get("says")
    return f"{check['name']}: {check['state']}" + (f" ({says})" if says else "")


def _finding(finding: dict[str, Any]) -> str:
    text = f"{finding['rule']} {finding['subject']}: {finding['message']}"
    return f"{text}\n  {finding['fix']}" if finding.get("fix") else text
