"""Whether the functions that a server asks for come from whole cards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import comb, prod

from wholecard.explain.check_result import CheckResult, failed, ok, unknown
from wholecard.explain.checks.host_case import ALIAS_UNKNOWN, HostCase
from wholecard.host.facts.host import Host
from wholecard.nova.desired.whole_cards import CardInParts, cards_in_parts
from wholecard.pci import Address

# Its result passes where nova may choose a whole card, with the rule beside it.
CARD_IN_PARTS = "WC341"
_FIX = (
    "Let the flavor request only the GPU. Remove the other functions from device_spec and alias, "
    "and leave them bound to vfio-pci."
)


def whole_card(case: HostCase) -> CheckResult:
    """Whether nova can mix the functions of several cards for this request.

    nova chooses each function alone; see `wholecard.nova.desired.whole_cards`. A server that got
    the parts of two cards prevents the next one from starting, for VFIO gives a group to one guest.
    """
    host, requested = case.host, case.requested
    if not requested.requests:
        return ALIAS_UNKNOWN
    if requested.count < 2:
        return ok("one function is requested")
    if host.facts is None:
        return unknown("which functions are parts of one card is not known", case.facts_option)
    return _counted(case, _labels(case), host.facts)


def _counted(case: HostCase, labels: Mapping[Address, tuple[str, ...]], facts: Host) -> CheckResult:
    """The choices that nova has, and how many of them are whole cards."""
    host, requested = case.host, case.requested
    cards = cards_in_parts(facts, labels)
    parts = [card for card in cards if card.beside_gpu or not card.is_one_slot]
    if not parts:
        return ok("each requested function is a card of its own", host.facts_source)
    counts = {request.alias: request.count for request in requested.requests}
    ways, whole = _choices(case, parts, labels, counts)
    if whole == ways:
        return ok("every choice gives whole cards", host.facts_source)
    if not whole:
        says = f"No choice of functions that are free on {host.name} is a whole card."
        return failed(CARD_IN_PARTS, says, _FIX, host.facts_source)
    says = (
        f"nova can choose the functions on {host.name} in {ways} ways, and only {whole} of them "
        "are whole cards: after another choice, other servers cannot start on this host."
    )
    return CheckResult("ok", says, (host.facts_source,), CARD_IN_PARTS, _FIX, warning=says)


def _choices(
    case: HostCase,
    parts: list[CardInParts],
    labels: Mapping[Address, tuple[str, ...]],
    counts: dict[str, int],
) -> tuple[int, int]:
    """In how many ways nova can choose free functions, and how many of them are whole cards."""
    taken = {Address.parse(address) for address in case.host.taken or {}}
    free = [names for address, names in labels.items() if address not in taken]
    ways = prod(comb(sum(alias in names for names in free), n) for alias, n in counts.items())
    return ways, _whole_ways([card for card in parts if not taken & card.labels.keys()], counts)


def _labels(case: HostCase) -> dict[Address, tuple[str, ...]]:
    """The functions that nova gives, with the aliases that they fit; VFs left out."""
    labels: dict[Address, tuple[str, ...]] = {}
    for request in case.requested.requests:
        for device in case.devices.alike(request):
            if case.devices.selected(device) and device.dev_type != "type-VF":
                address = Address.parse(device.address)
                labels[address] = (*labels.get(address, ()), request.alias)
    return labels


def _whole_ways(cards: list[CardInParts], counts: dict[str, int]) -> int:
    """How many choices take nothing but whole cards: n of the cards with an nth of the counts."""
    by_parts = Counter(
        tuple(sorted(Counter(name for names in card.labels.values() for name in names).items()))
        for card in cards
    )
    whole = 0
    for parts, number in by_parts.items():
        each = dict(parts)
        times = min((counts[alias] // each[alias] for alias in counts if alias in each), default=0)
        if times and {alias: times * count for alias, count in each.items()} == counts:
            whole += comb(number, times)
    return whole
