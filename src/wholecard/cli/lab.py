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

from wholecard.cli.signals import handled
from wholecard.guest.image.sandbox import is_rootless
from wholecard.lab import lab as labs
from wholecard.lab.base import process
from wholecard.lab.base.folder import LabFolder, default_folder
from wholecard.lab.base.node_spec import GPU_NODE, NODES, Topology
from wholecard.lab.base.steps import Story
from wholecard.lab.control.service_settings import CONNECTIONS

# Its help is in cli/app.py, which lists it without importing this file.
app = typer.Typer(no_args_is_help=True)
_TOPOLOGIES = "; ".join(f"{topology}: {topology.meaning}" for topology in Topology)
TopologyOption = Annotated[Topology, typer.Option(
    "--topology", help=f"How the cards are connected; {_TOPOLOGIES}.")]  # fmt: skip
NodesOption = Annotated[int, typer.Option(
    "--nodes", metavar="NUMBER", help=f"How many hypervisor nodes, 1 or {len(NODES)}.",
)]  # fmt: skip
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
MIB = 1 << 20


@app.command("up")
def up_command(topology: TopologyOption = Topology.APART, nodes: NodesOption = 1) -> None:
    """Start the lab: nodes with free, prepared cards, and a running cloud.

    On a lab that is up it starts only the services that died; a lab with another number of nodes
    or another topology is stopped first. The first time it prepares new nodes and saves them;
    after that it resumes the saved ones.
    """
    from wholecard.lab.scenario.up import up

    folder = default_folder()
    story = Story(Console())
    with _interruptible(folder), story.shown():
        up(folder, story, topology, nodes)
    story.say(f"up after {story.elapsed():.0f} s\n"
              f"export OS_CLIENT_CONFIG_FILE={folder.clouds_yaml}\n"
              "openstack --os-cloud wholecard-lab server list")  # fmt: skip


@app.command("demo")
def demo_command(
    topology: TopologyOption = Topology.APART,
    report: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The report file "
        "to write.")] = Path("report.html"),
) -> None:  # fmt: skip
    """Run the full path: prepare a bare node, start servers with cards, get the guests' proof.

    Then a second node comes, and a server with two cards moves there, with audits before, during
    and after. Topology together ends without it.

    At the end the node is rolled back and compared byte for byte with the bare host. A running
    lab is stopped first. Afterwards the lab stays up.
    """
    from wholecard.lab.scenario.demo import NUMBERS, demo

    folder = default_folder()
    story = Story(Console())
    with _interruptible(folder), story.shown():
        record = demo(folder, story, topology, report.absolute())
    total = sum(record.memory_bytes.values()) // MIB
    story.say(
        f"proved after {record.seconds_to_proof:.0f} s, all done after {record.seconds:.0f} s "
        f"({'warm' if record.warm else 'cold'}, {record.accelerator}); {total} MiB of memory\n"
        f"report: {report.absolute()}\nfigures: {report.absolute().parent / NUMBERS}\n"
        "The lab stays up: wholecard lab status, shell, down. Its node is rolled back, but "
        "servers can get its cards until the node reboots."
    )


@app.command("demo-split")
def demo_split_command(
    page: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The page to "
        "write.")] = Path("split.html"),
) -> None:  # fmt: skip
    """Split a card, give its slices to servers, and move them live: two nodes, one page.

    A sample of the kernel's, a card with mediated devices, takes a GPU's place. The server after
    the last slice is refused; one server is moved live, then its host is drained, and each guest
    proves that it lost nothing. A running lab with two nodes is used; afterwards it stays up.
    """
    from wholecard.lab.scenario.split_demo import NUMBERS, split_demo

    folder = default_folder()
    story = Story(Console())
    with _interruptible(folder), story.shown():
        record = split_demo(folder, story, page.absolute())
    story.say(
        f"{len(record.moves)} live moves, nothing lost, after {record.seconds:.0f} s\n"
        f"page: {page.absolute()}\nfigures: {page.absolute().parent / NUMBERS}\n"
        "The lab stays up: wholecard lab status, shell, down."
    )


@app.command()
def status(as_json: Json = False) -> None:
    """Show what runs, as which user, on which ports, with how much memory.

    Exit status 1 when the lab is not up.
    """
    facts = _facts(default_folder())
    if as_json:
        typer.echo(json.dumps(facts, indent=1))
    else:
        _print_status(facts)
    raise typer.Exit(0 if facts["state"] in (labs.UP, labs.ROLLED_BACK) else 1)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def shell(
    context: typer.Context,
    node_name: Annotated[str, typer.Option("--node", metavar="NAME", help="The node, as `lab "
        "status` names it.")]
    = GPU_NODE.name,
) -> None:  # fmt: skip
    """Open a shell on a node, or run one command there: wholecard lab shell -- lspci -nnk."""
    node = labs.require_up(default_folder(), node_name).node(node_name)
    argv, env = node.ssh_command(context.args, terminal=os.isatty(0))
    os.execvpe(argv[0], argv, env)  # noqa: S606 - an argument list, no shell


