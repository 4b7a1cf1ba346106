"""Flavors against the hosts of a site, and quotas against the flavors: arithmetic between parts.

nova-compute reports all of a host's threads and RAM as the most that one server may have (nova,
nova/virt/libvirt/driver.py, `update_provider_tree`, `max_unit`), and puts each NUMA node of a guest
on a NUMA node of its own (nova/virt/hardware.py, `numa_fit_instance_to_host`). Only what no server
could ever get is an issue; what is free now is not looked at.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from wholecard.core.releases import Release
from wholecard.host.facts.host import Host
from wholecard.host.kernel_args.cpu_isolation import parse_cpus
from wholecard.nova.desired.device_selection import SelectedDevices, select_devices
from wholecard.nova.desired.extra_functions import cards_given_in_parts
from wholecard.nova.desired.flavor_specs import flavor_request, in_site_words
from wholecard.nova.desired.near_cards import CardHost, card_hosts
from wholecard.nova.desired.resource_classes import class_of_ids
from wholecard.nova.desired.unsupported import Keys, Unsupported, UnsupportedError
from wholecard.nova.flavor.api_validation import refused_specs
from wholecard.nova.flavor.extra_specs import LayoutError
from wholecard.nova.flavor.numa_topology import GuestLayout, layout
from wholecard.nova.flavor.resource_request import resource_request
from wholecard.site.model import Quota, Site, SiteFlavor

_MIB = 1 << 20
_RESOURCES = re.compile(r"resources\w*:(\w+)")


@dataclass(frozen=True)
class HostSize:
    """What a host has for one server at most; None where the facts do not tell.

    `cards` are the kinds' numbers.
    """

    ram_mb: int | None
    threads: int | None
    cards: Mapping[str, int]

    @classmethod
    def of(cls, name: str, host: Host, selected: tuple[SelectedDevices, ...]) -> HostSize:
        """The size by a host's facts."""
        on_host = [devices for devices in selected if devices.host == name]
        on_nodes = sum(len(parse_cpus(text)) for _, text in host.cpu.nodes if text)
        return cls(
            host.memory.total // _MIB or None,
            host.cpu.threads or on_nodes or None,
            {devices.kind: len(devices.functions) for devices in on_host},
        )


def flavor_errors(site: Site, facts: Mapping[str, Host], release: Release) -> Iterator[Unsupported]:
    """Flavors that nova's API refuses, that no host could take, or that ask for a part of a card.

    Where the facts of a host are missing, it may take any flavor for which it has the cards.
    """
    for name, flavor in site.flavors.items():
        # What nova refuses alone it would only refuse once more together with the rest.
        alone = list(_refused_specs(name, flavor, release))
        yield from alone or _refused_together(name, flavor, release)
    try:
        selected = select_devices(site, facts)
    except UnsupportedError:
        # Reported by itself.
        return
    sizes = {name: HostSize.of(name, host, selected) for name, host in facts.items()}
    for name, flavor in site.flavors.items():
        near = {host.name: host for host in card_hosts(site, flavor, facts)}
        yield from _fits_nowhere(_FlavorCase(site, name, flavor, release, near), sizes)
    yield from _parts(site, selected, facts)


def _refused_specs(name: str, flavor: SiteFlavor, release: Release) -> Iterator[Unsupported]:
    for refused in refused_specs(flavor.extra_specs, release):
        yield Unsupported(
            ("flavors", name, "extra_specs", refused.key),
            f"flavors.{name}: {refused.problem}",
            "nova's API refuses it since compute API 2.86.",
            refused.resolution,
        )


def _refused_together(name: str, flavor: SiteFlavor, release: Release) -> Iterator[Unsupported]:
    """Extra specs that nova refuses together: the first that it would name."""
    request = flavor_request(name, flavor, release)
    for read in (layout, resource_request):
        try:
            read(request, release)
        except LayoutError as error:
            yield Unsupported(
                ("flavors", name),
                f"flavors.{name}: nova refuses it: {in_site_words(error.brief)}",
                "",
                in_site_words(error.resolution),
            )
            return


@dataclass(frozen=True)
class _FlavorCase:
    """A flavor of a site, and the hosts that have its cards and whose NUMA nodes are known."""

    site: Site
    name: str
    flavor: SiteFlavor
    release: Release
    near: Mapping[str, CardHost]

    def guest(self) -> GuestLayout:
        """The guest's layout; none where nova refuses the flavor, which is reported by itself."""
        try:
            return layout(flavor_request(self.name, self.flavor, self.release), self.release)
        except LayoutError:
            return GuestLayout()


