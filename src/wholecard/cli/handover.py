"""`wholecard handover`: cards between two tenants, cleaned and given back."""

from __future__ import annotations

import shutil
import signal
import socket
import threading
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wholecard.cli import options
from wholecard.cli.options import CloudCommand
from wholecard.cli.say import say
from wholecard.core import UsageError

if TYPE_CHECKING:
    from openstack.connection import Connection

    from wholecard.handover.cleaner import Cleaner
    from wholecard.handover.rabbit_settings import RabbitSettings
    from wholecard.handover.record import HandoverStatus
    from wholecard.handover.request import HandoverRequest
    from wholecard.handover.store import Store

# Its help is in cli/app.py, which lists it without importing this file.
app = typer.Typer(invoke_without_command=True)

State = Annotated[Path | None, typer.Option(
    "--state", metavar="FOLDER", help="The folder of the hand-over's state. Default: "
        "$XDG_STATE_HOME/wholecard/handover/CLOUD.")]  # fmt: skip
Host = Annotated[str, typer.Argument(metavar="HOST", help="The hypervisor's host name.")]
CardAddress = Annotated[str, typer.Argument(metavar="ADDRESS", help="The card, as in Placement's "
                        "provider: 0000:88:00.0")]  # fmt: skip


@app.callback()
def command(
    context: typer.Context,
    cloud: options.CloudName = "",
    clouds_file: options.CloudsFile = None,
    once: Annotated[bool, typer.Option("--once", help="Look once, clean and give back what is due, "
        "and end.")] = False,
    rabbit: Annotated[Path | None, typer.Option("--rabbit", metavar="FILE", help="Listen to nova's "
        "notifications too. An INI file of mode 0600 with the key url in the section "
        "rabbitmq, or a nova.conf with transport_url.")] = None,
    local: Annotated[bool, typer.Option("--local", help="Clean only this host's cards, without "
        "ssh. Needs root.")] = False,
    ssh_config: options.SshConfig = None,
    sudo: options.Sudo = False,
    host_name: Annotated[str, typer.Option("--host-name", metavar="NAME", help="This host's name "
        "in nova, for --local. Default: its own host name.")] = "",
    root: Annotated[Path, typer.Option("--root", hidden=True)] = Path("/"),
    interval: Annotated[float, typer.Option("--interval", min=5, metavar="SECONDS", help="The time "
        "between two looks at Placement.")] = 300.0,
    jobs: Annotated[int, typer.Option("--jobs", min=1, max=64, metavar="N", help="How many hosts "
        "clean at the same time.")] = 8,
    scrub: Annotated[bool, typer.Option("--scrub-visible", help="Set what is visible of a card's "
        "memory to zero, if it is plain memory and kept anything.")] = False,
    state: State = None,
    format_name: options.Format = "table",
    columns: options.Columns = None,
    as_json: options.Json = False,
) -> None:  # fmt: skip
    """Look at Placement once or for ever; see the help in app.py."""
    if context.invoked_subcommand is not None:
        return
    from wholecard.cloud.client.connection import connect
    from wholecard.core.finding import exit_status
    from wholecard.handover.rabbit_settings import read_settings
    from wholecard.handover.request import HandoverRequest, look

    if once and rabbit:
        raise UsageError("--once looks at Placement alone", resolution="Remove --rabbit.")
    cleaner = (
        _local(ssh_config, sudo, host_name, root, scrub) if local
        else _over_ssh(ssh_config, sudo, scrub)
    )  # fmt: skip
    settings = read_settings(rabbit) if rabbit else None
    name = options.chosen_cloud(cloud, clouds_file)
    store = _store(name, state)
    request = HandoverRequest(interval, jobs)
    conn = connect(name, clouds_file)
    with store.held():
        if not once:
            _serve(conn, cleaner, store, request, settings)
            return
        status = look(conn, cleaner, store, request, _tell)
        _show(status, "json" if as_json else format_name, columns)
        raise typer.Exit(exit_status(status.findings))


def _serve(
    conn: Connection, cleaner: Cleaner, store: Store, request: HandoverRequest,
    settings: RabbitSettings | None,
) -> None:  # fmt: skip
    from wholecard.handover.listener import Listener
    from wholecard.handover.request import serve

    ending = _Ending()
    with closing(Listener(settings, ending.pause)) if settings else nullcontext() as listener:
        serve(conn, cleaner, store, request, _tell, listener, ending.pause)


