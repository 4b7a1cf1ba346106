"""libvirt's XML of a domain, as far as it is about PCI.

The XML is our own libvirt's (`virsh dumpxml`, or the state that its driver keeps of a running
domain), so the standard library's parser is enough. Source:
https://libvirt.org/formatdomain.html and https://libvirt.org/pci-addresses.html.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET

from wholecard.pci.address import Address


def read_xml(text: str | bytes) -> ET.Element:
    """The root element. Raises ValueError for what is not XML."""
    try:
        return ET.fromstring(text)  # noqa: S314 -- our own libvirt's, see the module's docstring
    except ET.ParseError as error:
        raise ValueError(str(error)) from error


def pci_address(address: ET.Element | None) -> Address | None:
    """The address that an `<address>` element says, None where it says no PCI address.

    A USB device's has a bus without a slot, a mediated device's neither. Raises ValueError for
    text that is not a number, or a number that is too large for its part.
    """
    if address is None or "bus" not in address.attrib or "slot" not in address.attrib:
        return None
    numbers = [address.get(key, "0") for key in ("domain", "bus", "slot", "function")]
    return Address(*(int(number, 0) for number in numbers))


def given_functions(root: ET.Element) -> frozenset[Address]:
    """The host's functions that a domain has, by its hostdevs and interfaces.

    Their `<source>` has the host's address, the element itself the guest's.
    """
    addresses = (
        pci_address(device.find("./source/address"))
        for tag in ("hostdev", "interface")
        for device in root.iter(tag)
    )
    return frozenset(address for address in addresses if address is not None)


def given_mdevs(root: ET.Element) -> frozenset[str]:
    """The UUIDs of the mediated devices that a domain has."""
    addresses = root.iterfind(".//hostdev[@type='mdev']/source/address")
    return frozenset(address.get("uuid", "").lower() for address in addresses) - {""}
