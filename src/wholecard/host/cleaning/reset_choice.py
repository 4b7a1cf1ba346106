"""By which reset a card is cleaned: a pure function of what the host has.

Sources: linux, Documentation/ABI/testing/sysfs-bus-pci (`reset`, `reset_method`,
`reset_subordinate`); drivers/pci/pci.c, `pci_reset_fn_methods` (the order of the methods) and
`pci_reset_bus_function`, which refuses where another function is on the bus.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from wholecard.core import Finding, Severity
from wholecard.pci import Address, Card, Function
from wholecard.pci.known_models import FLR_KEEPS_STATE, RESET_BUGS

# Ways of resetting. FUNCTION: each function by its own method. BUS: the only function on its bus,
# by the method `bus`. BRIDGE: all that is below a bridge, by the bridge's `reset_subordinate`.
# HOT: the same, asked of VFIO.
FUNCTION, BUS, BRIDGE, HOT = "function", "bus", "bridge", "hot"

# Methods that reset the function itself, in the kernel's own order. `pm` (D3hot and back) is left
# out: PCI Bus Power Management Interface Specification, 5.4.1, lets a function keep what it wants,
# and its memory has power all the time.
RESETTING = ("device_specific", "acpi", "flr", "af_flr")


@dataclass(frozen=True)
class Choice:
    """How a card is reset. `methods` are the method of each function, for FUNCTION and BUS.

    `name` is for a person and a report (`flr`, `bus`); `bridge` the bridge above the card.
    """

    way: str
    name: str
    reason: str
    methods: tuple[tuple[Address, str], ...] = ()
    bridge: Address | None = None


def choose(card: Card, functions: Iterable[Function], bridge_can_reset: bool) -> Choice | Finding:
    """The best reset of the card, or a finding (WC572) that says why no reset suffices.

    `functions` are all of the host's. `bridge_can_reset` is whether the bridge above the card has
    `reset_subordinate`.
    """
    gpu = card.gpu[0]
    for bug in RESET_BUGS:
        if bug.has(gpu):
            return _refused(card, f"{bug.name}: {bug.effect}", bug.fix)
    keeps = FLR_KEEPS_STATE.get(gpu.ids, "")
    by_function = _by_function(card.functions)
    if by_function and not keeps:
        name = by_function[0][1]
        return Choice(FUNCTION, name, f"the kernel offers {name} for it", by_function)
    reason = keeps or "its functions have no reset of their own that clears them"
    return _of_bus(card, functions, reason, bridge_can_reset)


def _of_bus(
    card: Card, functions: Iterable[Function], reason: str, bridge_can_reset: bool
) -> Choice | Finding:
    """The reset of the bus, if nothing but the card is below its bridge."""
    gpu, bridge = card.gpu[0], bridge_above(card)
    if bridge is None:
        return _refused(card, f"{reason}, and there is no bridge above it")
    foreign = _foreign(card, bridge, functions)
    if foreign:
        names = ", ".join(str(function.address) for function in foreign)
        return _refused(
            card,
            f"{reason}, and a reset of the bus would also reset {names} below the bridge {bridge}",
            "Put the card into a slot of its own.",
        )
    # The kernel may list `bus` where a second function was found later, and refuses it then
    # (seen with 6.12).
    if len(card.functions) == 1 and "bus" in (gpu.reset_methods or ()):
        return Choice(BUS, "bus", reason, ((gpu.address, "bus"),), bridge)
    return Choice(BRIDGE if bridge_can_reset else HOT, "bus", reason, (), bridge)


def bridge_above(card: Card) -> Address | None:
    """The nearest bridge that is above all functions of the card; None on a root bus."""
    common: Sequence[Address] = card.functions[0].parents
    for function in card.functions[1:]:
        pairs = zip(common, function.parents)
        common = [mine for mine, other in pairs if mine == other]
    return common[-1] if common else None


def _foreign(card: Card, bridge: Address, functions: Iterable[Function]) -> tuple[Function, ...]:
    """What is below the bridge and not the card's; its own bridges and VFs are not foreign."""
    own = {function.address for function in card.functions}
    return tuple(
        function
        for function in functions
        if bridge in function.parents
        and not function.is_bridge
        and function.address not in own
        and function.physfn not in own
    )


def _by_function(functions: Sequence[Function]) -> tuple[tuple[Address, str], ...]:
    """A method for each function that has one; none at all where a GPU has none."""
    chosen = []
    for function in functions:
        offered = function.reset_methods or ()
        method = next((each for each in RESETTING if each in offered), "")
        if method:
            chosen.append((function.address, method))
        elif function.is_display:
            return ()
    return tuple(chosen)


def _refused(card: Card, reason: str, fix: str = "") -> Finding:
    return Finding(
        "WC572",
        card.slot,
        Severity.ERROR,
        f"{card.slot} cannot be reset so that it is clean: {reason}",
        fix or "Reboot the host before the card goes to another project.",
    )
