"""What the hosts of a site file have, alone or planned beside what a cloud has today."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace

from wholecard.capacity.demand import aliases_of
from wholecard.capacity.from_cloud import free_nodes
from wholecard.capacity.planned_facts import planned_facts
from wholecard.capacity.record import CardUnits, HostStock, Stock, units_of
from wholecard.cloud.placement.provider_tree import Inventory
from wholecard.core.releases import LATEST
from wholecard.explain.evidence.from_files import flavor_of
from wholecard.explain.evidence.requested_devices import class_of, traits_of
from wholecard.host.facts.host import Host
from wholecard.nova import match
from wholecard.nova.desired.pci_config import pci_configs
from wholecard.nova.desired.required_options import PciConfig
from wholecard.nova.desired.slice_classes import slice_classes
from wholecard.nova.flavor.cpus import cpu_set
from wholecard.nova.match import DeviceSysfs, Spec, rules_for
from wholecard.nova.match.mdevs import VGPU, libvirt_name, nova_parent
from wholecard.pci import Function
from wholecard.site.give import Slice
from wholecard.site.give_checks import give_issues_on
from wholecard.site.load import SiteError, SiteFile
from wholecard.site.model import Site
from wholecard.site.yaml_positions import SiteIssue

# nova/conf/compute.py, `reserved_host_memory_mb`.
_HOSTS_OWN_MB = 512
_BY_FACTS = "CPUs and RAM of new hosts, which are taken as the machine's without overcommit"
_RULES = rules_for(LATEST.nova, report_in_placement=True, pci_in_placement=True)


def site_stock(site: SiteFile, today: Stock | None = None) -> Stock:
    """What the site's hosts have, all of it free; what is given `today` stays so where it is.

    Of a host that is there today its own inventories, their use and its NUMA nodes are today's.
    Cards that the site gives in parts are split as it says, whatever they are now. Raises
    SiteError for a split that a host's cards cannot have, UnsupportedError and UsageError for a
    site that cannot be rendered.
    """
    facts = _facts(site)
    configs = pci_configs(site.site, facts, site.release)
    aliases = tuple(each.to_json() for each in next(iter(configs.values())).aliases)
    classes = slice_classes(site.site, site.release)
    flavors = tuple(flavor_of(site, name) for name in site.site.flavors)
    notes = (_BY_FACTS,) if today else (_BY_FACTS, "what servers have: no cloud was asked")
    empty = Stock(str(site.path), (), flavors, aliases, site.release, notes)
    hosts = [_on_facts(name, facts[name], configs[name], site.site) if name in facts
             else HostStock(name, tuple(_by_count(own.cards, empty, site.site, classes)))
             for name, own in site.site.hosts.items()]  # fmt: skip
    if today is not None:
        return _beside(today, replace(empty, hosts=tuple(hosts)))
    return replace(empty, hosts=tuple(host for host in hosts if host.cards))


def _beside(today: Stock, plan: Stock) -> Stock:
    """The plan with what servers have today, and how much of that has no card in it."""
    old = {host.name: host for host in today.hosts}
    pairs = [_carried(host, old.pop(host.name, None)) for host in plan.hosts]
    displaced = sum(card.given for host in old.values() for card in host.cards)
    return replace(plan, hosts=tuple(host for host, _ in pairs if host.cards),
                   flavors=plan.flavors or today.flavors,
                   displaced=displaced + sum(lost for _, lost in pairs))  # fmt: skip


def _facts(site: SiteFile) -> dict[str, Host]:
    """The facts as they will be; raises SiteError for a split that a host's cards cannot have."""
    planned = {}
    for name, host in site.facts().items():
        issues = [SiteIssue(site.position(*keys), what, hint)
                  for keys, what, hint in give_issues_on(site.site, name, host, site.release)
                  ]  # fmt: skip
        if issues:
            raise SiteError(site.path, issues)
        planned[name] = planned_facts(site.site, name, host)
    return planned


