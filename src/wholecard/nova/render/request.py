"""What `nova render` and `nova diff` are asked, and their answers: records in, records out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wholecard.core import UsageError
from wholecard.core.capabilities import Capability, has
from wholecard.core.releases import LATEST, Release, release
from wholecard.nova.conf.oslo_values import Values, read_values
from wholecard.nova.desired import site_checks
from wholecard.nova.desired.json_values import PciAlias, PciDeviceSpec
from wholecard.nova.desired.required_options import PciConfig
from wholecard.nova.desired.scheduler_filters import (
    available_filters,
    filters_of,
    missing_class,
    refuse_wrong_filters,
)
from wholecard.nova.options import Role
from wholecard.nova.render import diff
from wholecard.nova.render.drop_in_file import text
from wholecard.nova.render.layouts import Layout, layout
from wholecard.nova.render.layouts.cloud import Cloud, cloud_of
from wholecard.nova.render.managed_files import without_ours
from wholecard.pci.device_types import DeviceType, NumaPolicy
from wholecard.site.load import SiteFile, issue_line, read_site

_CARD = re.compile(r"(?P<name>[^=]+)=(?P<vendor>[0-9a-f]{4}):(?P<product>[0-9a-f]{4})"
                   r"(?:,(?P<type>type-(?:PCI|PF|VF)))?")  # fmt: skip


_DEFAULT_FILTERS = (
    "enabled_filters is nova's own list of {release} with the filter for cards, and replaces the "
    "list that nova-scheduler has now; to keep yours, give its files with --conf, or write it as "
    "nova.enabled_filters into the site file"
)


@dataclass(frozen=True)
class RenderRequest:
    """The cards, from a site file or by ids, and what they are rendered for.

    `cards` are texts `NAME=VENDOR:PRODUCT[,type-PF]`. `release` is the site's where it is empty,
    the newest without a site. `conf` are the files that nova-scheduler reads now.
    """

    site: Path | None = None
    cards: tuple[str, ...] = ()
    release: str = ""
    conf: tuple[Path, ...] = ()
    layout: str = "drop-in"


@dataclass(frozen=True)
class Rendered:
    """Texts by the path that each has below a folder, and what a person should know of them."""

    files: Mapping[str, str]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class DropIn:
    """The text of one role's file, its release, and what a person should know of it."""

    text: str
    release: Release
    warnings: tuple[str, ...] = ()


def render_files(request: RenderRequest) -> Rendered:
    """The files of the whole layout. Raises UsageError for what nova or the tool does not do."""
    cloud, warnings = _cloud(request, None)
    return Rendered(layout(request.layout).files(cloud), warnings)


def render_drop_in(request: RenderRequest, role: Role, host: str = "") -> DropIn:
    """The drop-in of one role, for compute that of a host. Raises UsageError as render_files."""
    cloud, warnings = _cloud(request, role)
    options = cloud.compute(host) if role == "compute" else cloud.roles[role]
    return DropIn(text(role, options, cloud.release), cloud.release, warnings)


def diff_drop_in(
    request: RenderRequest, role: Role, files: Sequence[Path], host: str = ""
) -> tuple[diff.Diff, tuple[str, ...]]:
    """What the role's drop-in would change for a service that reads `files`, and warnings."""
    drop_in = render_drop_in(request, role, host)
    return diff.diff(role, files, drop_in.text, drop_in.release), drop_in.warnings


def _cloud(request: RenderRequest, role: Role | None) -> tuple[Cloud, tuple[str, ...]]:
    """The cloud that is asked for, with the warnings for a role or for all."""
    if (request.site is None) == (not request.cards):
        resolution = "--site site.yaml, or --alias NAME=VENDOR:PRODUCT[,type-PF]"
        raise UsageError("use either a site file or --alias", resolution=resolution)
    tool = layout(request.layout)
    file = read_site(request.site) if request.site else None
    chosen = file.release if file else LATEST
    if request.release:
        chosen = release(request.release)
    # Our own file has what was rendered before, and is about to be replaced.
    others = without_ours(request.conf)
    values = read_values(others, chosen.nova)
    configs: Mapping[str, PciConfig] = {"": _config_by_ids(request.cards, chosen, tool)}
    warnings: list[str] = []
    if file:
        site, available = tool.fitted(file.site), available_filters(values)
        configs = site_checks.configs(file, chosen, site, available)
        issues = site_checks.warnings(file, chosen, site, role, available)
        warnings += [issue_line(file.path, issue) for issue in issues]
    filters, are_known = _filters(request, file, values, tool, chosen)
    if role in (None, "scheduler"):
        if file is None or file.site.nova.enabled_filters is None:
            refuse_wrong_filters(others, values, chosen)
        # The other tools add the filter to their own list, or set a list of their own.
        if not are_known and tool.name in ("drop-in", "kolla"):
            warnings.append(_DEFAULT_FILTERS.format(release=chosen))
    return cloud_of(configs, chosen, filters, missing_class(values), are_known), tuple(warnings)


def _filters(
    request: RenderRequest, file: SiteFile | None, values: Values, tool: Layout, release: Release
) -> tuple[Sequence[str], bool]:
    """The scheduler's filters of today, and whether they are known rather than a default."""
    if file and file.site.nova.enabled_filters is not None:
        return file.site.nova.enabled_filters, True
    if request.conf:
        return filters_of(values, release.nova), True
    return tool.filters(release), False


def _config_by_ids(cards: Sequence[str], release: Release, tool: Layout) -> PciConfig:
    """Cards by their ids alone, with what the release has."""
    specs, aliases = [], []
    policy: NumaPolicy | None = "preferred" if has(release, Capability.ALIAS_NUMA_POLICY) else None
    for card in cards:
        match = _CARD.fullmatch(card)
        if match is None:
            how = "Write it as NAME=VENDOR:PRODUCT with the ids of `lspci -nn`"
            example = "for example h100=10de:2330,type-PF"
            raise UsageError(f"{card!r} is not a card", resolution=f"{how}, {example}.")
        device_type: DeviceType = match["type"] or "type-PCI"  # type: ignore[assignment]  # by the pattern
        ids = match["vendor"], match["product"]
        specs.append(PciDeviceSpec(*ids))
        aliases.append(PciAlias(match["name"], *ids, device_type, policy))
    return PciConfig(tuple(specs), tuple(aliases), tool.placement, tool.placement)
