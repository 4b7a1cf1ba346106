"""`wholecard nova …`: nova.conf for the cards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wholecard.cli import nova_lint, options
from wholecard.cli.say import say
from wholecard.core import UsageError

if TYPE_CHECKING:
    from wholecard.nova.render.layouts.files import FileChange

# Its help is in cli/app.py, which lists it without importing this file.
app = typer.Typer(no_args_is_help=True)

AliasOption = Annotated[list[str] | None, typer.Option(
    "--alias", metavar="CARD", help="Without a site file, a card by its ids: "
    "NAME=VENDOR:PRODUCT[,type-PF]. type-PF is for cards with an SR-IOV capability, even if "
    "SR-IOV is not used.")]  # fmt: skip


@app.callback()
def _group() -> None:
    """A group also while it has a single command."""


nova_lint.add(app)


@app.command("render")
def render_command(
    role: options.RoleName = None,
    site: options.OptionalSite = None,
    host: options.HostName = None,
    release_name: options.ReleaseName = None,
    alias: AliasOption = None,
    conf: Annotated[list[str] | None, typer.Option("--conf", metavar="scheduler=PATH", help="A "
        "file that nova-scheduler reads now. Repeat it in the order of the service.")] = None,
    layout_name: Annotated[str, typer.Option("--layout", metavar="LAYOUT", help="The tool that "
        "the files are for: drop-in, kolla, openstack-ansible, charms or rhoso.")]
    = "drop-in",
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FOLDER", help="Write "
        "all files of the layout into this folder. Existing files that Wholecard did not write are "
        "never changed.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="With --output: say which files would "
        "be written, and write none.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The files of the layout as JSON, each "
        "with its text before and after.")] = False,
) -> None:  # fmt: skip
    """Print nova.conf for cards: the drop-in of one role, or all files of a deployment tool."""
    from wholecard.nova.options import role_named
    from wholecard.nova.render.request import RenderRequest, render_drop_in, render_files

    _refuse_mixed(role, host, layout_name, output, as_json)
    _refuse_alone(role, output, dry_run, as_json)
    paths = _conf_of("scheduler", conf)
    request = RenderRequest(site, tuple(alias or ()), release_name or "", paths, layout_name)
    if role is not None:
        drop_in = render_drop_in(request, role_named(role), host or "")
        _warn(drop_in.warnings)
        # As bytes: a file of nova is UTF-8, whatever the terminal's encoding is.
        typer.echo(drop_in.text.encode(), nl=False)
        return
    rendered = render_files(request)
    _warn(rendered.warnings)
    files = _changed(output, rendered.files, dry_run)
    if as_json:
        answer = {"files": [file.to_json() for file in files], "warnings": list(rendered.warnings)}
        options.show("", answer, as_json=True)
    else:
        _say_files(files, output, "would be written" if dry_run else "written")


def _changed(
    output: Path | None, files: Mapping[str, str], dry_run: bool
) -> tuple[FileChange, ...]:
    from wholecard.nova.render.layouts.files import changes, write

    if output is None or dry_run:
        return changes(output, files)
    return write(output, files)


def _say_files(files: Iterable[FileChange], output: Path | None, written: str) -> None:
    """The texts of the files, or where there is a folder what was or would be done in it."""
    if output is None:
        texts = (f"==> {file.path} <==\n{file.after}" for file in files)
        typer.echo("\n".join(texts).encode(), nl=False)
        return
    for file in files:
        say(f"{written if file.is_change else 'unchanged'}: {output / file.path}")


def _refuse_mixed(
    role: str | None, host: str | None, layout: str, output: Path | None, as_json: bool
) -> None:
    """One role's drop-in is printed, or all roles' files are: the options of both exclude."""
    from wholecard.nova.options import ROLES

    is_layout = layout != "drop-in" or output is not None
    if role is not None and is_layout:
        what = "--role prints one drop-in; --layout and --output write the files of all roles"
        raise UsageError(what, resolution="Remove --role.")
    if role is None and host is not None:
        raise UsageError("--host works only with --role", resolution="Name a role: --role compute")
    if role is None and not (is_layout or as_json):
        resolution = f"--role {'|'.join(ROLES)}, or --output FOLDER"
        raise UsageError("neither a role nor an output folder is given", resolution=resolution)


def _refuse_alone(role: str | None, output: Path | None, dry_run: bool, as_json: bool) -> None:
    """Options that belong to the files of a layout."""
    if dry_run and output is None:
        raise UsageError("--dry-run works only with --output", resolution="Add --output FOLDER.")
    if as_json and role is not None:
        what = "--json works only with the files of a layout"
        raise UsageError(what, resolution="Remove --role, and choose a --layout.")


def _warn(warnings: Iterable[str]) -> None:
    for warning in warnings:
        say(f"warning: {warning}", err=True)


def _conf_of(role: str, texts: Iterable[str] | None) -> tuple[Path, ...]:
    """The files of `--conf ROLE=PATH`, which have to be this role's. Raises UsageError."""
    from wholecard.nova.conf.file_options import conf_files

    paths = []
    for (name, _), files in conf_files(texts).items():
        if name != role:
            what = f"--conf {name}: only the files of the role {role} are used here"
            raise UsageError(what, resolution=f"Write --conf {role}=PATH.")
        paths += files
    return tuple(paths)


@app.command("diff")
def diff_command(
    role: Annotated[str, typer.Option("--role", metavar="ROLE", help="api, scheduler, conductor, "
                    "compute or placement.")],
    conf: Annotated[list[str], typer.Option("--conf", metavar="ROLE=PATH", help="A file that the "
        "service reads now, including Wholecard's. Repeat it in the order in which the service "
        "reads the files.")],
    site: options.OptionalSite = None,
    host: options.HostName = None,
    release_name: options.ReleaseName = None,
    alias: AliasOption = None,
    format_name: options.Format = "table",
    columns: options.Columns = None,
    as_json: options.Json = False,
) -> None:  # fmt: skip
    """Show what the rendered drop-in would change for a service, and what to restart, in order.

    Exit status: 0 nothing changes, 1 something changes. The rows are the changed options.
    """
    from wholecard.nova.options import role_named
    from wholecard.nova.render.diff import as_text
    from wholecard.nova.render.request import RenderRequest, diff_drop_in

    chosen = role_named(role)
    files = _conf_of(chosen, conf)
    # Only the scheduler's own files tell which filters it has.
    scheduler_files = files if chosen == "scheduler" else ()
    request = RenderRequest(site, tuple(alias or ()), release_name or "", scheduler_files)
    difference, warnings = diff_drop_in(request, chosen, files, host or "")
    _warn(warnings)
    options.show(as_text(difference).rstrip("\n"), difference.to_json(), "changes",
                 as_json=as_json, format_name=format_name, columns=columns)  # fmt: skip
    if difference.changes or difference.warnings or difference.text:
        raise typer.Exit(1)