class _Ending:
    """Ctrl-C and SIGTERM end the service after the look that is in progress."""

    def __init__(self) -> None:
        self._event = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._end)

    def _end(self, *_: object) -> None:
        if self._event.is_set():
            # Asked twice: at once. What is half done is done again.
            raise KeyboardInterrupt
        self._event.set()

    def pause(self, seconds: float) -> bool:
        """Wait so long, or until the service is to end; whether it is."""
        return self._event.wait(max(0.0, seconds))


@app.command("status", cls=CloudCommand)
def status_command(
    cloud: options.CloudName = "",
    clouds_file: options.CloudsFile = None,
    state: State = None,
    format_name: options.Format = "table",
    columns: options.Columns = None,
    as_json: options.Json = False,
) -> None:
    """Print each card that the hand-over knows, and why it is not given back.

    The rows are the cards. It reads the hand-over's state on this machine alone.
    """
    from wholecard.core.finding import exit_status

    store = _store(options.chosen_cloud(cloud, clouds_file), state)
    status = store.status()
    _show(status, "json" if as_json else format_name, columns)
    raise typer.Exit(exit_status(status.findings))


@app.command("retry", cls=CloudCommand)
def retry_command(
    host: Host,
    address: CardAddress,
    cloud: options.CloudName = "",
    clouds_file: options.CloudsFile = None,
    state: State = None,
) -> None:
    """Let a card that is not cleared, out or kept be cleaned again at the next look."""
    from wholecard.handover.decisions import clean_again

    store = _store(options.chosen_cloud(cloud, clouds_file), state)
    with store.held():
        say(f"{clean_again(store, host, address).name} is cleaned at the next look.")


@app.command("keep", cls=CloudCommand)
def keep_command(
    host: Host,
    address: CardAddress,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for those who read "
        "the status.")],
    cloud: options.CloudName = "",
    clouds_file: options.CloudsFile = None,
    state: State = None,
) -> None:  # fmt: skip
    """Never give this card back, until retry: for one that you have reserved yourself."""
    from wholecard.cloud.client.connection import connect
    from wholecard.handover.decisions import keep_out

    name = options.chosen_cloud(cloud, clouds_file)
    store, conn = _store(name, state), connect(name, clouds_file)
    with store.held():
        say(f"{keep_out(conn, store, host, address, reason).name} is kept out.")


@app.command("unit")
def unit_command(
    cloud: Annotated[str, typer.Option("--cloud", metavar="NAME", help="The cloud's name in "
        "clouds.yaml.")],
) -> None:  # fmt: skip
    """Print a systemd unit for the service."""
    from wholecard.handover.unit import unit_text

    say(unit_text(cloud, shutil.which("wholecard") or "/usr/local/bin/wholecard"), end="")


def _store(cloud: str, state: Path | None) -> Store:
    from wholecard.handover.store import Store, default_folder

    return Store(state or default_folder(cloud))


def _local(ssh_config: Path | None, sudo: bool, host_name: str, root: Path, scrub: bool) -> Cleaner:
    from wholecard.handover.cleaner import LocalCleaner

    if ssh_config or sudo:
        raise UsageError("--local needs no ssh", resolution="Remove --ssh-config and --sudo.")
    return LocalCleaner(host_name or socket.gethostname(), root, scrub)


def _over_ssh(ssh_config: Path | None, sudo: bool, scrub: bool) -> Cleaner:
    from wholecard.handover.cleaner import SshCleaner

    return SshCleaner(options.ssh_of(ssh_config, sudo), scrub)


def _tell(text: str) -> None:
    say(text, err=True)


def _show(status: HandoverStatus, format_name: str, columns: list[str] | None) -> None:
    from wholecard.core.report_text import findings_text, table, terminal_width

    rows = [
        (card.host, card.address, card.state.value, card.since or "-", card.rule or "-")
        for card in status.cards
    ]
    text = "No card has waited for the hand-over yet."
    if rows:
        text = table(("HOST", "ADDRESS", "STATE", "SINCE", "RULE"), rows)
        text += f"\n\n{findings_text(status.findings, terminal_width())}"
    options.show(text, status.to_json(), "cards", format_name=format_name, columns=columns)
