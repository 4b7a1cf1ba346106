"""Which functions a desired state binds, to which driver, and what forbids it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from wholecard.core import Finding, RefusedError, Severity, WholecardError
from wholecard.host.checks.display import check_bmc
from wholecard.host.checks.driverctl import check_driverctl
from wholecard.host.checks.function import check_virtual_functions
from wholecard.host.checks.iommu import check_hypervisor
from wholecard.host.checks.iommu_group import check_together, check_uses
from wholecard.host.checks.vfio_refusal import (
    check_denied,
    check_direct,
    check_groupless,
    check_loadable,
)
from wholecard.host.desired_state import NO_VF_AT_BOOT, DesiredState, card_lines, desired_cards
from wholecard.host.facts.host import Host
from wholecard.host.initramfs.claim_script import PARKED, VFIO, Claim
from wholecard.pci import Address, Card, Function, IommuGroup


def claims(host: Host, desired: DesiredState) -> tuple[Claim, ...]:
    """A claim for each function that the desired state binds, sorted by address."""
    return tuple(Claim.of(function, driver) for function, driver in bound_functions(host, desired))


def bound_functions(host: Host, desired: DesiredState) -> tuple[tuple[Function, str], ...]:
    """Every function of the desired cards, the companions and the parked ones, with a driver.

    That is vfio-pci, this kernel's variant of it for the function, or pci-stub.

    Raises RefusedError when an endpoint that shares a card's group would not be bound, when the
    host itself uses a function, or when it cannot be bound at all; WholecardError when a card is
    gone or a function has no ids.
    """
    cards = desired_cards(host, desired)
    gone = set(desired.cards) - {card.slot for card in cards}
    if desired.keeps_all_cards:
        return ()
    if gone or not cards:
        raise WholecardError(
            f"no such card: {', '.join(sorted(gone)) or 'none is selected'}", card_lines(host)
        )
    drivers = _drivers(cards, desired)
    _refuse(
        [
            *check_hypervisor(host),
            *_unbindable(host, drivers),
            *check_uses(host, cards, desired),
            *check_bmc(cards),
            *check_direct(host, cards, desired),
            *check_groupless(host, cards, desired),
            *check_loadable(host, cards, desired),
            *check_driverctl(host, cards, desired),
            *check_denied(host, cards, desired),
            *check_virtual_functions(cards),
            *check_together(host, cards, desired),
            *_split_groups(host, cards, drivers),
        ]
    )
    functions = [function for function in host.functions if function.address in drivers]
    refuse_nameless(functions)
    functions.sort(key=lambda function: function.address)
    return tuple(
        (function, PARKED if drivers[function.address] == PARKED else function.guest_driver)
        for function in functions
    )


def _drivers(cards: tuple[Card, ...], desired: DesiredState) -> dict[Address, str]:
    """The driver of each function to bind: vfio-pci (which includes its variants) or pci-stub."""
    drivers = {function.address: VFIO for card in cards for function in card.functions}
    drivers.update({Address.parse(text): VFIO for text in desired.companions})
    drivers.update({Address.parse(text): PARKED for text in desired.parked})
    return drivers


def _refuse(results: Sequence[Finding]) -> None:
    findings = [finding for finding in results if finding.severity is Severity.ERROR]
    if findings:
        split = any(finding.rule in ("WC104", "WC107") for finding in findings)
        raise RefusedError(
            "a card is bound together with everything in its IOMMU group, or not at all"
            if split
            else "these functions cannot be bound",
            tuple(findings),
            " ".join(dict.fromkeys(finding.fix for finding in findings)),
        )


def refuse_nameless(functions: Iterable[Function]) -> None:
    """Raises WholecardError where one of them has no ids: nobody knows what it is."""
    nameless = [str(each.address) for each in functions if not (each.vendor and each.device)]
    if nameless:
        raise WholecardError(
            f"no vendor or device id can be read for {', '.join(nameless)}",
            "Wholecard binds a function only if its vendor and device ids are the planned ones.",
            "Look at it with lspci -nn. A device that fell off the bus needs a power cycle.",
        )


def _unbindable(host: Host, drivers: dict[Address, str]) -> Iterator[Finding]:
    """WC142: a bridge, a VF, or no function at that address."""
    for address in sorted(drivers):
        function = host.function(address)
        message = ""
        if function is None:
            message = f"This host has no function at {address}."
        elif function.is_bridge:
            message = f"{address} is a bridge, which is never bound."
        elif function.physfn is not None:
            message = f"{address} is a VF of {function.physfn}: {NO_VF_AT_BOOT}"
        if message:
            yield Finding("WC142", str(address), Severity.ERROR, message, "Leave it out.")


def _split_groups(
    host: Host, cards: tuple[Card, ...], drivers: dict[Address, str]
) -> Iterator[Finding]:
    """WC104 for groups of companions alone, without a card's function; `check_together` has those.

    A parked function needs no others: no guest gets it.
    """
    own = {each.address for card in cards for each in (*card.functions, *card.companions)}
    for group in host.groups:
        endpoints = {endpoint.address: endpoint for endpoint in group.endpoints}
        given = [address for address in endpoints if drivers.get(address) == VFIO]
        if given and own.isdisjoint(endpoints):
            for address in sorted(endpoints.keys() - drivers.keys()):
                if not endpoints[address].stays_free_for_vfio:
                    yield _left_behind(host, endpoints[address], group, given[0])


def _left_behind(host: Host, endpoint: Function, group: IommuGroup, given: Address) -> Finding:
    card = host.card_of(endpoint.address)
    option = f"--card {card.slot}.0" if card else f"--companion {endpoint.address}"
    return Finding(
        "WC104",
        str(endpoint.address),
        Severity.ERROR,
        f"{endpoint.address} {endpoint.ids} is in {group.name} with {given}, which is to be "
        "bound, but is not selected itself.",
        f"Select it too: {option}, or --park {endpoint.address}.",
    )
