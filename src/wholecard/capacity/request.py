"""The entry point of `capacity`: sources in, what can still be given out. Nothing is printed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wholecard.audit.request import AuditWatcher
from wholecard.capacity.answer import Capacity
from wholecard.capacity.counting import count
from wholecard.capacity.findings import findings_of
from wholecard.capacity.record import Stock
from wholecard.capacity.saved import read_saved
from wholecard.core import Finding
from wholecard.core.releases import Release
from wholecard.explain.evidence.conf_values import settings
from wholecard.explain.evidence.from_files import Files
from wholecard.nova.conf.service_conf import NovaConf
from wholecard.site.load import SiteFile

if TYPE_CHECKING:
    from wholecard.audit.views.open_views import AuditSources


@dataclass(frozen=True)
class CapacityRequest:
    """What is counted: a saved file, else `sources` of a running cloud, else the site of `files`.

    `files` also have nova-api's aliases, and a site's, which Placement does not know. `plan` is a
    planned site, counted beside it. `mix` are servers by flavor that are placed first; `blazar` is
    whether findings say what Blazar would count.
    """

    sources: AuditSources | None = None
    files: Files = field(default_factory=Files)
    saved: Path | None = None
    plan: SiteFile | None = None
    mix: Mapping[str, int] = field(default_factory=dict)
    release: Release | None = None
    blazar: bool = False


@dataclass(frozen=True)
class CapacityAnswer:
    """Today's capacity, the planned one if there is a plan, and what today's was counted from."""

    today: Capacity
    planned: Capacity | None
    stock: Stock

    @property
    def undecided(self) -> bool:
        """Whether today no flavor with cards could be counted."""
        return all(row.unknown for row in self.today.flavors)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Those of both."""
        planned = self.planned.findings if self.planned else ()
        return tuple(dict.fromkeys((*self.today.findings, *planned)))

    def to_json(self) -> dict[str, Any]:
        """What `capacity --json` prints."""
        planned = self.planned.to_json() if self.planned else None
        return {**self.today.to_json(), "planned": planned}


def capacity(request: CapacityRequest, watcher: AuditWatcher | None = None) -> CapacityAnswer:
    """Read and count. Raises UsageError, CloudError and UnsupportedError."""
    stock = _stock(request, watcher or AuditWatcher())
    plan = _site(request.plan, stock) if request.plan else None
    planned = _counted(plan, request, planned=True) if plan else None
    return CapacityAnswer(_counted(stock, request), planned, stock)


def _counted(stock: Stock, request: CapacityRequest, planned: bool = False) -> Capacity:
    answer = count(stock, request.mix)
    return replace(answer, findings=tuple(findings_of(answer, request.blazar, planned)))


def _site(site: SiteFile | None, today: Stock | None = None) -> Stock:
    if site is None:
        return Stock("no site")
    # Late, as below: it loads OpenStack's SDK, which a saved file does not need.
    from wholecard.capacity.from_site import site_stock  # noqa: PLC0415

    return site_stock(site, today)


def _stock(request: CapacityRequest, watcher: AuditWatcher) -> Stock:
    files, site = request.files, request.files.site
    stock = of_site = _site(site)
    if request.saved is not None:
        stock = read_saved(request.saved)
    elif request.sources is not None:
        from wholecard.capacity.from_cloud import cloud_stock  # noqa: PLC0415

        release = request.release or (site.release if site else None)
        stock = cloud_stock(request.sources, release, watcher)
    stock = replace(stock, release=request.release or stock.release)
    aliases = stock.aliases or of_site.aliases
    if files.api:
        conf = NovaConf.read(list(files.api), "api")
        aliases = tuple(value.text for value in settings(conf, "alias", stock.release))
    return replace(stock, aliases=aliases, flavors=stock.flavors or of_site.flavors)
