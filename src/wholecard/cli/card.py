"""`wholecard card …`: cards are listed; one of a host is replaced, moved, added or retired."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wholecard.cli import options
from wholecard.cli.card_list import list_command
from wholecard.cli.options import CloudCommand
from wholecard.cli.say import say
from wholecard.core import UsageError

if TYPE_CHECKING:
    from wholecard.host.facts.host import Host
    from wholecard.moving.card_change import Kind
    from wholecard.moving.card_request import CardReport, CardRequest, Surroundings

# Its help is in cli/app.py, which lists it without importing this file.
app = typer.Typer(no_args_is_help=True)
app.command("list", cls=CloudCommand)(list_command)

HostArgument = Annotated[str, typer.Argument(metavar="HOST", help="The host.")]
Slot = Annotated[str, typer.Option("--slot", metavar="CARD", help="The card that is there now: its "
    "slot (0000:41:00), its place (0000:40/01.1/00) or its serial number.")]  # fmt: skip
To = Annotated[str, typer.Option("--to", metavar="PORT", help="The port that the card comes to, by "
    "address or place: a bridge with nothing behind it.")]  # fmt: skip
Begin = Annotated[bool, typer.Option("--begin", help="Before the reboot: keep the host's facts, "
    "and say which addresses will change.")]  # fmt: skip
After = Annotated[bool, typer.Option("--after", help="After the boot: compare the host with what "
    "was planned, and say what must be rewritten.")]  # fmt: skip
Forget = Annotated[bool, typer.Option("--forget", help="Forget the change that was "
    "begun.")]  # fmt: skip
FactsFile = Annotated[Path | None, typer.Option("--facts", metavar="FILE", help="The host's facts: "
    "what inspect --json or inspect --save wrote. Default: ask the host over ssh.")]  # fmt: skip
Sudo = Annotated[bool, typer.Option("--sudo", help="Use sudo -n on the hosts: only root may "
    "read serial numbers.")]  # fmt: skip
Cloud = Annotated[str, typer.Option("--cloud", metavar="NAME", help="Also look who holds which "
    "address, in this cloud of clouds.yaml.")]  # fmt: skip
Texts = Annotated[list[Path] | None, typer.Option("--names-in", metavar="FILE", help="A file that "
    "may name addresses: nova.conf of the host. May be repeated.")]  # fmt: skip


def _command(kind_name: str, doc: str) -> Callable[..., None]:
    def command(
        host: HostArgument,
        begin: Begin = False,
        after: After = False,
        forget: Forget = False,
        slot: Slot = "",
        to: To = "",
        facts: FactsFile = None,
        cloud: Cloud = "",
        clouds_file: options.CloudsFile = None,
        site: options.OptionalSite = None,
        names_in: Texts = None,
        ssh_config: options.SshConfig = None,
        sudo: Sudo = False,
        format_name: options.TextFormat = "text",
        as_json: options.Json = False,
    ) -> None:
        if begin + after + forget > 1:
            raise UsageError("--begin, --after and --forget exclude each other")
        from wholecard.core import exit_status
        from wholecard.core.report_text import terminal_width
        from wholecard.moving.card_change import Kind, card_store
        from wholecard.moving.card_request import CardRequest
        from wholecard.moving.card_text import report_text

        if forget:
            there = card_store(host).forget()
            say("Forgotten." if there else f"No change of a card of {host} was begun.")
            return
        files = [*([site] if site else []), *(names_in or [])]
        around = _surroundings(host, cloud, clouds_file, files)
        request = CardRequest(Kind(kind_name), host, slot, to, cloud, str(site or ""))
        read = _reader(host, facts, ssh_config, sudo)
        report = _report(request.kind, begin, after, lambda: _begun(request, read(), around),
                         lambda: _compared(request.kind, host, read(), around))  # fmt: skip
        options.show(report_text(report, terminal_width()), report.to_json(),
                     format_name="json" if as_json else format_name)  # fmt: skip
        raise typer.Exit(exit_status(report.findings))

    command.__doc__ = doc
    return command


_MORE = """

    --begin keeps the host's facts, says which addresses may change at the reboot, and prints the
    steps. --after, once the host runs again, compares it with what was planned: what has another
    address, which file still names the old one, which server holds it.

    Exit status: 0 all is as planned, 1 there are findings, 2 called wrongly, 3 something broke."""
for _name, _help in (
    ("replace", "Another card comes into the slot of one that is there."),
    ("move", "A card goes to another slot of its host."),
    ("add", "A new card comes into an empty slot."),
    ("retire", "A card leaves the host."),
):
    app.command(_name, cls=CloudCommand)(_command(_name, f"{_help}{_MORE}"))


def _report(
    kind: Kind, begin: bool, after: bool, begun: Callable[[], CardReport],
    compared: Callable[[], CardReport],
) -> CardReport:  # fmt: skip
    if after:
        return compared()
    if begin:
        return begun()
    raise UsageError(
        f"card {kind} needs --begin or --after",
        resolution="Before the reboot --begin, once the host runs again --after.",
    )


def _begun(request: CardRequest, before: Host, around: Surroundings) -> CardReport:
    from wholecard.moving.card_change import card_store
    from wholecard.moving.card_request import begin

    return begin(request, before, card_store(request.host), around)


def _compared(kind: Kind, host: str, now: Host, around: Surroundings) -> CardReport:
    from wholecard.moving.card_change import card_store
    from wholecard.moving.card_request import after

    known = card_store(host).read()
    if known is None or known[0].kind is not kind:
        raise UsageError(
            f"no {kind} of a card of {host} was begun",
            f"Begun was: {known[0].kind}" if known else "",
            f"Begin it before the reboot: wholecard card {kind} {host} --begin",
        )
    change, before = known
    return after(change, before, now, around)


def _surroundings(
    host: str, cloud: str, clouds_file: Path | None, files: list[Path]
) -> Surroundings:
    from wholecard.core.input_files import read_input
    from wholecard.moving.card_request import Surroundings

    texts = {str(path): read_input(path).decode(errors="replace") for path in files}
    if not cloud:
        return Surroundings(texts=texts)
    # Late: it loads OpenStack's whole SDK.
    from wholecard.cloud.client.connection import connect
    from wholecard.moving.held_addresses import surroundings

    return surroundings(connect(cloud, clouds_file), host, texts)


def _reader(
    host: str, facts: Path | None, ssh_config: Path | None, sudo: bool
) -> Callable[[], Host]:
    """What reads the host's facts: from the file, or over ssh."""

    def read() -> Host:
        if facts is not None:
            from wholecard.host.facts.saved import read_host

            return read_host(facts)
        return _over_ssh(host, ssh_config, sudo)

    return read


def _over_ssh(host: str, ssh_config: Path | None, sudo: bool) -> Host:
    import json

    from wholecard.core import WholecardError
    from wholecard.fleet import Fleet, Watcher
    from wholecard.host.facts.host import Host

    fleet = Fleet((host,), options.ssh_of(ssh_config, sudo), 1)
    (result,) = fleet.run(("inspect", "--json"), Watcher())
    if result.error is not None:
        raise result.error
    if result.status:
        raise WholecardError(f"{host}: inspect failed", result.stderr.strip(),
                             "Run it there, and give its output: --facts FILE.")  # fmt: skip
    return Host.from_json(json.loads(result.stdout))
