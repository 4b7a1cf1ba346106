"""`wholecard inspect`, `check` and `host …`: this host, by the same code that travels to others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wholecard.host import agent

app = typer.Typer(help="Prepare this host to give whole cards to servers.", no_args_is_help=True)

Root = Annotated[Path, typer.Option("--root", help="Another tree than /: an image, a snapshot.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
Cards = Annotated[
    list[str] | None,
    typer.Option("--card", help="A card to give, by the address of any of its functions."),
]
AllCards = Annotated[bool, typer.Option("--all-cards", help="Every card but the boot display.")]
SLASH = Path("/")


def inspect(root: Root = SLASH, as_json: Json = False) -> None:
    """What this host has: cards, functions, drivers, IOMMU groups. Changes nothing."""
    _run("inspect", root, as_json)


def check(
    card: Cards = None, all_cards: AllCards = False, root: Root = SLASH, as_json: Json = False
) -> None:
    """What keeps cards from being given, each with its fix. Changes nothing."""
    _run("check", root, as_json, *_wish(card, all_cards))


@app.command()
def plan(
    card: Cards = None, all_cards: AllCards = False, root: Root = SLASH, as_json: Json = False
) -> None:
    """Print every change that apply would make, with its reason, as a diff. Changes nothing."""
    _run("plan", root, as_json, *_wish(card, all_cards))


@app.command()
def apply(
    card: Cards = None,
    all_cards: AllCards = False,
    root: Root = SLASH,
    as_json: Json = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan alone.")] = False,
) -> None:
    """Make the changes through a journal. From its next boot on the host gives these cards."""
    _run("apply", root, as_json, *_wish(card, all_cards), *(["--dry-run"] if dry_run else []))


@app.command()
def verify(root: Root = SLASH, as_json: Json = False) -> None:
    """After the reboot: whether vfio-pci has every function, since boot."""
    _run("verify", root, as_json)


@app.command()
def rollback(
    root: Root = SLASH,
    as_json: Json = False,
    discard_edits: Annotated[
        bool, typer.Option("--discard-edits", help="Also where a person edited a file since.")
    ] = False,
) -> None:
    """Put back every byte that the last apply changed; then reboot."""
    _run("rollback", root, as_json, *(["--discard-edits"] if discard_edits else []))


@app.command()
def status(root: Root = SLASH, as_json: Json = False) -> None:
    """What is applied, and where an unfinished run stopped."""
    _run("status", root, as_json)


def _wish(card: list[str] | None, all_cards: bool) -> list[str]:
    words = [word for address in card or () for word in ("--card", address)]
    return [*words, "--all-cards"] if all_cards else words


def _run(command: str, root: Path, as_json: bool, *words: str) -> None:
    argv = [command, "--root", str(root), *words, *(["--json"] if as_json else [])]
    raise typer.Exit(agent.main(argv))