def _fits_nowhere(case: _FlavorCase, sizes: Mapping[str, HostSize]) -> Iterator[Unsupported]:
    """The issue of a flavor that each host is too small for, by what most hosts lack."""
    site, name, flavor = case.site, case.name, case.flavor
    unknown = [host for host in site.hosts if host not in sizes]
    if any(_may_have(site, host, flavor) for host in unknown):
        return
    reasons: dict[str, tuple[Keys, str]] = {}
    for host, size in sizes.items():
        reason = _lacks(case, host, size)
        if reason is None:
            return
        reasons[host] = reason
    reasons |= dict.fromkeys(unknown, (("cards",), "has too few of its cards"))
    if reasons:
        yield _nowhere(name, reasons)


def _nowhere(name: str, reasons: Mapping[str, tuple[Keys, str]]) -> Unsupported:
    """The issue by the host that comes nearest: one that has the cards was meant."""
    near = [host for host, (key, _) in reasons.items() if key[0] != "cards"] or list(reasons)
    key, lack = reasons[near[0]]
    more = f" (and {len(reasons) - 1} more hosts)" if len(reasons) > 1 else ""
    return Unsupported(
        ("flavors", name, *key),
        f"flavors.{name}: no host can take it, {near[0]} {lack}{more}",
        "",
        "Make the flavor smaller, or correct the hosts' facts.",
    )


def _may_have(site: Site, host: str, flavor: SiteFlavor) -> bool:
    """Whether a host without facts may have the flavor's cards, by the site's numbers."""
    counts = site.hosts[host].cards
    return all(counts.get(kind, count) >= count for kind, count in flavor.cards.items())


def _lacks(case: _FlavorCase, host: str, size: HostSize) -> tuple[Keys, str] | None:
    """The key of the flavor that is too large for a host, and what the host has."""
    flavor = case.flavor
    for kind, count in requested_cards(case.site, flavor).items():
        if size.cards.get(kind, 0) < count:
            return ("cards", kind), f"has {size.cards.get(kind, 0)} {kind}, {count} are requested"
    if size.ram_mb is not None and flavor.ram > size.ram_mb:
        return ("ram",), f"has {size.ram_mb} MiB of RAM"
    if size.threads is not None and flavor.vcpus > size.threads:
        return ("vcpus",), f"has {size.threads} threads"
    near = case.near.get(host)
    return None if near is None else _lacks_nodes(case, near)


def _lacks_nodes(case: _FlavorCase, host: CardHost) -> tuple[Keys, str] | None:
    """What the host's NUMA nodes lack for the guest's."""
    flavor, guest = case.flavor, case.guest()
    wanted = len(guest.cells)
    if not wanted:
        return None
    key = "numa_nodes" if flavor.numa_nodes else "vcpus"
    if wanted > len(host.nodes.nodes):
        return (key,), f"has {len(host.nodes.nodes)} NUMA nodes"
    seats = host.seats(guest)
    if not seats:
        one = dataclasses.replace(guest, cells=guest.cells[:1])
        fitting = len(host.seats(one))
        return (key,), f"has {fitting} NUMA nodes with its share of RAM and threads"
    for kind, count in flavor.cards.items():
        policy = guest.policy or case.site.cards[kind].numa_policy
        near = max(host.near(kind, seat, policy) for seat in seats)
        if near < count:
            return ("cards", kind), f"has {near} {kind} on {wanted} NUMA nodes"
    return None


def requested_cards(site: Site, flavor: SiteFlavor) -> dict[str, int]:
    """The cards of each kind that a flavor asks for, by `cards` and by `resources:` together."""
    cards = dict(flavor.cards)
    for key, value in flavor.extra_specs.items():
        match = _RESOURCES.fullmatch(key)
        kind = _kind_of_class(site, flavor, match[1]) if match and value.isdigit() else None
        if kind is not None:
            cards[kind] += int(value)
    return cards


def _kind_of_class(site: Site, flavor: SiteFlavor, resource_class: str) -> str | None:
    """The flavor's kind of card that has the resource class."""
    for kind in flavor.cards:
        own = site.cards[kind].resource_class
        by_ids = {class_of_ids((one.vendor, one.product)) for one in site.cards[kind].match
                  if one.vendor and one.product}  # fmt: skip
        if resource_class in ({own} if own else by_ids):
            return kind
    return None


