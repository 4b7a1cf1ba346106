"""What a kind says beside its ids: the keys of device_spec and alias that a release has for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from wholecard.nova.cards import DeviceType, NumaPolicy, PciAlias, PciDeviceSpec
from wholecard.nova.undoable import refused
from wholecard.site.model import CardKind


@dataclass(frozen=True)
class PlacementUse:
    """Whether computes report cards in Placement, and whether cards are chosen there."""

    report: bool
    choose: bool


@dataclass(frozen=True)
class Tags:
    """A kind of card under its name, and how its release writes it.

    `resource_class` is None where nova's own is used. `knows_live_migration` says that the
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
        """The kind's alias for these ids, for its resource class alone without."""
        policy: NumaPolicy | None = self.kind.numa_policy
        return PciAlias(
            name=self.name,
            vendor_id=ids[0] if ids else None,
            product_id=ids[1] if ids else None,
            device_type=device_type,
            numa_policy=policy,
            resource_class=self.resource_class if self.use.choose else None,
            traits=self.kind.traits if self.use.choose else (),
            live_migratable=self._live_migratable,
        )

    @property
    def _live_migratable(self) -> bool | None:
        # Before 2025.1 no card migrates: `false` needs no word there.
        return self.kind.live_migratable if self.knows_live_migration else None


def resource_classes(
    kinds: Mapping[str, CardKind],
    ids: Mapping[str, tuple[tuple[str, str], ...]],
    types: Mapping[str, DeviceType],
    use: PlacementUse,
) -> dict[str, str | None]:
    """Each kind's resource class, None where nova's own is enough.

    A kind of several products needs one of its own, for an alias asks for one class; so do two
    kinds with the same ids, for nova's own is made from the ids. Raises UndoableError where two
    kinds cannot be told apart.
    """
    classes: dict[str, str | None] = {}
    for name, kind in kinds.items():
        twins = [other for other in kinds if other != name and set(ids[other]) & set(ids[name])]
        needed = use.choose and (len(ids[name]) > 1 or bool(twins))
        classes[name] = kind.resource_class or (class_of_name(name) if needed else None)
        for twin in twins:
            if not use.choose and types[twin] == types[name]:
                raise refused(
                    ("cards", name),
                    f"nova cannot tell cards.{name} and cards.{twin} apart",
                    "They have the same ids and the same device_type, and an alias knows no "
                    "address.",
                    "Write nova.pci_in_placement: true (2023.1), or make one kind of them.",
                )
    for name, made in classes.items():
        other = next((each for each in classes if each != name and classes[each] == made), None)
        if made is not None and other is not None and set(ids[other]) & set(ids[name]):
            raise refused(
                ("cards", name),
                f"nova cannot tell cards.{name} and cards.{other} apart",
                f"They have the same ids and the same resource class, {made}.",
                "Give each a resource_class of its own.",
            )
    return classes


def class_of_name(name: str) -> str:
    """A resource class for a kind of that name: `h100 sxm` is `CUSTOM_H100_SXM`.

    As nova itself makes one of a text: os_resource_classes.normalize_name. Raises UndoableError
    where it would be too long for Placement.
    """
    words = re.sub(r"[^0-9A-Z]+", "_", name.upper())
    if len(words) > 248:
        raise refused(
            ("cards", name),
            f"cards.{name}: its name is too long for a resource class",
            mend="Write resource_class: CUSTOM_…, of at most 255 characters.",
        )
    return f"CUSTOM_{words}"
