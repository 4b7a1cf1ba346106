"""`wholecard site …`: the site file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wholecard.cli import options, site_report
from wholecard.cli.say import say
from wholecard.core import UsageError, WholecardError
from wholecard.core.releases import LATEST, release

if TYPE_CHECKING:
    from wholecard.pci import Function
    from wholecard.site.load import SiteFile
    from wholecard.site.scaffold import FoundHost
    from wholecard.site.yaml_positions import SiteIssue

# Its help is in cli/app.py, which lists it without importing this file.
app = typer.Typer(no_args_is_help=True)

SCHEMA_NAME = "site.schema.json"


@app.command("init")
def init_command(
    more: Annotated[list[str] | None, typer.Argument(metavar="[[HOST=]FILE]...", help="More files "
        "of facts, as with --facts.")] = None,
    facts: options.Facts = None,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The file to "
                      "write.")] = Path("site.yaml"),
    release_name: Annotated[str, typer.Option("--release", metavar="RELEASE", help="OpenStack's "
                            "release, for example 2025.2.")] = str(LATEST),
) -> None:  # fmt: skip
    """Write a first site file from the facts of hosts, with comments; overwrites no file.

    Without --facts it describes this host. It also writes site.schema.json, for editors.

      wholecard site init --release 2025.2 --facts facts/*.json
    """
    from wholecard.host.facts.inspect import inspect
    from wholecard.site.scaffold import FoundHost, first_site
    from wholecard.site.schema import schema_text

    series = release(release_name)
    if output.exists() or output.is_symlink():
        raise _exists(output)
    files = [*(facts or ()), *(more or ())]
    hosts = _read(files, output.parent) if files else {os.uname().nodename: FoundHost(inspect())}
    _write(output, first_site(hosts, series, SCHEMA_NAME))
    at = "" if output == Path("site.yaml") else f" --site {output}"
    say(f"wrote {output}; read it, then: wholecard site check{at}")
    schema = output.parent / SCHEMA_NAME
    if not schema.exists():
        _write(schema, schema_text())
        say(f"wrote {schema}, which editors use to complete and check it")


@app.command("check")
def check_command(
    site: options.SiteFile = Path("site.yaml"),
    format_name: options.Format = "table",
    columns: options.Columns = None,
    as_json: options.Json = False,
) -> None:
    """Check a site file and the facts that it names; the rows are errors, warnings and notes.

    A setting that nova of the site's release does not have, or would refuse, is an error too. Notes
    say why servers of a flavor with cards will be slower than they could be.

    Exit status: 0 no errors, 1 there are errors, each with its line and column.
    """
    from wholecard.nova.desired.site_checks import check_site
    from wholecard.site.load import SiteError, read_site

    file = None
    try:
        file = read_site(site)
        checked = check_site(file)
        errors, warnings, notes = checked.errors, checked.warnings, checked.notes
    except SiteError as error:
        errors, warnings, notes = error.issues, (), ()
    by_severity = {"error": errors, "warning": warnings, "note": notes}
    counts = _card_counts(file) if file is not None and not errors else {}
    answer = {
        "path": str(site),
        "release": None if file is None else str(file.release),
        "issues": [
            {"severity": severity, **position._asdict(), "what": what, "hint": hint}
            for severity, issues in by_severity.items()
            for position, what, hint in issues
        ],
        "cards": counts,
    }
    options.show(_check_text(site, file, by_severity, counts), answer, "issues",
                 as_json=as_json, format_name=format_name, columns=columns)  # fmt: skip
    raise typer.Exit(int(bool(errors)))


def _card_counts(file: SiteFile) -> dict[str, dict[str, int]]:
    """How many cards of each kind each host with facts has."""
    from wholecard.site.card_matching import count_of

    facts = file.facts()
    return {
        kind: {name: count_of(model, name, host) for name, host in facts.items()}
        for kind, model in file.site.cards.items()
    }


def _bound_outside(file: SiteFile) -> dict[str, str]:
    """By kind the functions of its cards that no guest gets."""
    from wholecard.site.card_matching import bound_outside, bound_text

    functions: dict[str, list[Function]] = {}
    for name, host in file.facts().items():
        for kind, function in bound_outside(file.site, name, host):
            functions.setdefault(kind, []).append(function)
    return {kind: bound_text(of_kind) for kind, of_kind in functions.items()}


def _check_text(
    path: Path,
    file: SiteFile | None,
    by_severity: Mapping[str, Sequence[SiteIssue]],
    counts: Mapping[str, Mapping[str, int]],
) -> str:
    from wholecard.core.units import counted
    from wholecard.site.load import issue_line

    lines = [
        f"{severity}: {issue_line(path, issue)}"
        for severity, issues in by_severity.items()
        for issue in issues
    ]
    if by_severity["error"] or file is None:
        lines.append(f"{path}: {counted(len(by_severity['error']), 'error')}; all keys and "
            "values: docs/reference/site.md")  # fmt: skip
        return "\n".join(lines)
    lines.append(
        f"{path}: no errors ({file.release}; hosts: {len(file.site.hosts)}, "
        f"with facts: {len(file.facts())}; flavors: {len(file.site.flavors)})"
    )
    outside = _bound_outside(file)
    for kind, by_host in counts.items():
        hosts = ", ".join(f"{name} {count}" for name, count in by_host.items() if count)
        lines.append(f"  {kind}: {hosts or 'on no host with facts'}")
        if bound := outside.get(kind):
            lines.append(f"    a guest gets the GPU alone; bound to vfio-pci with it: {bound}")
    return "\n".join(lines)


@app.command("host")
def host_command(
    name: Annotated[str, typer.Argument(metavar="HOST", help="The host, by its name in the site "
        "file.")],
    site: options.SiteFile = Path("site.yaml"),
) -> None:  # fmt: skip
    """Print what a host has to be prepared for, as `host plan --desired` reads it.

    Which cards are given whole, which in parts and how, and which stay for containers. What the
    site file does not say, such as huge pages, is added with the options of `host plan`.

      wholecard site host gpu-01 > gpu-01.json
      wholecard host plan --desired gpu-01.json
    """
    import json

    from wholecard.site.host_state import desired_state_of
    from wholecard.site.load import read_site

    say(json.dumps(desired_state_of(read_site(site), name).to_json(), indent=2))


app.command("report")(site_report.command)


@app.command("schema")
def schema_command() -> None:
    """Print the JSON schema of site files, which editors use to complete and check them."""
    from wholecard.site.schema import schema_text

    say(schema_text(), end="")


def _read(files: Iterable[str], folder: Path) -> dict[str, FoundHost]:
    """The hosts of these files of facts; a path is written as seen from the site file's folder."""
    from wholecard.host.facts.saved import read_host
    from wholecard.nova.conf.file_options import facts_file
    from wholecard.site.model_types import LINE_PATTERN, NAME_PATTERN
    from wholecard.site.scaffold import FoundHost

    hosts: dict[str, FoundHost] = {}
    for text in files:
        name, file = facts_file(text)
        path = os.path.relpath(file, folder)
        if not (re.fullmatch(NAME_PATTERN, name) and re.fullmatch(LINE_PATTERN, path)):
            resolution = "Write HOST=FILE, with the host's name as nova-compute has it."
            raise UsageError(f"{text!r} names no host", resolution=resolution)
        if name in hosts:
            what = f"two files have the facts of {name}"
            raise UsageError(what, resolution="Write HOST=FILE for each file.")
        hosts[name] = FoundHost(read_host(file), path)
    return hosts


def _exists(path: Path) -> UsageError:
    return UsageError(f"{path} already exists", resolution="Name another file: --output FILE")


def _write(path: Path, text: str) -> None:
    """Write a new file. Raises UsageError where it exists, WholecardError otherwise."""
    try:
        data = text.encode()
        with path.open("xb") as file:
            file.write(data)
    except FileExistsError as error:
        raise _exists(path) from error
    except (OSError, UnicodeEncodeError) as error:
        resolution = "Name another file: --output FILE"
        raise WholecardError(f"cannot write {path}: {error}", resolution=resolution) from error
