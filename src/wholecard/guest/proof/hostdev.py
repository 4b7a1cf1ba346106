"""From the host's function to the guest's: the `<hostdev>` elements of a libvirt domain.

`pci.libvirt_xml` reads the XML; this module says where in the guest each function is.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from wholecard.core import Finding, Severity, WholecardError
from wholecard.guest.proof.record import Proof, ProofFunction
from wholecard.pci import Address, Card
from wholecard.pci.libvirt_xml import pci_address, read_xml


@dataclass(frozen=True)
class Hostdev:
    """One PCI function that a domain has.

    `host` is its address on the host (`0000:01:00.0`), `alias` libvirt's name of it (empty where
    the domain does not run). `path` are the `slot.function` steps from the guest's root bus down
    to it, in hexadecimal (`("02.0", "00.0", "01.0")`): libvirt's bus numbers are indexes of its
    controllers, and the guest's firmware assigns its own, but slots are the same in both.
    """

    host: str
    alias: str
    path: tuple[str, ...]

    @property
    def host_slot(self) -> str:
        """The host's slot: the address without its function. Mostly that is the card."""
        return self.host.rpartition(".")[0]


def parse(xml: str) -> tuple[Hostdev, ...]:
    """The PCI hostdevs of a domain's XML, in its order.

    Raises WholecardError where it is not a domain's XML, or where a guest address is on a bus whose
    controller is missing or is an expander bus, whose address is not its position in the guest.
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
    """Host address to the function that the guest saw at that path, for those that it saw."""
    seen = {tuple(map(_step, function.path)): function for function in proof.functions}
    return {hostdev.host: seen[hostdev.path] for hostdev in hostdevs if hostdev.path in seen}


@dataclass(frozen=True)
class AskedCard:
    """One card that was asked for: a name, and the `vendor:device` of each of its functions."""

    name: str
    functions: tuple[str, ...]


def same_card(
    asked: Sequence[AskedCard],
    hostdevs: Sequence[Hostdev],
    ids: Mapping[str, str],
    cards: Iterable[Card] = (),
) -> list[Finding]:
    """WC403 for each asked card whose functions the domain has from different cards of the host.

    `ids` maps host addresses to `vendor:device` (from the host, or from `locate`). `cards` are
    those of the host's facts: a card may have functions in two slots (`pci.membership`); what is in
    none of them counts by its slot. A card of which a function is missing is not reported here: the
    proof reports the function (WC401).
    """
    card_of = {str(function.address): card.slot for card in cards for function in card.functions}
    held: dict[str, list[Hostdev]] = {}
    for hostdev in hostdevs:
        held.setdefault(card_of.get(hostdev.host, hostdev.host_slot), []).append(hostdev)
    # Whole cards are taken first: what is left of the host's belongs to the cards that are split.
    by_size = sorted(asked, key=lambda card: -len(card.functions))
    split = [card for card in by_size if not _take(held, card, ids)]
    return [finding for card in split if (finding := _split_card(held, card, ids)) is not None]


def _take(held: dict[str, list[Hostdev]], card: AskedCard, ids: Mapping[str, str]) -> bool:
    """Take an asked card's functions out of one that has them all; that with fewest first."""
    for slot in sorted(held, key=lambda slot: (len(held[slot]), slot)):
        chosen = _choose(held[slot], card, ids)
        if chosen is not None:
            held[slot] = [hostdev for hostdev in held[slot] if hostdev not in chosen]
            return True
    return False


def _split_card(
    held: dict[str, list[Hostdev]], card: AskedCard, ids: Mapping[str, str]
) -> Finding | None:
    chosen = _choose([hostdev for hostdevs in held.values() for hostdev in hostdevs], card, ids)
    if chosen is None:
        return None
    for slot, hostdevs in held.items():
        held[slot] = [hostdev for hostdev in hostdevs if hostdev not in chosen]
    parts = ", ".join(f"{ids[hostdev.host]} from {hostdev.host}" for hostdev in chosen)
    return Finding(
        "WC403",
        card.name,
        Severity.ERROR,
        f"the functions of {card.name} come from different cards: {parts}",
        "nova chooses each function on its own and cannot keep a card's functions together. Ask "
        "only for the main function, or use an alias for each address.",
    )


def _choose(
    hostdevs: Sequence[Hostdev], card: AskedCard, ids: Mapping[str, str]
) -> list[Hostdev] | None:
    """One hostdev for each function of the card, None where one is missing."""
    missing = Counter(card.functions)
    chosen = []
    for hostdev in hostdevs:
        if missing[ids.get(hostdev.host, "")] > 0:
            missing[ids[hostdev.host]] -= 1
            chosen.append(hostdev)
    return chosen if missing.total() == 0 else None


def _hostdevs(domain: ET.Element) -> tuple[Hostdev, ...]:
    if domain.tag != "domain":
        raise ValueError(f"it is a <{domain.tag}>, not a <domain>")
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
    name = "" if alias is None else alias.get("name", "")
    return Hostdev(str(host), name, _path(guest, controllers))


def _path(address: Address, controllers: Mapping[int, ET.Element]) -> tuple[str, ...]:
    """The steps from the root bus to an address, from controller to controller upwards."""
    steps: list[str] = []
    # A bus number is one byte, so a longer path is a loop.
    while len(steps) < 256:
        steps.insert(0, f"{address.slot:02x}.{address.function:x}")
        if address.bus == 0:
            return tuple(steps)
        controller = controllers.get(address.bus)
        parent = None if controller is None else pci_address(controller.find("./address"))
        if controller is None or parent is None or "expander" in controller.get("model", ""):
            raise ValueError(f"bus {address.bus} of the guest has no known bridge")
        address = parent
    raise ValueError("the guest's buses form a loop")


def _step(address: str) -> str:
    """`slot.function` of an address `domain:bus:slot.function`."""
    return address.rpartition(":")[2]
