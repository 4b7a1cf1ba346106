"""`wholecard image drivers`: the drivers that a guest's cards need, and how an image gets them."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wholecard.cli import options
from wholecard.core import UsageError, exit_status

if TYPE_CHECKING:
    from wholecard.guest.drivers.records import Flavour

_KEY_LIMIT = 1 << 20


def drivers_command(
    card: Annotated[list[str], typer.Option("--card", metavar="IDS", help="A card that guests of "
        "the image get, as vendor:device: 10de:2330. Repeat it: all of them are in one guest.")],
    os_name: Annotated[str, typer.Option("--os", metavar="SYSTEM", help="The guest's system: "
        "ubuntu-24.04, debian-13, rocky-9.")],
    branch: Annotated[int | None, typer.Option("--branch", metavar="N", help="NVIDIA's branch, as "
        "580. Default: the oldest long-term one with a year of support left.")] = None,
    modules: Annotated[str | None, typer.Option("--modules", metavar="KIND", help="NVIDIA's kernel "
        "modules: open or proprietary. Default: open if all the cards accept them.")] = None,
    origin: Annotated[str | None, typer.Option("--origin", metavar="NAME", help="Whose packages: "
        "ubuntu, debian or nvidia. Default: the first that has a right branch.")] = None,
    kernel: Annotated[str | None, typer.Option("--kernel", metavar="RELEASE", help="The kernel "
        "that the image will boot, as uname -r prints it. Default: the newest that is known.")]
    = None,
    secure_boot: Annotated[bool, typer.Option("--secure-boot", help="Guests of the image have "
                           "Secure Boot.")] = False,
    patch: Annotated[bool, typer.Option("--patch", help="Patch a module that is known not to "
                     "build, if a patch is known.")] = False,
    root: Annotated[Path | None, typer.Option("--root", metavar="FOLDER", help="An image's "
        "unpacked tree: check instead whether its kernel has these drivers, and would bind the "
        "cards to them.")] = None,
    key: Annotated[list[str] | None, typer.Option("--key", metavar="NAME=FILE", help="The armored "
        "OpenPGP key of a repository. Default: it is fetched, and its fingerprint checked.")]
    = None,
    format_name: options.TextFormat = "text",
    as_json: options.Json = False,
) -> None:  # fmt: skip
    """Show the drivers for these cards in one guest: the choice, the steps, what prevents it.

    Nothing is changed and nothing is downloaded. Exit status 1: there are findings.

      wholecard image drivers --card 10de:2330 --os ubuntu-24.04
      wholecard image drivers --card 10de:2330 --os debian-13 --root /mnt
    """
    from wholecard.core.report_text import terminal_width
    from wholecard.guest.drivers.driver_plan import DriverRequest, driver_plan
    from wholecard.guest.drivers.generation import cards_of
    from wholecard.guest.drivers.plan_text import plan_json, plan_text
    from wholecard.guest.drivers.systems import guest_os
    from wholecard.pci.ids import PciNames

    plan = driver_plan(DriverRequest(
        cards_of(card, PciNames("/")), guest_os(os_name), date.today(), branch, _flavour(modules),
        origin, kernel, secure_boot, patch, _keys(key or ())))  # fmt: skip
    if root is not None:
        from wholecard.guest.drivers.tree_checks import checked_tree

        plan = checked_tree(root, plan)
    text = plan_text(plan, terminal_width())
    options.show(text, plan_json(plan), as_json=as_json, format_name=format_name)
    raise typer.Exit(exit_status(plan.findings))


def _flavour(text: str | None) -> Flavour | None:
    known: tuple[Flavour, ...] = ("open", "proprietary")
    for flavour in known:
        if text == flavour:
            return flavour
    if text is None:
        return None
    raise UsageError(
        f"--modules {text[:40]!r} does not exist", resolution="Write open or proprietary."
    )


def _keys(texts: list[str] | tuple[str, ...]) -> dict[str, str]:
    """The keys of `NAME=FILE` options. Raises UsageError."""
    from wholecard.core.input_files import read_input

    keys = {}
    for text in texts:
        name, sign, path = text.partition("=")
        if not (sign and name and path):
            raise UsageError(f"--key {text[:80]!r} names no file", resolution="Write NAME=FILE.")
        try:
            key = read_input(Path(path), _KEY_LIMIT).decode("ascii")
        except (OSError, ValueError) as error:
            raise UsageError(f"cannot read the key {path}", str(error)) from error
        if "BEGIN PGP PUBLIC KEY BLOCK" not in key:
            raise UsageError(
                f"{path} is no armored OpenPGP key", resolution="gpg --armor makes it."
            )
        keys[name] = key
    return keys


def add(app: typer.Typer) -> None:
    """Add the command to its group."""
    app.command("drivers")(drivers_command)
