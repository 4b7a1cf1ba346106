"""Which functions a wish binds, to which driver, and what stands against it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wholecard.core import Finding, RefusedError, Severity, WholecardError
from wholecard.host.checks.display import check_bmc
from wholecard.host.checks.function import check_virtual_functions
from wholecard.host.checks.iommu_group import check_uses
from wholecard.host.checks.registry import check_together
from wholecard.host.desired_state import DesiredState, cards_there, wished_cards
from wholecard.host.facts.host import Host
from wholecard.host.initramfs.claim_script import PARKED, VFIO, Claim
from wholecard.pci import Address, Card, Function


def claims(host: Host, wish: DesiredState) -> tuple[Claim, ...]:
    """A claim for each function that the wish binds, sorted by address."""
    return tuple(Claim.of(function, driver) for function, driver in bound_functions(host, wish))


def bound_functions(host: Host, wish: DesiredState) -> tuple[tuple[Function, str], ...]:
    """Every function of the wished cards and the companions, and the parked ones, with a driver.

    Raises RefusedError when an endpoint that shares a card's group would not be bound, when the
    host itself uses a function, or when it cannot be bound at all; WholecardError when a card is
    gone or a function says no ids.
    """
    cards = wished_cards(host, wish)
    gone = set(wish.cards) - {card.slot for card in cards}
    if gone or not cards:
        raise WholecardError(
            f"no such card: {', '.join(sorted(gone)) or 'none was named'}", cards_there(host)
        )
    drivers = {each.address: VFIO for card in cards for each in card.functions}
    drivers.update({Address.parse(text): VFIO for text in wish.companions})
    drivers.update({Address.parse(text): PARKED for text in wish.parked})
    against = [
        *_against(host, drivers),
        *check_uses(host, cards, wish),
        *check_bmc(cards),
        *check_virtual_functions(cards),
        *check_together(host, cards, wish),
        *_torn_apart(host, cards, drivers),
    ]
    if against:
        raise RefusedError(
            "a card is given with all that shares its IOMMU group, or not at all"
            if any(finding.rule in ("WC104", "WC107") for finding in against)
            else "the host cannot give these functions",
            tuple(against),
            " ".join(dict.fromkeys(finding.fix for finding in against)),
        )
    functions = [each for each in host.functions if each.address in drivers]
    refuse_nameless(functions)
    return tuple(
        (each, drivers[each.address])
        for each in sorted(functions, key=lambda function: function.address)
    )


def refuse_nameless(functions: Iterable[Function]) -> None:
    """Raises WholecardError where one of them says no ids: what it is cannot be known."""
    nameless = [str(each.address) for each in functions if not (each.vendor and each.device)]
    if nameless:
        raise WholecardError(
            f"no vendor or device id can be read for {', '.join(nameless)}",
            "A function is only bound where its ids are the ones that were planned.",
            "Look at it with lspci -nn; a device that fell off the bus needs a power cycle.",
        )


def _against(host: Host, drivers: dict[Address, str]) -> Iterator[Finding]:
    """WC142: what is a bridge, what is not there."""
    for address in sorted(drivers):
        function = host.function(address)
        if function is None or function.is_bridge:
            what = "is a bridge, which is never bound" if function else "is not there"
            yield Finding(
                "WC142", str(address), Severity.ERROR, f"{address} {what}.", "Leave it out."
            )


def _torn_apart(
    host: Host, cards: tuple[Card, ...], drivers: dict[Address, str]
) -> Iterator[Finding]:
    """WC104 for groups that companions alone are in; a parked function is given to nobody."""
    own = {each.address for card in cards for each in (*card.functions, *card.companions)}
    for group in host.groups:
        in_group = [each for each in group.endpoints if drivers.get(each.address) == VFIO]
        if not in_group or any(each.address in own for each in group.endpoints):
            continue
        for each in group.endpoints:
            if each.address not in drivers:
                yield Finding(
                    "WC104",
                    str(each.address),
                    Severity.ERROR,
                    f"{each.address} {each.ids} shares {group.name} with {in_group[0].address}, "
                    "which is to be bound, and would be left behind.",
                    f"Name it too: {_option(host, each)}, or --park {each.address}.",
                )


def _option(host: Host, function: Function) -> str:
    card = host.card_of(function.address)
    return f"--card {card.slot}.0" if card else f"--companion {function.address}"
