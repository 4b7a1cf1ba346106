"""From the host's function to the guest's: the `<hostdev>` elements of a libvirt domain.

How the XML is read is `pci.libvirt_xml`'s; here is where in the guest a function ends up.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wholecard.core import Finding, Severity, WholecardError
from wholecard.guest.proof.record import Proof, ProofFunction
from wholecard.pci import Address
from wholecard.pci.libvirt_xml import pci_address, read_xml


@dataclass(frozen=True)
class Hostdev:
    """One function given to a domain.

    `host` is its address on the host (`0000:01:00.0`), `alias` libvirt's name of it (empty where
    the domain does not run). `path` are the `slot.function` steps from the guest's root bus down
    to it, in hexadecimal (`("02.0", "00.0", "01.0")`): libvirt's bus numbers are indexes of its
    controllers, and the guest's firmware gives numbers of its own, but slots stay.
    """

    host: str
    alias: str
    path: tuple[str, ...]

    @property
    def host_slot(self) -> str:
        """The host's slot, which is the card: the address without its function."""
        return self.host.rpartition(".")[0]


def parse(xml: str) -> tuple[Hostdev, ...]:
    """The PCI hostdevs of a domain's XML, in its order.

    Raises WholecardError when it is no domain's XML, or when a guest address hangs below a
    controller that is missing or is an expander bus, whose place in the guest is not its address.
    """
    try:
        return _hostdevs(read_xml(xml))
    except ValueError as error:
        raise WholecardError(
            "cannot read the domain's XML",
            str(error),
            "Take it from `virsh dumpxml` of the running domain.",
        ) from error


def locate(hostdevs: Sequence[Hostdev], proof: Proof) -> dict[str, ProofFunction]:
    """Host address to the function that the guest saw at that place, for those that it saw."""
    seen = {tuple(_step(a) for a in function.path): function for function in proof.functions}
    return {each.host: seen[each.path] for each in hostdevs if each.path in seen}


@dataclass(frozen=True)
class AskedCard:
    """One card that was asked for: a name, and the `vendor:device` of each of its functions."""

    name: str
    functions: tuple[str, ...]


def same_card(
    asked: Sequence[AskedCard], hostdevs: Sequence[Hostdev], ids: Mapping[str, str]
) -> list[Finding]:
    """WC403 for each asked card whose functions were given, but out of different host slots.

    `ids` maps host addresses to `vendor:device` (from the host, or from `locate`). A card that
    lacks a function altogether is none of this rule's: the proof says that it is missing.
    """
    slots: dict[str, list[Hostdev]] = {}
    for each in hostdevs:
        slots.setdefault(each.host_slot, []).append(each)
    split = []
    # Whole cards first: what is left in the slots belongs to the cards that were torn apart.
    for card in sorted(asked, key=lambda each: -len(each.functions)):
        if not _take(slots, card, ids):
            split.append(card)
    return [finding for card in split if (finding := _torn(slots, card, ids)) is not None]


def _take(slots: dict[str, list[Hostdev]], card: AskedCard, ids: Mapping[str, str]) -> bool:
    """Take a card's functions out of one slot that has them all; the best-fitting slot first."""
    for slot in sorted(slots, key=lambda each: (len(slots[each]), each)):
        chosen = _choose(slots[slot], card, ids)
        if chosen is not None:
            slots[slot] = [each for each in slots[slot] if each not in chosen]
            return True
    return False


def _torn(
    slots: dict[str, list[Hostdev]], card: AskedCard, ids: Mapping[str, str]
) -> Finding | None:
    chosen = _choose([each for devices in slots.values() for each in devices], card, ids)
    if chosen is None:
        return None
    for each in chosen:
        slots[each.host_slot].remove(each)
    parts = ", ".join(f"{ids[each.host]} from {each.host}" for each in chosen)
    return Finding(
        "WC403",
        card.name,
        Severity.ERROR,
        f"the functions of {card.name} come from different cards: {parts}",
        "nova cannot keep two functions together: give only the main function and bind its "
        "companions to vfio-pci, or use an alias for each address.",
    )


def _choose(
    devices: Sequence[Hostdev], card: AskedCard, ids: Mapping[str, str]
) -> list[Hostdev] | None:
    """One device for each function of the card, None where one is missing."""
    wanted = Counter(card.functions)
    chosen = []
    for each in devices:
        if wanted[ids.get(each.host, "")] > 0:
            wanted[ids[each.host]] -= 1
            chosen.append(each)
    return chosen if wanted.total() == 0 else None


def _hostdevs(domain: ET.Element) -> tuple[Hostdev, ...]:
    if domain.tag != "domain":
        raise ValueError(f"it is a <{domain.tag}>")
    controllers = {
        int(controller.get("index", "-1")): controller
        for controller in domain.findall("./devices/controller[@type='pci']")
    }
    hostdevs = domain.findall("./devices/hostdev[@type='pci']")
    return tuple(_hostdev(hostdev, controllers) for hostdev in hostdevs)


def _hostdev(element: ET.Element, controllers: Mapping[int, ET.Element]) -> Hostdev:
    host = pci_address(element.find("./source/address"))
    guest = pci_address(element.find("./address"))
    if host is None or guest is None:
        raise ValueError("a <hostdev> has no address")
    alias = element.find("./alias")
    return Hostdev(
        host=str(host),
        alias="" if alias is None else alias.get("name", ""),
        path=_path(guest, controllers),
    )


def _path(address: Address, controllers: Mapping[int, ET.Element]) -> tuple[str, ...]:
    """The steps from the root bus to an address, climbing from controller to controller."""
    steps: list[str] = []
    # A bus number is a byte: a longer way goes in a circle.
    while len(steps) < 256:
        steps.insert(0, f"{address.slot:02x}.{address.function:x}")
        if address.bus == 0:
            return tuple(steps)
        controller = controllers.get(address.bus)
        parent = None if controller is None else pci_address(controller.find("./address"))
        if controller is None or parent is None or "expander" in controller.get("model", ""):
            raise ValueError(f"bus {address.bus} of the guest hangs below no bridge that is known")
        address = parent
    raise ValueError("the guest's buses go in a circle")


def _step(address: str) -> str:
    """`slot.function` of an address `domain:bus:slot.function`."""
    return address.rpartition(":")[2]
