"""How nova uses Placement, and the tags that device_spec and alias have for it."""

from __future__ import annotations

from dataclasses import dataclass

from wholecard.core.capabilities import Capability, has
from wholecard.core.releases import Release
from wholecard.nova.desired.json_values import PciAlias, PciDeviceSpec
from wholecard.nova.desired.tuning import is_too_wide
from wholecard.pci.device_types import DeviceType
from wholecard.site.model import CardKind, Site


@dataclass(frozen=True)
class PlacementUse:
    """Whether computes report cards to Placement, and whether nova chooses cards there."""

    report: bool
    choose: bool


def placement_use(site: Site, release: Release, cards_per_host: int = 0) -> PlacementUse:
    """How the site's nova uses Placement, as far as the release has it.

    `cards_per_host` is the largest number of cards of a kind on a host: where that release's
    Placement cannot be tuned for so many, `auto` does not choose there.
    """
    requested = site.nova
    can_report = has(release, Capability.REPORT_IN_PLACEMENT)
    report = can_report and requested.report_in_placement is not False
    can_choose = has(release, Capability.PCI_IN_PLACEMENT)
    # Written as true it stays on, with a warning: the operator may have tuned Placement alone.
    if requested.pci_in_placement is True:
        return PlacementUse(report, can_choose)
    choose = report and can_choose and requested.pci_in_placement is not False
    return PlacementUse(report, choose and not is_too_wide(release.nova, cards_per_host))


@dataclass(frozen=True)
class PlacementTags:
    """Writes a kind of card as device_spec and as alias of its release.

    `resource_class` is None where nova's own is used. `knows_live_migration` is whether the
    release has the key `live_migratable`.
    """

    name: str
    kind: CardKind
    use: PlacementUse
    resource_class: str | None
    knows_live_migration: bool

    def spec(self, vendor: str, product: str, address: str | None = None) -> PciDeviceSpec:
        """The kind's device_spec for these ids."""
        return PciDeviceSpec(
            vendor_id=vendor,
            product_id=product,
            address=address,
            resource_class=self.resource_class if self.use.report else None,
            traits=self.kind.traits if self.use.report else (),
            managed=None if self.kind.managed else False,
            live_migratable=self._live_migratable,
            one_time_use=self.kind.one_time_use,
        )

    def alias(self, ids: tuple[str, str] | None, device_type: DeviceType) -> PciAlias:
        """The kind's alias for these ids; without ids it asks for the resource class alone."""
        return PciAlias(
            name=self.name,
            vendor_id=ids[0] if ids else None,
            product_id=ids[1] if ids else None,
            device_type=device_type,
            numa_policy=self.kind.numa_policy,
            resource_class=self.resource_class if self.use.choose else None,
            traits=self.kind.traits if self.use.choose else (),
            live_migratable=self._live_migratable,
        )

    @property
    def _live_migratable(self) -> bool | None:
        # Before 2025.1 no card migrates, so `false` need not be written.
        return self.kind.live_migratable if self.knows_live_migration else None
