"""What a server of a flavor takes from a host: amounts, cards or slices, NUMA nodes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple, dataclass, field, replace

from wholecard.capacity.record import OF_PCI, Stock
from wholecard.core.releases import Release
from wholecard.explain.evidence.requested_devices import EXTRA_SPEC, traits_of
from wholecard.nova import match
from wholecard.nova.flavor.extra_specs import LayoutError
from wholecard.nova.flavor.numa_topology import GuestCell, GuestLayout, layout
from wholecard.nova.flavor.resource_request import ResourceRequest, resource_request
from wholecard.nova.flavor.server_request import ServerRequest
from wholecard.nova.match import AliasError, RequestError, rules_for
from wholecard.nova.match.placement import resource_class_for

_MOST_UNITS = 1024
NO_DEVICE = "nova gives its servers no device, for PCI devices come by an alias"


@dataclass(frozen=True)
class CardAsk:
    """So many units of one provider, of one of these classes, with all of these traits.

    A `loose` one is in the request's group without a suffix: traits that this group requires may
    be the card's or the host's.
    """

    classes: frozenset[str]
    amount: int = 1
    traits: frozenset[str] = frozenset()
    policy: str = "preferred"
    loose: bool = False


@dataclass(frozen=True)
class Demand:
    """What a server takes. `second` is what nova asks for where the first finds no host.

    `cards` are one provider's share each, all of different providers where they are `apart`.
    `required` are traits that the host or a loose card must have, `root_required` those of the
    host's own provider, which must not have `forbidden`. The `guest` has NUMA nodes that are alike.
    `unknown` says why the flavor cannot be counted.
    """

    flavor: str
    amounts: Mapping[str, int] = field(default_factory=dict)
    cards: tuple[CardAsk, ...] = ()
    second: Mapping[str, int] | None = None
    required: frozenset[str] = frozenset()
    root_required: frozenset[str] = frozenset()
    forbidden: frozenset[str] = frozenset()
    guest: GuestLayout = field(default_factory=GuestLayout)
    apart: bool = False
    unknown: str = ""

    @property
    def units(self) -> int:
        """How many cards or slices in all."""
        return sum(ask.amount for ask in self.cards)

    @property
    def classes(self) -> frozenset[str]:
        """The classes of its cards."""
        return frozenset[str]().union(*(ask.classes for ask in self.cards))

    @property
    def is_plain(self) -> bool:
        """Whether any order of placing gives the same number: one whole kind, no NUMA nodes."""
        plain = self.cards[0].amount == 1 and len(set(self.cards)) == 1
        return plain and not self.guest.cells and not self.apart


def demands_of(stock: Stock) -> dict[str, Demand]:
    """What the flavors with cards take, by name, the smallest first."""
    aliases, refused = aliases_of(stock)
    kinds = {card.kind for host in stock.hosts for card in host.cards}
    on_hosts = {row.resource_class for host in stock.hosts for row in host.machine or ()}
    devices = {kind.resource_class: kind.traits for kind in kinds
               if kind.resource_class not in on_hosts}  # fmt: skip
    found = []
    for request in stock.flavors:
        demand = _demand_or_why(request, aliases, stock.release, {"VGPU": (), **devices}, refused)
        if demand.cards or EXTRA_SPEC in request.extra_specs:
            found.append(demand)
    found.sort(key=lambda demand: (demand.units, demand.flavor))
    return {demand.flavor: demand for demand in found}


def _demand_or_why(
    request: ServerRequest, aliases: Mapping[str, match.Alias], release: Release,
    devices: Mapping[str, tuple[str, ...]], refused: str,
) -> Demand:  # fmt: skip
    try:
        return _demand(request, aliases, release, devices)
    except LayoutError as error:
        why = f"nova refuses it: {error.brief}"
    except RequestError as error:
        why = refused or str(error)
    return Demand(request.flavor or "", unknown=why)


def aliases_of(stock: Stock) -> tuple[dict[str, match.Alias], str]:
    """The aliases by name, and why there are none.

    With pci_in_placement nova takes an alias without ids, and without it several of one name.
    """
    refused = "" if stock.aliases else "aliases are not known: add --conf api=PATH or --site FILE"
    for by_placement in (True, False):
        try:
            rules = rules_for(stock.release.nova, pci_in_placement=by_placement)
            return match.parse_aliases(stock.aliases, rules), refused
        except AliasError as error:
            refused = f"nova refuses the aliases: {error}"
    return {}, refused


def _demand(
    request: ServerRequest, aliases: Mapping[str, match.Alias], release: Release,
    devices: Mapping[str, tuple[str, ...]],
) -> Demand:  # fmt: skip
    """Raises LayoutError and RequestError for a flavor that nova refuses."""
    asked = resource_request(request, release)
    guest = _alike(layout(request, release))
    cards = list(_in_groups(asked, devices))
    lost = any(OF_PCI in devices[name] for ask in cards for name in ask.classes)
    cards += _by_alias(request, aliases, guest.policy)
    second = resource_request(request, release, second=True) if asked.pinned else None
    return Demand(
        request.flavor or "", _amounts(asked, devices), tuple(cards),
        _amounts(second, devices) if second else None, asked.machine.required,
        asked.root_required, asked.root_forbidden | asked.machine.forbidden, guest,
        asked.group_policy == "isolate", NO_DEVICE if lost else "",
    )  # fmt: skip


def _alike(guest: GuestLayout) -> GuestLayout:
    """The guest with NUMA nodes as large as its largest, so that any order of them fits."""
    rows = [astuple(cell) for cell in guest.cells]
    largest = GuestCell(*map(max, zip(*rows, strict=True))) if rows else None
    return replace(guest, cells=(largest,) * len(rows) if largest else ())


def _amounts(asked: ResourceRequest, devices: Iterable[str]) -> dict[str, int]:
    """What is asked of the host's own provider."""
    amounts: dict[str, int] = {}
    for group in (asked.machine, *asked.groups.values()):
        for name, amount in group.resources.items():
            if name not in devices:
                amounts[name] = amounts.get(name, 0) + amount
    return amounts


def _in_groups(asked: ResourceRequest, devices: Iterable[str]) -> Iterator[CardAsk]:
    """What `resources:` and `resourcesN:` ask of cards."""
    for group in (asked.machine, *asked.groups.values()):
        loose = group is asked.machine
        for name, amount in group.resources.items():
            if name in devices:
                traits = frozenset[str]() if loose else group.required
                yield CardAsk(frozenset({name}), amount, traits, loose=loose)


def _by_alias(
    request: ServerRequest, aliases: Mapping[str, match.Alias], policy: str | None
) -> Iterator[CardAsk]:
    """One ask for each device that the flavor's aliases name, of any of an alias's products."""
    text = request.extra_specs.get(EXTRA_SPEC, "")
    for asked in match.parse_request(text, aliases, policy) if text else ():
        classes = (resource_class_for(*map(spec.get, ("resource_class", "vendor_id", "product_id")))
                   for spec in asked.specs)  # fmt: skip
        ask = CardAsk(frozenset(classes), 1, traits_of(asked), asked.numa_policy)
        yield from [ask] * min(max(asked.count, 0), _MOST_UNITS)
