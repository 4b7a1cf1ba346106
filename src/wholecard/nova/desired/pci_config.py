"""From a site and the facts of its hosts to what nova has to know. Pure.

What the site wishes and the release cannot do, or would refuse at start, is an UndoableError here,
before anything is written: all that the file alone tells, then the first thing that the facts tell.
`auto` takes what the release has and can be tuned for; limits of cards that it does not count are
left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from wholecard.core.capabilities import Capability, has
from wholecard.core.releases import Release
from wholecard.host.facts.host import Host
from wholecard.nova.desired.card_quotas import limited_classes, quota_driver
from wholecard.nova.desired.device_selection import (
    OmittedFunction,
    SelectedDevices,
    given,
    hosts_without_facts,
    refuse_parts,
    type_of,
)
from wholecard.nova.desired.device_specs import specs_by_match, specs_on_host
from wholecard.nova.desired.json_values import PciAlias, PciDeviceSpec
from wholecard.nova.desired.placement_tags import PlacementTags, placement_use
from wholecard.nova.desired.release_support import undoable
from wholecard.nova.desired.required_options import PciConfig, check
from wholecard.nova.desired.resource_classes import Ids, card_classes, refuse_alike
from wholecard.nova.desired.unsupported import UnsupportedError, unsupported
from wholecard.pci.device_types import DeviceType
from wholecard.site.model import CardKind, Site


def pci_configs(
    site: Site, facts: Mapping[str, Host], of: Release, available: Sequence[str] = ()
) -> dict[str, PciConfig]:
    """What nova has to know on each host of the site, by its name.

    Without hosts in the site it is one config under the name "". Only `device_specs` and
    `left_out` differ between hosts. `available` is what nova-scheduler's `available_filters` names.
    Raises UndoableError, as the head of this file says.
    """
    against = undoable(site, of, available)
    if against:
        raise UnsupportedError(against)
    found = given(site, facts)
    blind = tuple(hosts_without_facts(site, facts))
    most, hosts = _counted(site, found, blind)
    use = placement_use(site, of, most)
    if use.report:
        refuse_parts(found)
    classes = card_classes(site, found, blind, use)
    types = {name: _type(name, kind, found) for name, kind in site.cards.items()}
    if not use.choose:
        refuse_alike(classes, types)
    migrates = has(of, Capability.LIVE_MIGRATABLE)
    tags = {
        name: PlacementTags(name, kind, use, classes.own[name], migrates)
        for name, kind in site.cards.items()
    }
    aliases = tuple(
        alias
        for name, ids in classes.ids.items()
        for alias in _aliases(tags[name], ids, types[name])
    )
    driver, limited = quota_driver(site, of), limited_classes(site, facts, of)
    specs = _specs(site, facts, tags, found, blind, of)
    configs = {
        host: PciConfig(
            device_specs=of_host,
            aliases=aliases,
            report_in_placement=use.report,
            pci_in_placement=use.choose,
            cards_per_host=most,
            hosts=hosts,
            quota_driver=driver,
            limited=tuple(dict.fromkeys(limited.values())),
            left_out=_left_out(host, found),
        )
        for host, of_host in specs.items()
    }
    for config in dict.fromkeys(configs.values()):
        check(config, of)
    return configs


def most_cards(site: Site, facts: Mapping[str, Host]) -> int:
    """The most cards of a kind that a host has; 0 where that is not known."""
    try:
        found = given(site, facts)
    except UnsupportedError:
        return 0
    return _counted(site, found, tuple(hosts_without_facts(site, facts)))[0]


def _type(name: str, kind: CardKind, found: tuple[SelectedDevices, ...]) -> DeviceType:
    if kind.device_type != "auto":
        return kind.device_type
    types: dict[DeviceType, str] = {}
    for each in found:
        if each.kind == name:
            for function in each.functions:
                types.setdefault(type_of(function), f"{function.address} on {each.host}")
    if not types:
        raise unsupported(
            ("cards", name),
            f"cards.{name}: its device_type is not known",
            "auto takes it from a host's facts, and no facts of a host with such a card are there.",
            "Name a file of facts as hosts.NAME.facts (wholecard-host inspect --json), or write "
            "device_type: type-PF for a card with an SR-IOV capability, type-PCI for one without.",
            is_lack=True,
        )
    if len(types) > 1:
        raise unsupported(
            ("cards", name),
            f"cards.{name}: nova sees its cards as two types",
            "; ".join(f"{where} is {kind}" for kind, where in types.items()),
            "An alias has one device_type. Turn SR-IOV on or off alike in the firmware's setup of "
            "all hosts, or make two kinds of it, each with its hosts.",
        )
    return next(iter(types))


def _aliases(
    tags: PlacementTags, ids: tuple[Ids, ...], device_type: DeviceType
) -> Iterator[PciAlias]:
    if tags.use.choose and len(ids) > 1:
        yield tags.alias(None, device_type)
        return
    yield from (tags.alias(each, device_type) for each in ids)


def _specs(
    site: Site,
    facts: Mapping[str, Host],
    tags: Mapping[str, PlacementTags],
    found: tuple[SelectedDevices, ...],
    blind: tuple[str, ...],
    of: Release,
) -> dict[str, tuple[PciDeviceSpec, ...]]:
    specs: dict[str, list[PciDeviceSpec]] = {name: [] for name in site.hosts or ("",)}
    for each in found:
        if each.host in specs:
            specs[each.host] += specs_on_host(
                each.kind, site.cards[each.kind], tags[each.kind], each.functions, each.host,
                facts[each.host], of,
            )  # fmt: skip
    for host in blind:
        for name, kind in site.cards.items():
            specs[host] += specs_by_match(name, kind, tags[name], host)
    return {host: tuple(dict.fromkeys(of_host)) for host, of_host in specs.items()}


def _left_out(host: str, found: tuple[SelectedDevices, ...]) -> tuple[OmittedFunction, ...]:
    return tuple(dict.fromkeys(one for each in found if each.host == host for one in each.left_out))


def _counted(
    site: Site, found: tuple[SelectedDevices, ...], blind: tuple[str, ...]
) -> tuple[int, int]:
    """The most cards of a kind that a host has, and how many hosts have any; 0 where unknown."""
    counts = {(each.host, each.kind): len(each.functions) for each in found}
    for host in blind:
        if host:
            for kind, count in site.hosts[host].cards.items():
                counts[host, kind] = count
    return max(counts.values(), default=0), len({key[0] for key, many in counts.items() if many})
