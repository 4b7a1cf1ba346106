"""The one table of rules: a code, a title, and the severity it usually has.

Each has a page under `docs/rules/`, a test that it fires and a test that it keeps still.
"""

from __future__ import annotations

RULES: dict[str, str] = {
    "WC101": "The IOMMU is off",
    "WC102": "No interrupt remapping",
    "WC103": "A function is not on vfio-pci",
    "WC104": "A companion of the card is left behind",
    "WC105": "The IOMMU group is not viable",
    "WC106": "The card is the boot display",
    "WC107": "A card shares its IOMMU group with another card",
    "WC108": "A native driver claims the function before vfio-pci",
    "WC109": "The function was not claimed at boot",
    "WC110": "The host was not rebooted since the change",
    "WC111": "No such card",
    "WC140": "The function has moved",
    "WC141": "The host itself uses the function",
    "WC142": "The function cannot be given or parked",
    "WC401": "A function is missing in the guest",
    "WC402": "A function in the guest that was not asked for",
    "WC403": "The functions of a card do not come from one card",
    "WC404": "A function in the guest has no driver bound",
    "WC405": "The guest did not report",
    "WC501": "A card is not free again",
}
