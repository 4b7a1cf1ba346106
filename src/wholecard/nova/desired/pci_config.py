"""From a site and the facts of its hosts to what nova's configuration has to say. Pure.

What the release does not support, or would refuse at start, is an UnsupportedError before anything
is written: everything that the file alone shows, or the first thing that the facts show. `auto`
means what the release has and can be tuned for; limits of cards that it does not count are left
out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wholecard.core.capabilities import Capability, has
from wholecard.core.releases import Release
from wholecard.host.facts.host import Host
from wholecard.nova.desired.card_quotas import (
    limited_classes,
    quota_driver,
    refuse_limits_of_one_class,
)
from wholecard.nova.desired.device_selection import (
    OmittedFunction,
    SelectedDevices,
    device_type_of,
    hosts_without_facts,
    refuse_pf_with_vf,
    select_devices,
)
from wholecard.nova.desired.device_specs import specs_by_match, specs_on_host
from wholecard.nova.desired.extra_functions import refuse_mixed_cards
from wholecard.nova.desired.json_values import PciAlias, PciDeviceSpec
from wholecard.nova.desired.mdev_types import mdev_types_on
from wholecard.nova.desired.placement_tags import PlacementTags, placement_use
from wholecard.nova.desired.release_support import unsupported_requests
from wholecard.nova.desired.required_options import PciConfig, check_config
from wholecard.nova.desired.resource_classes import card_classes, refuse_alike
from wholecard.nova.desired.slice_classes import slice_classes, unsupported_classes
from wholecard.nova.desired.slice_flavors import unsupported_flavors
from wholecard.nova.desired.unsupported import UnsupportedError, unsupported
from wholecard.nova.desired.vf_slices import vf_slices
from wholecard.pci.device_types import DeviceType
from wholecard.site.model import CardKind, Site


def pci_configs(
    site: Site, facts: Mapping[str, Host], release: Release, available: Sequence[str] = ()
) -> dict[str, PciConfig]:
    """What nova has to know on each host of the site, by its name.

    For a site without hosts it is one config under the name "". Only `device_specs` and `omitted`
    differ between hosts. `available` is what nova-scheduler's `available_filters` names. Raises
    UnsupportedError, as the head of this file says.
    """
    given, site = site, site.for_servers
    unsupported_ones = (
        *unsupported_requests(site, release, available), *unsupported_classes(given, release),
        *unsupported_flavors(given, release),
    )  # fmt: skip
    if unsupported_ones:
        raise UnsupportedError(unsupported_ones)
    selected = select_devices(site, facts)
    without_facts = tuple(hosts_without_facts(site, facts))
    refuse_mixed_cards(site, selected, facts, without_facts)
    most, hosts = _card_counts(site, selected, without_facts)
    use = placement_use(site, release, most)
    if use.report:
        refuse_pf_with_vf(selected)
    classes = card_classes(site, selected, without_facts, use)
    types = {name: _device_type(name, kind, selected) for name, kind in site.cards.items()}
    if not use.choose:
        refuse_alike(classes, types)
    migrates = has(release, Capability.LIVE_MIGRATABLE)
    tags = {
        name: PlacementTags(name, kind, use, classes.own[name], migrates)
        for name, kind in site.cards.items()
    }
    aliases: list[PciAlias] = []
    for name, ids in classes.ids.items():
        # With pci_in_placement nova refuses a second alias of one name.
        pairs = (None,) if use.choose and len(ids) > 1 else ids
        aliases += [tags[name].alias(pair, types[name]) for pair in pairs]
    driver, limited = quota_driver(given, release), limited_classes(given, facts, release)
    refuse_limits_of_one_class(given, limited)
    parts = slice_classes(given, release)
    vfs = vf_slices(given, facts, parts, use, release)
    specs = _specs(site, facts, tags, selected, without_facts, release)
    configs = {
        host: PciConfig(
            device_specs=(*device_specs, *vfs.specs.get(host, ())),
            aliases=(*aliases, *vfs.aliases),
            mdev_types=mdev_types_on(given, host, facts.get(host), parts, release),
            report_in_placement=use.report,
            pci_in_placement=use.choose,
            cards_per_host=most,
            hosts=hosts,
            quota_driver=driver,
            limited=tuple(dict.fromkeys(limited.values())),
            omitted=_omitted(host, selected),
            extra_functions=_extra_functions(site, host, selected, without_facts),
            full_tuning=site.tuning == "full",
        )
        for host, device_specs in specs.items()
    }
    # Most hosts have the same config, so a large site has few to check.
    for config in dict.fromkeys(configs.values()):
        check_config(config, release)
    return configs


def most_cards(site: Site, facts: Mapping[str, Host]) -> int:
    """The largest number of cards of a kind on a host; 0 where it is not known."""
    try:
        selected = select_devices(site, facts)
    except UnsupportedError:
        return 0
    return _card_counts(site, selected, tuple(hosts_without_facts(site, facts)))[0]


def _device_type(name: str, kind: CardKind, selected: tuple[SelectedDevices, ...]) -> DeviceType:
    if kind.device_type != "auto":
        return kind.device_type
    types: dict[DeviceType, str] = {}
    for devices in selected:
        if devices.kind == name:
            for function in devices.functions:
                types.setdefault(device_type_of(function), f"{function.address} on {devices.host}")
    if not types:
        raise unsupported(
            ("cards", name),
            f"cards.{name}: its device_type is not known",
            "auto takes it from a host's facts, and there are no facts of a host with such a card.",
            "Name a facts file as hosts.NAME.facts (wholecard-host inspect --json), or write "
            "device_type: type-PF for a card with an SR-IOV capability, type-PCI for one without.",
            facts_missing=True,
        )
    if len(types) > 1:
        raise unsupported(
            ("cards", name),
            f"cards.{name}: nova sees its cards as two types",
            "; ".join(f"{function} is {device_type}" for device_type, function in types.items()),
            "An alias has one device_type. Set SR-IOV to the same value in the firmware setup of "
            "all hosts, or write two kinds, each with its hosts.",
        )
    return next(iter(types))


def _specs(
    site: Site,
    facts: Mapping[str, Host],
    tags: Mapping[str, PlacementTags],
    selected: tuple[SelectedDevices, ...],
    without_facts: tuple[str, ...],
    release: Release,
) -> dict[str, tuple[PciDeviceSpec, ...]]:
    specs: dict[str, list[PciDeviceSpec]] = {name: [] for name in site.hosts or ("",)}
    for devices in selected:
        kind, host = devices.kind, devices.host
        if host in specs:
            specs[host] += specs_on_host(
                kind, site.cards[kind], tags[kind], devices.functions, host, facts[host], release
            )
    for host in without_facts:
        for name, card_kind in site.cards.items():
            specs[host] += specs_by_match(name, card_kind, tags[name], host)
    return {host: tuple(dict.fromkeys(on_host)) for host, on_host in specs.items()}


def _omitted(host: str, selected: tuple[SelectedDevices, ...]) -> tuple[OmittedFunction, ...]:
    on_host = (devices.omitted for devices in selected if devices.host == host)
    return tuple(dict.fromkeys(function for omitted in on_host for function in omitted))


def _extra_functions(
    site: Site, host: str, selected: tuple[SelectedDevices, ...], without_facts: tuple[str, ...]
) -> tuple[str, ...]:
    """The kinds of extra functions that the host gives; those of the site where it has no facts."""
    given = {devices.kind for devices in selected if devices.host == host and devices.functions}
    kinds = site.cards if host in without_facts else given
    return tuple(kind for kind in site.cards if site.cards[kind].extra_function and kind in kinds)


def _card_counts(
    site: Site, selected: tuple[SelectedDevices, ...], without_facts: tuple[str, ...]
) -> tuple[int, int]:
    """The largest number of cards of a kind on a host, and how many hosts have any; 0: unknown."""
    counts = {(devices.host, devices.kind): len(devices.functions) for devices in selected}
    for host in without_facts:
        if host:
            counts |= {(host, kind): count for kind, count in site.hosts[host].cards.items()}
    having = {host for (host, _), count in counts.items() if count}
    return max(counts.values(), default=0), len(having)
