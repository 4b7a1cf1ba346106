"""`wholecard nova …`: nova.conf for the cards."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from wholecard.cli import nova_lint
from wholecard.core import UsageError
from wholecard.core.releases import LATEST
from wholecard.nova.options import ROLES, role_named
from wholecard.nova.render.diff import as_text
from wholecard.nova.render.layouts.files import write
from wholecard.nova.render.request import (
    RenderRequest,
    diff_drop_in,
    render_drop_in,
    render_files,
)

# Its help stands in cli/app.py, which lists it without importing this file.
app = typer.Typer(no_args_is_help=True)

RoleOption = Annotated[
    str | None, typer.Option("--role", help="api, scheduler, conductor, compute or placement.")
]
SiteOption = Annotated[Path | None, typer.Option("--site", metavar="FILE", help="The site file.")]
HostOption = Annotated[
    str | None, typer.Option("--host", help="A host of the site, for the role compute.")
]
ReleaseOption = Annotated[
    str | None,
    typer.Option("--release", help="A series, a code name or nova's version: 2025.2. The site's "
                 f"without it, {LATEST} without a site."),
]  # fmt: skip
AliasOption = Annotated[
    list[str] | None,
    typer.Option("--alias", help="Without a site file, a card by its ids: "
                 "NAME=VENDOR:PRODUCT[,type-PF]. type-PF is for cards with an SR-IOV capability, "
                 "also where it is unused."),
]  # fmt: skip


@app.callback()
def _group() -> None:
    """A group also while it has a single command."""


nova_lint.add(app)


@app.command("render")
def render_command(
    role: RoleOption = None,
    site: SiteOption = None,
    host: HostOption = None,
    of: ReleaseOption = None,
    alias: AliasOption = None,
    conf: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="The nova.conf files that nova-scheduler reads now, in "
                     "their order."),
    ] = None,
    for_tool: Annotated[
        str, typer.Option("--layout", help="drop-in, kolla, openstack-ansible, charms or rhoso: "
                          "whose files are written.")
    ] = "drop-in",
    output: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Write the files of the whole layout below this "
                     "folder. A file there that is not Wholecard's is never touched."),
    ] = None,
) -> None:  # fmt: skip
    """Print nova.conf for cards: a role's drop-in, or all that a deployment tool reads."""
    request = RenderRequest(site, tuple(alias or ()), of or "", tuple(conf or ()), for_tool)
    if role is not None:
        chosen = role_named(role)
        if for_tool != "drop-in" or output is not None:
            raise UsageError(
                "--role prints one drop-in; --layout and --output are for all roles",
                resolution="Take --role away.",
            )
        drop_in = render_drop_in(request, chosen, host or "")
        _warn(drop_in.warnings)
        typer.echo(drop_in.text, nl=False)
        return
    if host is not None:
        raise UsageError("--host goes with --role", resolution="Name a role: --role compute")
    if output is None and for_tool == "drop-in":
        raise UsageError(
            "name a role, or a folder for the files of all",
            resolution=f"--role {'|'.join(ROLES)}, or --output DIR",
        )
    rendered = render_files(request)
    _warn(rendered.warnings)
    if output is None:
        texts = (f"==> {path} <==\n{text}" for path, text in rendered.files.items())
        typer.echo("\n".join(texts), nl=False)
        return
    changed = write(output, rendered.files)
    for path in rendered.files:
        typer.echo(f"{'written' if output / path in changed else 'unchanged'}: {output / path}")


def _warn(warnings: Iterable[str]) -> None:
    for warning in warnings:
        typer.echo(f"warning: {warning}", err=True)


@app.command("diff")
def diff_command(
    role: Annotated[str, typer.Option(help="api, scheduler, conductor, compute or placement.")],
    conf: Annotated[
        list[Path],
        typer.Option(metavar="FILE", help="The files that the service reads now, in their order, "
                     "with our own if it is there."),
    ],
    site: SiteOption = None,
    host: HostOption = None,
    of: ReleaseOption = None,
    alias: AliasOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:  # fmt: skip
    """Show what the rendered drop-in would change for a service, and what to restart, in order.

    Exits 0 where nothing changes, 1 where something does.
    """
    chosen = role_named(role)
    # Only the scheduler's own files tell which filters it has.
    schedulers = tuple(conf) if chosen == "scheduler" else ()
    request = RenderRequest(site, tuple(alias or ()), of or "", schedulers)
    found, warnings = diff_drop_in(request, chosen, conf, host or "")
    _warn(warnings)
    typer.echo(
        json.dumps(found.to_json(), indent=2) + "\n" if as_json else as_text(found), nl=False
    )
    if found.changes or found.warnings or found.text:
        raise typer.Exit(1)