def _on_facts(name: str, facts: Host, config: PciConfig, site: Site) -> HostStock:
    """The host as its nova-compute would report it, CPUs and RAM without overcommit."""
    devices = match.devices_of(facts.functions)
    sysfs = DeviceSysfs(devices)
    specs = [spec for text in config.device_specs
             for spec in Spec.parse(text.to_json(), _RULES, sysfs)]  # fmt: skip
    cards = tuple(
        units_of(row.devices[0].provider_address, Inventory(row.resource_class, row.total),
                 row.traits, row.devices[0].numa_node)
        for row in match.providers_of(name, devices, specs, _RULES)
    )  # fmt: skip
    cards += tuple(_mediated_devices(name, facts, config, site))
    cpus = sum(len(cpu_set(text, frozenset(range(8192)))) for _, text in facts.cpu.nodes)
    memory = Inventory("MEMORY_MB", facts.memory.total >> 20, _HOSTS_OWN_MB)
    machine = (Inventory("VCPU", cpus), Inventory("PCPU", cpus), memory)
    return HostStock(name, cards, machine if cpus and facts.memory.total else None, None,
                     free_nodes(facts))  # fmt: skip


def _mediated_devices(name: str, facts: Host, config: PciConfig, site: Site) -> Iterator[CardUnits]:
    """What each parent gives, under its provider's name (`gpu-01_pci_0000_84_00_0`)."""
    functions = {str(function.address): function for function in facts.functions}
    counts = {part.type: part.count for part in site.slices.values() if part.way == "mdev"}
    offered = {(nova_parent(row.parent), row.type_id): row.most
               for row in (facts.slices.mdev_types if facts.slices else ())}  # fmt: skip
    for kind in config.mdev_types:
        for parent in kind.parents:
            own = functions.get(parent)
            most = offered.get((parent, kind.name)) or counts[kind.name]
            total, node = _of_parent(own, most)
            yield units_of(f"{name}_{libvirt_name(parent)}",
                           Inventory(kind.resource_class, total), frozenset(), node)  # fmt: skip


def _of_parent(own: Function | None, most: int) -> tuple[int, int | None]:
    """How many a parent gives, and its NUMA node.

    A VF is the parent of one; another parent gives all that its driver offers.
    """
    if own is None:
        return most, None
    return (most if own.physfn is None else 1), own.numa_node


def _by_count(
    counts: Mapping[str, int], stock: Stock, site: Site, classes: Mapping[str, str | None]
) -> Iterator[CardUnits]:
    """Cards of which only their kind and number are known, with the parts that each is given in.

    A card's class and traits are those of its kind's first alias.
    """
    known, _ = aliases_of(stock)
    whole = (kind for kind in counts if site.cards[kind].parts is None)
    for part in (*site.slices.values(), *(Slice(kind, kind, "vfs", "", 1) for kind in whole)):
        resource_class, traits = classes.get(part.name) or VGPU, frozenset[str]()
        if part.way == "vfs":
            if part.name not in known:
                continue
            (request, *_) = match.parse_request(f"{part.name}:1", known)
            one = replace(request, specs=request.specs[:1])
            resource_class, traits = class_of(one), traits_of(one)
        for number in range(counts.get(part.kind, 0)):
            inventory = Inventory(resource_class, part.count)
            yield units_of(f"{part.kind} {number + 1}", inventory, traits)


def _carried(plan: HostStock, today: HostStock | None) -> tuple[HostStock, int]:
    """The planned host with what is given and reserved today, and how much has no card there.

    A card is the same by its address; what else is given goes to free cards of its class.
    """
    if today is None:
        return plan, 0
    old = {(card.name, card.kind.resource_class): card for card in today.cards}
    homeless = Counter[str]()
    for card in today.cards:
        homeless[card.kind.resource_class] += card.given
    cards = []
    for card in plan.cards:
        same = old.get((card.name, card.kind.resource_class), replace(card, total=0))
        given = min(same.given, card.total)
        homeless[card.kind.resource_class] -= given
        reserved = min(same.reserved, card.total - given)
        cards.append(replace(card, given=given, reserved=reserved))
    for index, card in enumerate(cards):
        more = min(homeless[card.kind.resource_class], card.free)
        homeless[card.kind.resource_class] -= more
        cards[index] = replace(card, given=card.given + more)
    host = replace(
        plan,
        cards=tuple(cards),
        machine=today.machine or plan.machine,
        traits=today.traits,
        nodes=today.nodes or plan.nodes,
        closed=today.closed,
    )
    return host, homeless.total()
