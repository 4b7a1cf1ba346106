"""`wholecard nova …`: nova.conf for the cards."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from wholecard.cli import nova_lint
from wholecard.core import UsageError
from wholecard.core.capabilities import Capability, has
from wholecard.core.releases import LATEST, Release, release
from wholecard.nova.conf.oslo_values import read_values
from wholecard.nova.desired.json_values import PciAlias, PciDeviceSpec
from wholecard.nova.desired.required_options import PciConfig
from wholecard.nova.desired.scheduler_filters import (
    available_filters,
    filters_of,
    missing_class,
    refuse_wrong_filters,
)
from wholecard.nova.desired.site_checks import configs as site_configs
from wholecard.nova.desired.site_checks import warnings
from wholecard.nova.layouts import Layout, layout
from wholecard.nova.layouts.cloud import Cloud, made_cloud
from wholecard.nova.layouts.files import write
from wholecard.nova.options import ROLES, Role
from wholecard.nova.render.diff import as_text, diff
from wholecard.nova.render.drop_in_file import text
from wholecard.nova.render.managed_files import without_ours
from wholecard.pci.device_types import DeviceType, NumaPolicy
from wholecard.site.load import SiteFile, issue_line, read_site

# Its help stands in cli/app.py, which lists it without importing this file.
app = typer.Typer(no_args_is_help=True)

_GIVEN = re.compile(r"(?P<name>[^=]+)=(?P<vendor>[0-9a-f]{4}):(?P<product>[0-9a-f]{4})"
                    r"(?:,(?P<type>type-(?:PCI|PF|VF)))?")  # fmt: skip

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
    tool = layout(for_tool)
    chosen = None if role is None else _role(role)
    cloud = _cloud(site, of, alias or (), conf or (), tool, chosen)
    if chosen is not None:
        if tool.name != "drop-in" or output is not None:
            raise UsageError(
                "--role prints one drop-in; --layout and --output are for all roles",
                resolution="Take --role away.",
            )
        typer.echo(_drop_in(cloud, chosen, host or ""), nl=False)
        return
    if host is not None:
        raise UsageError("--host goes with --role", resolution="Name a role: --role compute")
    if output is None and tool.name == "drop-in":
        raise UsageError(
            "name a role, or a folder for the files of all",
            resolution=f"--role {'|'.join(ROLES)}, or --output DIR",
        )
    files = tool.files(cloud)
    if output is None:
        typer.echo("\n".join(f"==> {path} <==\n{one}" for path, one in files.items()), nl=False)
        return
    changed = write(output, files)
    for path in files:
        typer.echo(f"{'written' if output / path in changed else 'unchanged'}: {output / path}")


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
    chosen = _role(role)
    # Only the scheduler's own files tell which filters it has.
    cloud = _cloud(site, of, alias or (), conf if chosen == "scheduler" else (), layout("drop-in"),
                   chosen)  # fmt: skip
    found = diff(chosen, conf, _drop_in(cloud, chosen, host or ""), cloud.of)
    typer.echo(
        json.dumps(found.to_json(), indent=2) + "\n" if as_json else as_text(found), nl=False
    )
    if found.changes or found.warnings or found.text:
        raise typer.Exit(1)


def _role(text: str) -> Role:
    for each in ROLES:
        if text == each:
            return each
    raise UsageError(f"nova has no role {text!r}", resolution=f"Choose one of {', '.join(ROLES)}.")


def _drop_in(cloud: Cloud, role: Role, host: str) -> str:
    found = cloud.compute(host) if role == "compute" else cloud.roles[role]
    return text(role, found, cloud.of)


def _cloud(
    site: Path | None,
    of: str | None,
    alias: Sequence[str],
    conf: Sequence[Path],
    tool: Layout,
    role: Role | None,
) -> Cloud:
    """The cloud of a site file, or of the aliases on the command line.

    What stops nothing and a person should know, of this role or of all, is said on standard error.
    """
    if (site is None) == (not alias):
        raise UsageError(
            "give either a site file or cards",
            resolution="--site site.yaml, or --alias NAME=VENDOR:PRODUCT[,type-PF]",
        )
    chosen = release(of) if of else None
    if site is None:
        chosen = chosen or LATEST
        configs: Mapping[str, PciConfig] = {"": _quick(alias, chosen, tool)}
        return _made(configs, chosen, conf, None, tool, role)
    file = read_site(site)
    chosen = chosen or file.release
    available = available_filters(read_values(without_ours(conf), chosen.nova))
    configs = site_configs(file, chosen, tool.fitted(file.site), available)
    return _made(configs, chosen, conf, file, tool, role)


def _made(
    configs: Mapping[str, PciConfig],
    of: Release,
    conf: Sequence[Path],
    file: SiteFile | None,
    tool: Layout,
    role: Role | None,
) -> Cloud:
    # Our own file has what was rendered before, and is about to be replaced.
    theirs = without_ours(conf)
    values = read_values(theirs, of.nova)
    named = file.site.nova.enabled_filters if file else None
    read = filters_of(values, of.nova) if conf else None
    filters = named or read or tool.filters(of)
    known = named is not None or read is not None
    if named is None and role in (None, "scheduler"):
        refuse_wrong_filters(theirs, values, of)
    if file is not None:
        for each in warnings(file, of, tool.fitted(file.site), role, available_filters(values)):
            typer.echo(f"warning: {issue_line(file.path, each)}", err=True)
    if not known and role in (None, "scheduler") and tool.name in ("drop-in", "kolla"):
        typer.echo(
            f"warning: enabled_filters is nova's own list of {of} with the filter for cards, and "
            "replaces the list that nova-scheduler has now; to keep yours give its files with "
            "--conf, or name it as nova.enabled_filters in the site file",
            err=True,
        )
    return made_cloud(configs, of, filters, missing_class(values), known)


def _quick(given: Sequence[str], of: Release, tool: Layout) -> PciConfig:
    """Cards by their ids alone, with what the release has."""
    specs, aliases = [], []
    policy: NumaPolicy | None = "preferred" if has(of, Capability.ALIAS_NUMA_POLICY) else None
    for text_given in given:
        name, vendor, product, device_type = _parsed(text_given)
        specs.append(PciDeviceSpec(vendor, product))
        aliases.append(PciAlias(name, vendor, product, device_type, policy))
    return PciConfig(
        tuple(specs),
        tuple(aliases),
        report_in_placement=tool.placement,
        pci_in_placement=tool.placement,
    )


def _parsed(given: str) -> tuple[str, str, str, DeviceType]:
    match = _GIVEN.fullmatch(given)
    if match is None:
        raise UsageError(
            f"{given!r} names no card",
            resolution="Write it as NAME=VENDOR:PRODUCT with the ids of `lspci -nn`, for "
            "example h100=10de:2330,type-PF.",
        )
    kind: DeviceType = match["type"] or "type-PCI"  # type: ignore[assignment]  # by the pattern
    return match["name"], match["vendor"], match["product"], kind
