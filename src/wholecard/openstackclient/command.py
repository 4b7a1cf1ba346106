"""What the commands have in common: the connection, options of files, exit statuses, columns."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cliff.columns import FormattableColumn
from osc_lib.command import command

from wholecard.audit.request import AuditWatcher
from wholecard.core import WholecardError
from wholecard.core.plain_text import plain

if TYPE_CHECKING:
    from openstack.connection import Connection

    from wholecard.audit.views.open_views import AuditSources
    from wholecard.explain.evidence.from_files import Files

    Column = FormattableColumn[list[Any]]
else:
    # An older cliff has it without a parameter.
    Column = FormattableColumn


class GpuCommand(command.Command):
    """A command that asks the cloud, and ends with the statuses of `wholecard`.

    `status` is the exit status where nothing went wrong: 0, or 1 and 4 as the command says.
    """

    status = 0

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Run it; an error is logged as openstackclient logs its own, and ends with 2 or 3."""
        try:
            super().run(parsed_args)
        except WholecardError as error:
            lines = (error.brief, error.details, error.resolution)
            self.log.log(logging.ERROR, "%s", shown("\n".join(filter(None, lines))))
            return error.exit_code
        return self.status

    def connection(self) -> Connection:
        """openstackclient's own connection, logged in, with our bounds."""
        from wholecard.cloud.client.connection import adopt  # noqa: PLC0415

        return adopt(self.app.client_manager.sdk_connection)

    def sources(self, args: argparse.Namespace) -> AuditSources:
        """Where to read: this cloud, and the files that the options name."""
        from wholecard.audit.views.databases_file import default_file  # noqa: PLC0415
        from wholecard.audit.views.open_views import AuditSources  # noqa: PLC0415
        from wholecard.nova.conf.file_options import facts_file  # noqa: PLC0415

        conn = self.connection()
        facts = dict(facts_file(text) for text in getattr(args, "facts", ()))
        databases = args.databases or default_file()
        return AuditSources(name_of(conn), databases=databases, hosts=tuple(args.host) or None,
                            facts=facts, conn=conn)  # fmt: skip

    def watcher(self) -> AuditWatcher:
        """Logs what `openstack -v` shows."""
        return _Logged(self.log.info)


class _Logged(AuditWatcher):
    def __init__(self, log: Any) -> None:
        self._log = log

    def wait(self, seconds: float, hosts: int) -> None:
        """The audit waits."""
        self._log("something is in progress on %d hosts: looking again in %g s", hosts, seconds)


def name_of(conn: Connection) -> str:
    """The cloud's name in clouds.yaml, or the host of its Keystone where OS_* variables name it."""
    config = conn.config
    return str(config.name or "") or str((config.config.get("auth") or {}).get("auth_url", "cloud"))


def add_sources(parser: argparse.ArgumentParser) -> None:
    """The options of `GpuCommand.sources`."""
    parser.add_argument("--host", metavar="<host>", action="append", default=[],
        help="Only this hypervisor host (repeat option for more)")  # fmt: skip
    parser.add_argument("--databases", metavar="<file>", type=Path,
        help="An INI file with the connections of nova's cells and Placement, which are read "
        "instead of their APIs (Env: WHOLECARD_DATABASES)")  # fmt: skip


def add_files(parser: argparse.ArgumentParser) -> None:
    """The options of `files_of`."""
    parser.add_argument("--conf", metavar="<role[@host]=path>", action="append", default=[],
        help="A file or folder that a service of nova reads; role is api, scheduler, compute or "
        "placement (repeat option for more)")  # fmt: skip
    add_facts(parser)
    parser.add_argument("--site", metavar="<file>", type=Path, help="The site file of Wholecard")


def add_facts(parser: argparse.ArgumentParser) -> None:
    """`--facts`."""
    parser.add_argument("--facts", metavar="<[host=]file>", action="append", default=[],
        help="A host's facts: what wholecard inspect --save wrote there (repeat option for "
        "more)")  # fmt: skip


def files_of(args: argparse.Namespace) -> Files:
    """The files that `add_files` names. Raises UsageError."""
    from wholecard.explain.evidence.named_files import named_files  # noqa: PLC0415

    return named_files(args.conf, args.facts, args.site)


class Lines(Column):
    """A list: one line for each in a table, a list in JSON and YAML."""

    def human_readable(self) -> str:
        """Below each other."""
        return "\n".join(map(cell, self._value))


class Texts(Column):
    """A list in which a table shows less: `says` has the lines."""

    def __init__(self, value: list[Any], says: Iterable[str]) -> None:
        super().__init__(value)
        self._says = tuple(says)

    def human_readable(self) -> str:
        """The lines."""
        return "\n".join(map(shown, self._says))


def shown(text: str) -> str:
    """A text for a terminal: nothing in it commands it, and `--cloud` is openstackclient's."""
    return plain(text).replace("--cloud NAME", "--os-cloud NAME")


def cell(value: Any) -> Any:
    """A value of the cloud's in a table: texts as `shown`."""
    return shown(value) if isinstance(value, str) else value


def row(values: Sequence[Any]) -> tuple[Any, ...]:
    """A row of a table: lists become lines."""
    return tuple(Lines(value) if isinstance(value, list) else cell(value) for value in values)
