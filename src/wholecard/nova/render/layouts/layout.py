"""The layouts by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from wholecard.core import UsageError
from wholecard.core.releases import Release
from wholecard.nova.desired.scheduler_filters import default_filters
from wholecard.nova.render.layouts import charms, drop_in, kolla, openstack_ansible, rhoso
from wholecard.nova.render.layouts.cloud import Cloud
from wholecard.site.model import Site


@dataclass(frozen=True)
class Layout:
    """A deployment tool.

    `files` returns the files that it reads. `filters` are the `enabled_filters` that it sets by
    default, nova's own where it sets none. `placement` is False where it cannot turn on Placement
    for cards.
    """

    name: str
    files: Callable[[Cloud], dict[str, str]]
    filters: Callable[[Release], tuple[str, ...]] = lambda release: default_filters(release.nova)
    placement: bool = True

    def fitted(self, site: Site) -> Site:
        """The site as the tool can set it. Raises UsageError for what it cannot set."""
        if self.placement:
            return site
        requested = site.nova
        if True in (requested.report_in_placement, requested.pci_in_placement):
            raise UsageError(
                f"{self.name} has no option for report_in_placement and pci_in_placement",
                resolution="Write auto for both in the site file; nova then counts the cards.",
            )
        off = {"report_in_placement": False, "pci_in_placement": False}
        return site.model_copy(update={"nova": requested.model_copy(update=off)})


_ALL = (
    Layout("drop-in", drop_in.files),
    Layout("kolla", kolla.files),
    Layout("openstack-ansible", openstack_ansible.files),
    Layout("charms", charms.files, charms.default_filters, placement=False),
    Layout("rhoso", rhoso.files, rhoso.default_filters),
)
LAYOUTS: Mapping[str, Layout] = {layout.name: layout for layout in _ALL}


def layout(name: str) -> Layout:
    """The layout of that name. Raises UsageError for an unknown one."""
    if name not in LAYOUTS:
        resolution = f"Choose one of {', '.join(LAYOUTS)}."
        raise UsageError(f"unknown layout {name!r}", resolution=resolution)
    return LAYOUTS[name]
