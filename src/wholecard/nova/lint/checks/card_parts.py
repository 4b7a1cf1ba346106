"""Several functions of one card, or of one IOMMU group, in the device_specs of a service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from wholecard.core import Severity
from wholecard.nova.desired.whole_cards import CardInParts, cards_in_parts
from wholecard.nova.lint.checks.inventory import counting
from wholecard.nova.lint.diagnostic import Diagnostic, entry_diagnostic, listed
from wholecard.nova.lint.service import Facts, GivenDevice, ReadAlias, ReadSpec, Service
from wholecard.nova.match import Device, PciRequest, Pools
from wholecard.pci import Address, Function

_GPU_ALONE = (
    "Name the GPU alone by its product_id or its function (.0), and bind the others to vfio-pci."
)


def check_parts(services: Sequence[Service]) -> Iterator[Diagnostic]:
    """All device_specs of a compute together, with the aliases that are known of any role."""
    aliases = [alias for service in services for alias in service.aliases if alias.alias]
    for service in services:
        for facts in service.hosts:
            yield from service.as_own(_of_host(_given_on(service, facts, aliases)))


def _given_on(service: Service, facts: Facts, aliases: Sequence[ReadAlias]) -> GivenOnHost:
    """What the service gives on the host; VFs have cards of their own and are left out."""
    given = {
        function.address: (device, spec)
        for device, function, spec in counting(service)
        if device.facts is facts and function.physfn is None
    }
    specs = {address: spec for address, (_, spec) in given.items()}
    if not aliases:
        pools = {address: _pool_of(device, spec) for address, (device, spec) in given.items()}
        return GivenOnHost(facts, specs, pools, None)
    asking = {address: _asking(service, aliases, one) for address, (one, _) in given.items()}
    return GivenOnHost(facts, specs, asking, asking)


def check_alone(service: Service) -> Iterator[Diagnostic]:
    """The same for one service, where no other is known."""
    return check_parts([service])


def _asking(service: Service, aliases: Sequence[ReadAlias], given: GivenDevice) -> frozenset[str]:
    """The aliases that the device satisfies."""
    spec = given.specs[0].spec
    if spec is None:
        return frozenset()
    pools = Pools.of([given.device], [spec], service.rules, host_cells=None)
    return frozenset(
        read.name
        for read in aliases
        if read.alias and pools.supports([PciRequest(read.name, 1, read.alias.specs, "preferred")])
    )


def _pool_of(given: GivenDevice, read: ReadSpec) -> frozenset[str]:
    """What nova tells the device's pool by where no alias is known: ids, type and tags."""
    device: Device = given.device
    tags = sorted((read.spec.tags if read.spec else {}).items())
    return frozenset({f"{device.vendor_id}:{device.product_id} {device.dev_type} {tags}"})


def _of_host(given: GivenOnHost) -> Iterator[Diagnostic]:
    """One diagnostic for each device_spec that gives a part of a card."""
    by_spec: dict[int, list[tuple[CardInParts, Function]]] = {}
    for card in cards_in_parts(given.facts.host, given.labels):
        for function in card.beside_gpu:
            by_spec.setdefault(id(given.specs[function.address]), []).append((card, function))
    for parts_given in by_spec.values():
        cards = [card for card, _ in parts_given]
        yield from _of_parts(given, cards, [function for _, function in parts_given])


def _of_parts(
    given: GivenOnHost, cards: Sequence[CardInParts], functions: Sequence[Function]
) -> Iterator[Diagnostic]:
    """The diagnostic of one device_spec: the parts of cards that it gives beside their GPUs."""
    apart = next((card for card in cards if not (card.is_one_slot or card.extra_functions)), None)
    if apart is not None:
        yield _in_one_group(given, apart, functions[0])
    elif any(card.mixed for card in cards) and given.are_requested(functions):
        yield _mixed(given, functions)
    elif not given.is_meant(cards, functions):
        yield _beside_gpu(given, functions)


@dataclass(frozen=True)
class GivenOnHost:
    """The functions that a service gives on a host: their device_specs and their names.

    `labels` are what nova can tell them by; `asking` the aliases that ask for them, None where no
    alias is known.
    """

    facts: Facts
    specs: Mapping[Address, ReadSpec]
    labels: Mapping[Address, frozenset[str]]
    asking: Mapping[Address, frozenset[str]] | None

    def aliases(self, functions: Sequence[Function]) -> list[str]:
        """The aliases that ask for any of the functions."""
        asking = self.asking or {}
        return sorted({name for part in functions for name in asking.get(part.address, ())})

    def are_requested(self, functions: Sequence[Function]) -> bool:
        """Whether a flavor may ask for any of the functions, as far as it is known."""
        return self.asking is None or bool(self.aliases(functions))

    def is_meant(self, cards: Sequence[CardInParts], functions: Sequence[Function]) -> bool:
        """Whether an alias, or a device_spec of its own, says that the parts are given on purpose.

        Only asked of a host with one such card, where nova can mix nothing.
        """
        if self.asking is not None:
            return bool(self.aliases(functions)) and all(card.extra_functions for card in cards)
        spec = self.specs[functions[0].address]
        displays = (display.address for card in cards for display in card.displays)
        return all(self.specs[address] is not spec for address in displays)

    def diagnostic(
        self, function: Function, message: str, fix: str, severity: Severity | None = None
    ) -> Diagnostic:
        """WC250 at the device_spec that gives the function."""
        read = self.specs[function.address]
        spot = read.value.at_value(read.path)
        return entry_diagnostic("WC250", spot, message, fix, severity=severity)


def _in_one_group(given: GivenOnHost, card: CardInParts, function: Function) -> Diagnostic:
    together = listed([str(member.address) for member in card.functions])
    return given.diagnostic(
        function,
        f"{together} of {given.facts.name} share an IOMMU group, and nova gives each of them "
        "alone: once a server has one, no other server can start with another",
        "Put the cards into slots with groups of their own, or give one of them.",
    )


def _mixed(given: GivenOnHost, functions: Sequence[Function]) -> Diagnostic:
    aliases, host = given.aliases(functions), given.facts.name
    by = f" (the alias {listed(aliases)} requests them)" if aliases else ""
    return given.diagnostic(
        functions[0],
        f"gives {_named(functions)} of {host}{by} besides the GPU of the same card, and {host} has "
        "more than one such card: nova mixes their functions, and a server that gets parts of two "
        "cards prevents the next one from starting",
        _GPU_ALONE,
        Severity.ERROR,
    )


def _beside_gpu(given: GivenOnHost, functions: Sequence[Function]) -> Diagnostic:
    return given.diagnostic(
        functions[0],
        f"gives {_named(functions)} of {given.facts.name} besides the GPU: nova gives each of them "
        "alone, and cannot keep a card together",
        _GPU_ALONE,
    )


def _named(functions: Sequence[Function]) -> str:
    return listed([f"{part.address} ({part.class_name or part.class_code})" for part in functions])
