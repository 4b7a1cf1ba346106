"""`wholecard lab …`: emulated cards and a real OpenStack on this machine."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import psutil
import typer
from rich.console import Console
from rich.table import Table

from wholecard.lab import lab as labs
from wholecard.lab.base import process
from wholecard.lab.base.folder import LabFolder, default_place
from wholecard.lab.base.sandbox import is_rootless
from wholecard.lab.base.steps import Story
from wholecard.lab.node.node import LAYOUTS

# Its help stands in cli/app.py, which lists it without importing this file.
app = typer.Typer(no_args_is_help=True)
Layout = Annotated[
    str,
    typer.Option(help="; ".join(f"{name}: {text}" for name, text in LAYOUTS.items()) + "."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
MIB = 1 << 20


@app.command("up")
def up_command(layout: Layout = "separate") -> None:
    """Start the lab, to a node with free, prepared cards and a cloud that answers.

    Started again it leaves alone what runs and starts what died. The first time it walks the
    whole way and saves the node; after that it wakes the saved one.
    """
    from wholecard.lab.scenario.up import up

    place = default_place()
    story = Story(Console())
    with _interruptible(place), story.shown():
        up(place, story, layout)
    story.say(f"up after {story.elapsed():.0f} s\n"
              f"export OS_CLIENT_CONFIG_FILE={place.clouds_yaml}\n"
              "openstack --os-cloud wholecard-lab server list")  # fmt: skip


@app.command("demo")
def demo_command(
    layout: Layout = "separate",
    report: Annotated[Path, typer.Option(metavar="FILE", help="Where the report goes.")] = Path(
        "report.html"
    ),
) -> None:
    """Walk the whole way: a bare node, its host prepared, servers with cards, their proof.

    At the end the node's host part is rolled back and compared byte for byte with the bare host.
    A lab that runs is ended first. Afterwards the lab stays up.
    """
    from wholecard.lab.scenario.demo import NUMBERS, demo

    place = default_place()
    story = Story(Console())
    with _interruptible(place), story.shown():
        record = demo(place, story, layout, report.absolute())
    total = sum(record.memory_bytes.values()) // MIB
    story.say(
        f"proved after {record.seconds_to_proof:.0f} s, all done after {record.seconds:.0f} s "
        f"({'warm' if record.warm else 'cold'}, {record.accelerator}); {total} MiB of memory\n"
        f"report: {report.absolute()}\nfigures: {report.absolute().parent / NUMBERS}\n"
        "The lab stays up: wholecard lab status, shell, down. Its node is rolled back and serves "
        "until its next boot."
    )


@app.command()
def status(as_json: Json = False) -> None:
    """What runs, as whom, on which ports, with how much memory. Exit status 1 when it is not up."""
    facts = _facts(default_place())
    if as_json:
        typer.echo(json.dumps(facts, indent=1))
    else:
        _print_status(facts)
    raise typer.Exit(0 if facts["state"] in (labs.UP, labs.ROLLED_BACK) else 1)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def shell(context: typer.Context) -> None:
    """A shell on the node, or one command there: wholecard lab shell -- lspci -nnk."""
    node = labs.require_up(default_place()).node()
    argv, env = node.ssh_command(context.args, terminal=os.isatty(0))
    os.execvpe(argv[0], argv, env)  # noqa: S606 - an argument list, no shell


@app.command()
def restart(
    services: Annotated[
        list[str],
        typer.Argument(help="nova-api, nova-scheduler, nova-conductor, placement, nova-compute, "
                       "…: those whose files you changed."),
    ],
) -> None:  # fmt: skip
    """Restart services of the lab on the configuration that now stands below its etc/.

    Waits until each takes requests. nova-compute is the node's: its files are copied there first.
    """
    from wholecard.lab.scenario.restart import restart as restart_services

    restart_services(labs.require_up(default_place()), services)
    typer.echo(f"restarted: {', '.join(services)}")


@app.command()
def down() -> None:
    """End the lab: no process of it stays. What was built stays in the cache."""
    ended = labs.down(default_place())
    typer.echo(f"ended: {', '.join(ended)}" if ended else "nothing was running")


@app.command()
def clean(
    keep_cache: Annotated[
        bool, typer.Option("--keep-cache", help="Keep what was slow to build.")
    ] = False,
) -> None:
    """End the lab and remove all its files, the cache included."""
    place = default_place()
    labs.clean(place, keep_cache)
    typer.echo(f"removed {place.run if keep_cache else place.top}")


@contextmanager
def _interruptible(place: LabFolder) -> Iterator[None]:
    """Ctrl-C or a terminate signal ends the lab's processes and this command's own programs.

    Threads that wait for them then fail at once instead of waiting for their time to pass.
    """

    def end(_number: int, _frame: FrameType | None) -> None:
        for child in psutil.Process().children(recursive=True):
            # One may have ended since it was listed.
            with suppress(psutil.Error):
                child.kill()
        process.stop(place.run)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _facts(place: LabFolder) -> dict[str, Any]:
    found = labs.current(place)
    alive = process.running(place.run)
    dead = [name for name in labs.SERVICES if name not in alive]
    state = found[1] if found else "down"
    if state in (labs.UP, labs.ROLLED_BACK) and dead:
        state = "broken"
    return {
        "state": state,
        "folder": str(place.top),
        "rootless": is_rootless(),
        "layout": found[0].layout if found else None,
        "accelerator": found[0].accelerator if found else None,
        "services": {
            name: {
                "alive": name in alive,
                "pids": [p.pid for p in alive[name].processes] if name in alive else [],
                "memory_mib": alive[name].memory() // MIB if name in alive else 0,
                "port": found[0].settings.ports.get("ssh" if name == "node" else name)
                if found
                else None,
                "log": str(place.logs / f"{name}.out"),
            }
            for name in labs.SERVICES
        },
        "clouds_yaml": str(place.clouds_yaml),
    }


def _print_status(facts: dict[str, Any]) -> None:
    console = Console()
    who = "as an ordinary user, in user namespaces" if facts["rootless"] else "as root"
    console.print(
        f"lab: [bold]{facts['state']}[/bold], {who}, in {facts['folder']}", soft_wrap=True
    )
    if facts["state"] == "down":
        console.print("Start it: wholecard lab up")
        return
    console.print(f"cards: {facts['layout']}; node by {facts['accelerator']}")
    table = Table("service", "state", "port on 127.0.0.1", "MiB", "process", box=None)
    for name, service in facts["services"].items():
        alive = "[green]alive[/green]" if service["alive"] else "[red]dead[/red]"
        port = str(service["port"] or "-")
        first = str(service["pids"][0]) if service["pids"] else "-"
        table.add_row(name, alive, port, str(service["memory_mib"]), first)
    console.print(table)
    total = sum(service["memory_mib"] for service in facts["services"].values())
    console.print(f"memory in all: {total} MiB; logs: {facts['folder']}/lab/log", soft_wrap=True)
    console.print(f"export OS_CLIENT_CONFIG_FILE={facts['clouds_yaml']}", soft_wrap=True)
    if facts["state"] == labs.ROLLED_BACK:
        console.print(
            "The node's host part is rolled back: its cards serve until its next boot.\n"
            "A lab with a prepared node: wholecard lab up"
        )
    if facts["state"] == "broken":
        console.print("Bring it back: wholecard lab up")
