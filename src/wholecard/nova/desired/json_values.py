"""nova's two JSON values for a card: `device_spec` on the host, `alias` for a request.

Source: nova 34, `nova/conf/pci.py`, `nova/pci/request.py` (alias schema), `nova/pci/devspec.py`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from wholecard.core import UsageError
from wholecard.pci.device_types import DeviceType, NumaPolicy

_ID = re.compile(r"[0-9a-f]{4}")


@dataclass(frozen=True)
class PciDeviceSpec:
    """Which functions of a host nova-compute may give to servers.

    `vendor_id` and `product_id` are four lower-case hexadecimal digits. `address` is nova's glob
    (`0000:41:*.0`), None for every address. `resource_class` and `traits` say how the function is
    reported to Placement; without a class nova uses `CUSTOM_PCI_<VENDOR>_<PRODUCT>`. `managed`
    and `live_migratable` (since 2025.1) are written where they are given, `one_time_use` (since
    2025.2) where it is true.

    Raises UsageError when an id is not four hexadecimal digits.
    """

    vendor_id: str
    product_id: str
    address: str | None = None
    resource_class: str | None = None
    traits: tuple[str, ...] = ()
    managed: bool | None = None
    live_migratable: bool | None = None
    one_time_use: bool = False

    def __post_init__(self) -> None:
        _check_ids(self.vendor_id, self.product_id)

    def to_json(self) -> str:
        """The value of one `[pci] device_spec` line."""
        return json.dumps(
            {
                "vendor_id": self.vendor_id,
                "product_id": self.product_id,
                **({"address": self.address} if self.address else {}),
                **_placement_keys(self.resource_class, self.traits),
                **_yes_or_no("managed", self.managed),
                **_yes_or_no("live_migratable", self.live_migratable),
                **({"one_time_use": "yes"} if self.one_time_use else {}),
            }
        )


@dataclass(frozen=True)
class PciAlias:
    """The name by which a flavor asks for a function (`pci_passthrough:alias=NAME:COUNT`).

    `device_type` must be what nova reports for the function: `type-PF` for a card with an SR-IOV
    capability even where SR-IOV is unused. Where the `device_spec` names a resource class or
    traits, the alias must name them too. Without ids it asks for the class alone, which is how
    several products are one alias in Placement. `numa_policy` None means nova's default
    (`legacy`), the only one before Queens.

    Raises UsageError when an id is not four hexadecimal digits, the name cannot be written in a
    flavor, or the alias has neither both ids nor a resource class.
    """

    name: str
    vendor_id: str | None = None
    product_id: str | None = None
    device_type: DeviceType = "type-PCI"
    numa_policy: NumaPolicy | None = "preferred"
    resource_class: str | None = None
    traits: tuple[str, ...] = ()
    live_migratable: bool | None = None

    def __post_init__(self) -> None:
        if self.vendor_id is not None and self.product_id is not None:
            _check_ids(self.vendor_id, self.product_id)
        elif (self.vendor_id, self.product_id) != (None, None) or self.resource_class is None:
            raise UsageError(
                f"the PCI alias {self.name!r} has nothing that nova can look for",
                resolution="Give it both ids, or a resource class.",
            )
        # `name:count[,name:count]` is how a flavor writes it, so a name has neither sign.
        if not self.name.strip() or len(self.name) > 256 or set(self.name) & set(":,"):
            raise UsageError(
                f"{self.name!r} cannot be the name of a PCI alias",
                resolution="Use 1 to 256 characters without ':' and ','.",
            )

    def to_json(self) -> str:
        """The value of one `[pci] alias` line."""
        ids = {"vendor_id": self.vendor_id, "product_id": self.product_id}
        return json.dumps(
            {
                "name": self.name,
                **(ids if self.vendor_id is not None else {}),
                "device_type": self.device_type,
                **({"numa_policy": self.numa_policy} if self.numa_policy else {}),
                **_placement_keys(self.resource_class, self.traits),
                **_yes_or_no("live_migratable", self.live_migratable),
            }
        )


def _check_ids(vendor_id: str, product_id: str) -> None:
    for value in (vendor_id, product_id):
        if not _ID.fullmatch(value):
            raise UsageError(
                f"{value!r} is not a PCI vendor or product id",
                resolution="Write four lower-case hexadecimal digits, as `lspci -nn` prints them.",
            )


def _placement_keys(resource_class: str | None, traits: tuple[str, ...]) -> dict[str, str]:
    """The tags that go to Placement; nova takes traits as one comma-separated string."""
    keys = {}
    if resource_class:
        keys["resource_class"] = resource_class
    if traits:
        keys["traits"] = ",".join(traits)
    return keys


def _yes_or_no(key: str, value: bool | None) -> dict[str, str]:
    """nova needs a string here: the schema of an alias refuses JSON's own true."""
    return {} if value is None else {key: "yes" if value else "no"}
