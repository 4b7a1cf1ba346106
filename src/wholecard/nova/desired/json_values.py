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
        return _as_json(vars(self) | {"one_time_use": self.one_time_use or None})


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
            what = f"the PCI alias {self.name!r} has nothing that nova can look for"
            raise UsageError(what, resolution="Give it both ids, or a resource class.")
        # `name:count[,name:count]` is how a flavor writes it, so a name has neither sign.
        if not self.name.strip() or len(self.name) > 256 or set(self.name) & set(":,"):
            what = f"{self.name!r} cannot be the name of a PCI alias"
            raise UsageError(what, resolution="Use 1 to 256 characters without ':' and ','.")

    def to_json(self) -> str:
        """The value of one `[pci] alias` line."""
        return _as_json(vars(self))


def _check_ids(vendor_id: str, product_id: str) -> None:
    for value in (vendor_id, product_id):
        if not _ID.fullmatch(value):
            raise UsageError(
                f"{value!r} is not a PCI vendor or product id",
                resolution="Write four lower-case hexadecimal digits, as `lspci -nn` prints them.",
            )


def _as_json(fields: dict[str, str | bool | tuple[str, ...] | None]) -> str:
    """The fields that have a value, by nova's keys, which are their names, each as a text.

    The schema of an alias refuses JSON's own true, and traits are one comma-separated string.
    """
    texts = {}
    for key, value in fields.items():
        if isinstance(value, bool):
            texts[key] = "yes" if value else "no"
        elif value:
            texts[key] = ",".join(value) if isinstance(value, tuple) else value
    return json.dumps(texts)