@app.command()
def restart(
    services: Annotated[list[str], typer.Argument(help="Services whose files you changed: "
                        "nova-api, nova-scheduler, nova-conductor, placement, nova-compute, ...")],
) -> None:  # fmt: skip
    """Restart services of the lab with the configuration that is now in its folder etc/.

    Waits until each service accepts requests. The files of nova-compute are copied to the nodes.
    """
    from wholecard.lab.scenario.restart import restart as restart_services

    restart_services(labs.require_up(default_folder()), services)
    typer.echo(f"restarted: {', '.join(services)}")


@app.command()
def down() -> None:
    """Stop all processes of the lab. The built parts stay in the cache."""
    ended = labs.down(default_folder())
    typer.echo(f"ended: {', '.join(ended)}" if ended else "nothing was running")


@app.command()
def clean(
    keep_cache: Annotated[bool, typer.Option("--keep-cache", help="Keep the parts that are slow "
        "to build.")]
    = False,
) -> None:  # fmt: skip
    """Stop the lab and remove all its files, including the cache."""
    folder = default_folder()
    labs.clean(folder, keep_cache)
    typer.echo(f"removed {folder.run if keep_cache else folder.top}")


@contextmanager
def _interruptible(folder: LabFolder) -> Iterator[None]:
    """Ctrl-C or a terminate signal ends the lab's processes and this command's own programs.

    Threads that wait for them then fail at once and not only when their time is up.
    """

    def end(_number: int, _frame: FrameType | None) -> None:
        for child in psutil.Process().children(recursive=True):
            # One may have ended after it was listed.
            with suppress(psutil.Error):
                child.kill()
        process.stop(folder.run)
        raise KeyboardInterrupt

    with handled(end, signal.SIGINT, signal.SIGTERM):
        yield


def _facts(folder: LabFolder) -> dict[str, Any]:
    lab, state = labs.current(folder) or (None, "down")
    services = lab.services if lab else (*labs.CONTROL_SERVICES, GPU_NODE.name)
    ports = _ports(lab) if lab else {}
    alive = process.running(folder.run)
    if state in (labs.UP, labs.ROLLED_BACK) and not set(services) <= set(alive):
        state = "broken"
    return {
        "state": state,
        "folder": str(folder.top),
        "rootless": is_rootless(),
        "nodes": {spec.name: {"topology": spec.topology} for spec in lab.nodes} if lab else {},
        "accelerator": lab.accelerator if lab else None,
        "services": {
            name: {
                **_process_facts(alive.get(name)),
                "port": ports.get(name),
                "log": str(folder.logs / f"{name}.out"),
            }
            for name in services
        },
        "logs": str(folder.logs),
        "clouds_yaml": str(folder.clouds_yaml),
        "up_command": lab.up_command if lab else "wholecard lab up",
        "connections": {name: str(folder.run / name) for name in CONNECTIONS},
    }


def _ports(lab: labs.Lab) -> dict[str, int]:
    """The port of each service that has one; a node's is that of its ssh."""
    ports = lab.settings.ports
    return {**ports, **{spec.name: ports[spec.ssh_port] for spec in lab.nodes}}


def _process_facts(service: process.Running | None) -> dict[str, Any]:
    if service is None:
        return {"alive": False, "pids": [], "memory_mib": 0}
    pids = [member.pid for member in service.processes]
    return {"alive": True, "pids": pids, "memory_mib": service.memory() // MIB}


def _services_table(services: dict[str, Any]) -> Table:
    table = Table("service", "state", "port on 127.0.0.1", "MiB", "process", box=None)
    for name, service in services.items():
        alive = "[green]alive[/green]" if service["alive"] else "[red]dead[/red]"
        port = str(service["port"] or "-")
        first = str(service["pids"][0]) if service["pids"] else "-"
        table.add_row(name, alive, port, str(service["memory_mib"]), first)
    return table


def _print_status(facts: dict[str, Any]) -> None:
    console = Console()
    who = "as an ordinary user, in user namespaces" if facts["rootless"] else "as root"
    state = facts["state"]
    console.print(f"lab: [bold]{state}[/bold], {who}, in {facts['folder']}", soft_wrap=True)
    if state == "down":
        console.print("Start it: wholecard lab up")
        return
    for name, node in facts["nodes"].items():
        console.print(f"node {name}: cards {node['topology']}, run by {facts['accelerator']}")
    console.print(_services_table(facts["services"]))
    total = sum(service["memory_mib"] for service in facts["services"].values())
    console.print(f"memory in all: {total} MiB; logs: {facts['logs']}", soft_wrap=True)
    console.print(f"export OS_CLIENT_CONFIG_FILE={facts['clouds_yaml']}", soft_wrap=True)
    for name, purpose in CONNECTIONS.items():
        console.print(f"{purpose}: {facts['connections'][name]}", soft_wrap=True)
    if state == labs.ROLLED_BACK:
        console.print(
            "The node is rolled back, but servers can get its cards until it reboots.\n"
            f"For a lab with a prepared node: {facts['up_command']}"
        )
    if state == "broken":
        console.print(f"Start the services that died: {facts['up_command']}")
