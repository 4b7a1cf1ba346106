"""`wholecard nova …`: nova.conf for the cards."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from wholecard.core import UsageError
from wholecard.nova.cards import PciAlias, PciDeviceSpec
from wholecard.nova.filters import NOVA_DEFAULT_FILTERS, read_enabled_filters
from wholecard.nova.render import PciConfig, Role, render

# Its help stands in cli/app.py, which lists it without importing this file.
app = typer.Typer(no_args_is_help=True)

_GIVEN = re.compile(r"(?P<name>[^=]+)=(?P<vendor>[0-9a-f]{4}):(?P<product>[0-9a-f]{4})"
                    r"(?:,(?P<type>type-(?:PCI|PF|VF)))?")  # fmt: skip


@app.callback()
def _group() -> None:
    """A group also while it has a single command."""


@app.command("render")
def render_command(
    role: Annotated[str, typer.Option(help="api, scheduler, conductor or compute.")],
    alias: Annotated[
        list[str],
        typer.Option(help="A card by its ids: NAME=VENDOR:PRODUCT[,type-PF]. type-PF is for cards "
                     "with an SR-IOV capability, also where it is unused."),
    ],
    conf: Annotated[
        list[Path] | None,
        typer.Option(help="The nova.conf files that nova-scheduler reads now, in their order."),
    ] = None,
) -> None:  # fmt: skip
    """Print a drop-in for nova.conf.d of one role (2026.2), only with what that role reads."""
    given = [_given(text) for text in alias]
    pci = PciConfig(
        tuple(PciDeviceSpec(one["vendor"], one["product"]) for one in given),
        tuple(PciAlias(one["name"], one["vendor"], one["product"], one["type"] or "type-PCI")
              for one in given),
    )  # fmt: skip
    filters = read_enabled_filters(conf) if conf else NOVA_DEFAULT_FILTERS
    chosen: Role = role  # type: ignore[assignment]  # render refuses what is no role
    typer.echo(render(chosen, pci, filters), nl=False)


def _given(text: str) -> dict[str, Any]:
    match = _GIVEN.fullmatch(text)
    if match is None:
        raise UsageError(
            f"{text!r} names no card",
            resolution="Write it as NAME=VENDOR:PRODUCT with the ids of `lspci -nn`, for "
            "example h100=10de:2330,type-PF.",
        )
    return match.groupdict()
