"""`wholecard split …`: what cards can be split into, and what cannot go together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wholecard.cli import options
from wholecard.core import Finding, Severity, UsageError, exit_status

if TYPE_CHECKING:
    from wholecard.host.facts.split_types import SplitTypes
    from wholecard.pci.splitting.record import Software
    from wholecard.pci.splitting.together import Split

# Its help is in cli/app.py, which lists it without importing this file.
app = typer.Typer(no_args_is_help=True)

Card = Annotated[str, typer.Option("--card", metavar="VENDOR:DEVICE", help="The card's ids, as "
    "lspci -nn prints them: 10de:2330.")]  # fmt: skip
Driver = Annotated[str, typer.Option("--driver", metavar="VERSION", help="The version of the "
    "vendor's driver on the host: NVIDIA's vGPU driver (580.159.01) or AMD's GIM "
    "(9.4.0).")]  # fmt: skip
Kernel = Annotated[str, typer.Option("--kernel", metavar="VERSION", help="The host's kernel, as "
    "uname -r prints it. Default: that of --facts.")]  # fmt: skip


@app.command("types")
def types_command(
    card: Card = "",
    facts: Annotated[Path | None, typer.Option("--facts", metavar="FILE", help="A host's facts: "
        "inspect --json, or a snapshot of inspect --save. Each of its cards is shown, with what "
        "sysfs has.")] = None,
    driver: Driver = "",
    kernel: Kernel = "",
    as_json: options.Json = False,
) -> None:  # fmt: skip
    """Show in which ways a card can be given (whole, mdev, VFs, MIG), and what each way needs.

    Without --card and --facts all known cards are listed. The tables are the vendors' own, as of
    the day that is printed; nothing was run on hardware.

      wholecard split types --card 10de:2330 --driver 580.159.01 --kernel 6.8
      wholecard split types --facts gpu-01.tar.gz
    """
    if card and facts is not None:
        raise UsageError("--card and --facts exclude each other")
    report = _types(card, facts, _software(driver, kernel))
    if as_json:
        options.show("", report.to_json(), as_json=True)
        return
    from wholecard.cli.split_text import blocks
    from wholecard.cli.terminal import PlainConsole

    console = PlainConsole(highlight=False)
    for block in blocks(report, whole_list=not card and facts is None):
        console.print(block)


@app.command("check")
def check_command(
    card: Card,
    give: Annotated[list[str], typer.Option("--give", metavar="WAY", help="whole, mdev, vfs or "
        "mig. May be repeated, for several on one card.")],
    vfs: Annotated[int, typer.Option("--vfs", metavar="N", min=0, help="How many VFs.")] = 0,
    vgpu_type: Annotated[list[str] | None, typer.Option("--type", metavar="NAME", help="A vGPU "
        "type below this card: NVIDIA L40S-12Q.")] = None,
    mig: Annotated[list[str] | None, typer.Option("--mig", metavar="PROFILE[=N]", help="MIG "
        "instances: 1g.10gb=2.")] = None,
    gpu: Annotated[list[int] | None, typer.Option("--gpu", metavar="N", help="The module id of one "
        "of a board's GPUs that one server gets. May be repeated.")] = None,
    driver: Driver = "",
    kernel: Kernel = "",
    placement: Annotated[bool, typer.Option("--placement", help="nova counts PCI devices in "
        "Placement.")] = False,
    heterogeneous: Annotated[bool, typer.Option("--heterogeneous", help="The card is in the mode "
        "for vGPUs of several sizes.")] = False,
    as_json: options.Json = False,
) -> None:  # fmt: skip
    """Check whether what is asked of one card goes together, before a host is changed.

    Nothing is read from a host. Exit status: 0 nothing known prevents it, 1 something does.

      wholecard split check --card 10de:2330 --give mig --mig 3g.40gb=2 --mig 1g.10gb
    """
    from wholecard.core.report_text import findings_text, terminal_width
    from wholecard.pci.splitting.record import WAYS
    from wholecard.pci.splitting.registry import card_named
    from wholecard.pci.splitting.together import Split, conflicts

    for way in give:
        if way not in WAYS:
            raise UsageError(f"--give does not know {way[:40]!r}", "", f"Write {', '.join(WAYS)}.")
    geometry = _geometry(mig or ())
    ways = (*give, *(["mig"] if geometry and "mig" not in give else ()))
    split = Split(card_named(card).ids[0], ways, tuple(vgpu_type or ()), vfs, None, geometry,
                  _software(driver, kernel), placement, heterogeneous,
                  frozenset(gpu or ()))  # fmt: skip
    more = f"wholecard split types --card {split.card} shows what the card can do."
    findings = [Finding(row.rule, split.card, Severity.ERROR,
                        f"{row.reason}. Source: {row.source}.", more)
                for row in conflicts(split)]  # fmt: skip
    text = findings_text(findings, terminal_width()) if findings else _goes_together(split)
    answer = {"findings": [finding.to_json() for finding in findings]}
    options.show(text, answer, as_json=as_json)
    raise typer.Exit(exit_status(findings))


def _goes_together(split: Split) -> str:
    """That nothing is known to prevent it; with MIG, where each instance can be."""
    from wholecard.pci.splitting.mig import geometry_fits, mig_card

    text = "Nothing that is known prevents it. It was not run on hardware."
    card = mig_card(split.card)
    if card is None or not split.geometry:
        return text
    fit = geometry_fits(card, split.geometry, split.software.driver)
    places = ", ".join(f"{name} at {start}" for name, start, _ in fit.places)
    seen = "" if fit.surely else "\nThe placements are inferred from those of other cards."
    return f"{text}\nMIG: {fit.reason}; by first memory slice: {places}.{seen}"


def _types(card: str, facts: Path | None, software: Software) -> SplitTypes:
    from wholecard.host.facts.split_types import of_cards, of_host
    from wholecard.pci.splitting.registry import card_named

    if facts is not None:
        from wholecard.host.facts.saved import read_host

        return of_host(read_host(facts), software)
    return of_cards((card_named(card),) if card else (), software)


def _software(driver: str, kernel: str) -> Software:
    from wholecard.pci.splitting.record import Software, version

    return Software(
        version(driver, "--driver") if driver else None,
        version(kernel, "--kernel") if kernel else None,
    )


def _geometry(texts: list[str] | tuple[str, ...]) -> dict[str, int]:
    """How many of each profile. Raises UsageError."""
    geometry: dict[str, int] = {}
    for text in texts:
        name, sign, count = text.partition("=")
        if sign and not (count.isascii() and count.isdigit() and len(count) < 4):
            raise UsageError(f"--mig {text[:40]!r} has no number", "", "Write 1g.10gb=2.")
        geometry[name] = geometry.get(name, 0) + int(count or 1)
    return geometry