def _parts(
    site: Site, selected: tuple[SelectedDevices, ...], facts: Mapping[str, Host]
) -> Iterator[Unsupported]:
    """Flavors that ask for an extra function of a card and not for its GPU."""
    for gpus, extras in _kinds_of_parts(selected, facts):
        for name, flavor in site.flavors.items():
            part = next((kind for kind in extras if kind in flavor.cards), None)
            if part and gpus and not set(gpus) & set(flavor.cards):
                yield Unsupported(
                    ("flavors", name, "cards", part),
                    f"flavors.{name} requests {part}, a part of a card, without {gpus[0]}",
                    "Its server takes the card's IOMMU group, and no other server can have the "
                    "GPU.",
                    f"Add {gpus[0]}, or remove {part}.",
                )


def _kinds_of_parts(
    selected: tuple[SelectedDevices, ...], facts: Mapping[str, Host]
) -> Iterator[tuple[list[str], list[str]]]:
    """Of each card that is given in parts, the kinds of its GPUs and those of the other parts."""
    for cards in cards_given_in_parts(selected, facts).values():
        for card in cards:
            kinds = {next(iter(card.labels[one.address])): one for one in card.functions}
            gpus = [kind for kind, one in kinds.items() if one.is_display]
            yield gpus, [kind for kind in kinds if kind not in gpus]


def flavor_warnings(site: Site, facts: Mapping[str, Host]) -> Iterator[Unsupported]:
    """What is allowed and probably not meant: twice the same card, groups, quotas."""
    for name, flavor in site.flavors.items():
        twice = [kind for kind, count in requested_cards(site, flavor).items()
                 if count > flavor.cards[kind]]  # fmt: skip
        for kind in twice:
            yield Unsupported(
                ("flavors", name, "extra_specs"),
                f"flavors.{name} requests {kind} by cards and again by resources:",
                "Placement allocates both, and the server gets those of cards.",
                "Remove resources: from extra_specs.",
            )
    yield from _shared_groups(site, facts)
    yield from _quotas(site)


def _shared_groups(site: Site, facts: Mapping[str, Host]) -> Iterator[Unsupported]:
    """Flavors that ask for fewer cards than share an IOMMU group."""
    try:
        selected = select_devices(site, facts)
    except UnsupportedError:
        return
    for host, cards in cards_given_in_parts(selected, facts).items():
        groups = [card for card in cards if not card.is_one_slot and len(card.displays) > 1]
        for group in groups[:1]:
            kind = next(iter(group.labels[group.displays[0].address]))
            names = [name for name, flavor in site.flavors.items()
                     if 0 < flavor.cards.get(kind, 0) < len(group.displays)]  # fmt: skip
            if names:
                yield Unsupported(
                    ("flavors", names[0], "cards", kind),
                    f"flavors.{names[0]} requests fewer {kind} than share an IOMMU group on {host} "
                    f"({len(group.displays)})",
                    "Once a server has one of them, no other server can have another.",
                    "Request all of them, or put the cards into slots with groups of their own.",
                )


def _quotas(site: Site) -> Iterator[Unsupported]:
    """Projects whose limits are below each flavor with cards that they may use."""
    for project, quota in site.quotas.items():
        flavors = _flavors_with_cards(site, project)
        for key, limit, amounts in _limits(quota, flavors):
            least = min((amount for amount in amounts if amount), default=0)
            if limit is not None and 0 < limit < least:
                yield Unsupported(
                    ("quotas", project, *key),
                    f"quotas.{project}: {limit} of {key[-1]} is less than any of its flavors with "
                    f"cards needs ({least})",
                    "",
                    "Raise the limit, or give the project a smaller flavor.",
                )


def _flavors_with_cards(site: Site, project: str) -> list[SiteFlavor]:
    """The flavors with cards that a project may use: the public ones and its own."""
    return [
        flavor
        for flavor in site.flavors.values()
        if flavor.cards and project in (flavor.projects or (project,))
    ]


def _limits(
    quota: Quota, flavors: Sequence[SiteFlavor]
) -> Iterator[tuple[Keys, int | None, list[int]]]:
    """Each limit by its key, with what each flavor needs of it."""
    yield ("cores",), quota.cores, [flavor.vcpus for flavor in flavors]
    yield ("ram",), quota.ram, [flavor.ram for flavor in flavors]
    for kind, limit in quota.cards.items():
        yield ("cards", kind), limit, [flavor.cards.get(kind, 0) for flavor in flavors]
