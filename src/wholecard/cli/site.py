"""`wholecard site …`: the site file."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from wholecard.core import UsageError, WholecardError
from wholecard.core.releases import LATEST, release
from wholecard.host.facts.inspect import inspect
from wholecard.host.facts.saved import read_host
from wholecard.host.facts.snapshot import SUFFIXES
from wholecard.nova.desired.site_checks import check_site
from wholecard.site.card_matching import count_of
from wholecard.site.load import SiteError, issue_line, read_site
from wholecard.site.model import LINE_PATTERN, NAME_PATTERN
from wholecard.site.scaffold import FoundHost, first_site
from wholecard.site.schema import schema_text
from wholecard.site.yaml_positions import SiteIssue

# Its help stands in cli/app.py, which lists it without importing this file.
app = typer.Typer(no_args_is_help=True)

SCHEMA_NAME = "site.schema.json"


@app.command("init")
def init_command(
    more: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE]...", help="More files of facts.")
    ] = None,
    facts: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="A host's facts: what inspect --json or inspect --save "
                     "wrote there. The file's name is the host's. Without any, this host."),
    ] = None,
    output: Annotated[
        Path, typer.Option(metavar="FILE", help="Where it goes.")
    ] = Path("site.yaml"),
    release_name: Annotated[
        str, typer.Option("--release", help="OpenStack's release there, for example 2025.2.")
    ] = str(LATEST),
) -> None:  # fmt: skip
    """Write a first site file from inspected hosts, with comments; it overwrites nothing.

    Beside it goes site.schema.json, from which editors complete.

      wholecard site init --release 2025.2 --facts facts/*.json
    """
    wanted = release(release_name)
    if output.exists() or output.is_symlink():
        raise _there(output)
    files = [*(facts or ()), *(more or ())]
    hosts = _read(files, output.parent) if files else {os.uname().nodename: FoundHost(inspect())}
    _write(output, first_site(hosts, wanted, SCHEMA_NAME))
    typer.echo(f"wrote {output}; look at it, then: wholecard site check {output}")
    schema = output.parent / SCHEMA_NAME
    if not schema.exists():
        _write(schema, schema_text())
        typer.echo(f"wrote {schema}, from which editors complete")


@app.command("check")
def check_command(
    file: Annotated[Path, typer.Argument(help="The site file.")] = Path("site.yaml"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
) -> None:
    """Read a site file and the facts that it names, and say what is wrong with it.

    What nova of the site's release does not have, or would refuse, counts too.

    Exit status: 0 nothing, 2 there are faults, each with its line and column.
    """
    try:
        site_file = read_site(file)
    except SiteError as error:
        raise _faulty(error, (), as_json) from error
    found = check_site(site_file)
    if found.errors:
        raise _faulty(SiteError(file, found.errors), found.warnings, as_json)
    if not as_json:
        _warn(file, found.warnings)
    site, facts = site_file.site, site_file.facts()
    counts = {
        kind: {name: count_of(model, name, host) for name, host in facts.items()}
        for kind, model in site.cards.items()
    }
    if as_json:
        typer.echo(json.dumps({"path": str(file), "release": str(site_file.release),
                               "faults": [], "warnings": _shown(found.warnings), "cards": counts},
                              indent=2))  # fmt: skip
        return
    typer.echo(f"{file}: nothing is wrong with it ({site_file.release}; hosts: {len(site.hosts)}, "
               f"with facts: {len(facts)}; flavors: {len(site.flavors)})")  # fmt: skip
    for kind, by_host in counts.items():
        having = ", ".join(f"{name} {count}" for name, count in by_host.items() if count)
        typer.echo(f"  {kind}: {having or 'on no host with facts'}")


def _faulty(error: SiteError, warnings: Iterable[SiteIssue], as_json: bool) -> Exception:
    """What ends `check` where there are faults, once the warnings, or all as JSON, are printed."""
    if not as_json:
        _warn(error.path, warnings)
        return error
    said = {"faults": _shown(error.issues), "warnings": _shown(warnings)}
    typer.echo(json.dumps({"path": str(error.path), **said}, indent=2))
    return typer.Exit(error.exit_code)


def _shown(faults: Iterable[SiteIssue]) -> list[dict[str, str | int]]:
    return [
        {"line": each.position.line, "column": each.position.column, "what": each.what,
         "hint": each.hint}
        for each in faults
    ]  # fmt: skip


def _warn(file: Path, warnings: Iterable[SiteIssue]) -> None:
    for each in warnings:
        typer.echo(f"warning: {issue_line(file, each)}", err=True)


@app.command("schema")
def schema_command() -> None:
    """Print the JSON schema of site files, from which editors complete."""
    typer.echo(schema_text(), nl=False)


def _read(files: list[Path], folder: Path) -> dict[str, FoundHost]:
    hosts: dict[str, FoundHost] = {}
    for file in files:
        name = file.name
        for suffix in (*SUFFIXES, ".json"):
            name = name.removesuffix(suffix)
        here = os.path.relpath(file, folder)
        if not (re.fullmatch(NAME_PATTERN, name) and re.fullmatch(LINE_PATTERN, here)):
            raise UsageError(
                f"{str(file)!r} names no host",
                resolution="Name the file as nova-compute names its host.",
            )
        if name in hosts:
            raise UsageError(f"two files have the facts of {name}",
                             resolution="Name each file as its host.")  # fmt: skip
        hosts[name] = FoundHost(read_host(file), here)
    return hosts


def _there(path: Path) -> UsageError:
    return UsageError(f"{path} is there already", resolution="Name another file: --output FILE")


def _write(path: Path, text: str) -> None:
    """The file, new and whole. Raises UsageError where it is there, WholecardError otherwise."""
    try:
        data = text.encode()
        with path.open("xb") as file:
            file.write(data)
    except FileExistsError as error:
        raise _there(path) from error
    except (OSError, UnicodeEncodeError) as error:
        raise WholecardError(
            f"cannot write {path}: {error}", resolution="Name another place: --output FILE"
        ) from error
