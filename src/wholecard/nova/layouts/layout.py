"""The layouts by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from wholecard.core import UsageError
from wholecard.core.releases import Release
from wholecard.nova.desired.scheduler_filters import default_filters
from wholecard.nova.layouts import charms, drop_in, kolla, openstack_ansible, rhoso
from wholecard.nova.layouts.cloud import Cloud
from wholecard.site.model import Site


@dataclass(frozen=True)
class Layout:
    """A deployment tool.

    `files` writes what it reads. `filters` are the `enabled_filters` that it sets where nobody
    says anything. `placement` is False where the tool cannot switch Placement on for cards.
    """

    name: str
    files: Callable[[Cloud], dict[str, str]]
    filters: Callable[[Release], tuple[str, ...]]
    placement: bool = True

    def fitted(self, site: Site) -> Site:
        """The site with `auto` as far as the tool goes. Raises UsageError for what it cannot do."""
        if self.placement:
            return site
        wish = site.nova
        if True in (wish.report_in_placement, wish.pci_in_placement):
            raise UsageError(
                f"{self.name} has no option for report_in_placement and pci_in_placement",
                resolution="Write auto for them in the site file, and the cards stay nova's own.",
            )
        off = {"report_in_placement": False, "pci_in_placement": False}
        return site.model_copy(update={"nova": wish.model_copy(update=off)})


def _nova(of: Release) -> tuple[str, ...]:
    return default_filters(of.nova)


_ALL = (
    Layout("drop-in", drop_in.files, _nova),
    Layout("kolla", kolla.files, _nova),
    Layout("openstack-ansible", openstack_ansible.files, _nova),
    Layout("charms", charms.files, charms.default_filters, placement=False),
    Layout("rhoso", rhoso.files, rhoso.default_filters),
)
LAYOUTS: Mapping[str, Layout] = {each.name: each for each in _ALL}


def layout(name: str) -> Layout:
    """The layout of that name. Raises UsageError where there is none."""
    if name not in LAYOUTS:
        raise UsageError(
            f"there is no layout {name!r}", resolution=f"Choose one of {', '.join(LAYOUTS)}."
        )
    return LAYOUTS[name]
