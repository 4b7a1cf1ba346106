"""What is on the page of a site: hosts that look the same together, findings once. Pure.

Facts in, records out. The findings are those of `check`, by the same rules.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from wholecard.core import Finding, Severity
from wholecard.core.report_text import without_subject
from wholecard.core.units import size_text
from wholecard.host.agent.cli import person_command
from wholecard.host.agent.topology_text import topology_text
from wholecard.host.checks.registry import check
from wholecard.host.desired_state import DesiredState, desired_cards, is_left_out
from wholecard.host.facts.device_words import link_text, short_name
from wholecard.host.facts.host import Host
from wholecard.host.facts.topology import topology
from wholecard.pci import Card, IommuGroup
from wholecard.site.report.picture import Picture, draw

# The page's column on a screen, and a telephone's of 390 pixels without its margins.
WIDE, NARROW = 1000, 340
TEXT_WIDTH = 100


@dataclass(frozen=True)
class SiteHost:
    """A host of the site. `desired` is what its site file requests, None where there is none.

    `kinds` are the names that the site file has for its cards, by slot.
    """

    host: Host
    desired: DesiredState | None = None
    kinds: Mapping[str, str] | None = None


@dataclass(frozen=True)
class HostRow:
    """One host in the table: its `look` is the number of its picture."""

    name: str
    look: int
    system: str
    processors: str
    memory: str
    iommu: str
    cards: str
    errors: int
    warnings: int


@dataclass(frozen=True)
class CardRow:
    """One card of hosts that look the same."""

    slot: str
    name: str
    kind: str
    use: str
    driver: str
    node: str
    groups: str
    companions: str
    link: str
    memory: str


@dataclass(frozen=True)
class GroupRow:
    """An IOMMU group that a card is in: its name, its functions, and whether VFIO would open it."""

    name: str
    functions: tuple[str, ...]
    state: str


@dataclass(frozen=True)
class Look:
    """Hosts that look the same: drawn once, with the facts of the first of them."""

    number: int
    names: tuple[str, ...]
    picture: Picture
    narrow: Picture
    text: str
    cards: tuple[CardRow, ...]
    groups: tuple[GroupRow, ...]


@dataclass(frozen=True)
class FoundCause:
    """One cause: the first finding of it, and on which hosts which subjects have it."""

    finding: Finding
    where: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts that have it."""
        return tuple(host for hosts, _ in self.where for host in hosts)

    @property
    def fix(self) -> tuple[str, tuple[str, ...]]:
        """The fix as prose, and the commands below it."""
        prose, *commands = self.finding.fix.splitlines() or [""]
        return prose, tuple(command.strip() for command in commands)


@dataclass(frozen=True)
class SiteReport:
    """The page's content. `models` are the cards by name with their number, displays left out."""

    hosts: tuple[HostRow, ...]
    looks: tuple[Look, ...]
    causes: tuple[FoundCause, ...]
    models: tuple[tuple[str, int, int], ...]

    @property
    def count(self) -> Counter[Severity]:
        """How many causes there are of each severity."""
        return Counter(cause.finding.severity for cause in self.causes)


def site_report(hosts: Mapping[str, SiteHost]) -> SiteReport:
    """The report of hosts by their names, in the order that they have."""
    findings: dict[str, list[Finding]] = {}
    pictures: dict[str, Picture] = {}
    # Facts of hosts that differ in serial numbers alone are one record: see `AlikeFacts`.
    checked: dict[tuple[int, DesiredState | None], list[Finding]] = {}
    drawn: dict[int, Picture] = {}
    for name, each in hosts.items():
        key = id(each.host)
        if key not in drawn:
            drawn[key] = draw(topology(each.host), WIDE)
        if (key, each.desired) not in checked:
            checked[key, each.desired] = _findings(each)
        pictures[name], findings[name] = drawn[key], checked[key, each.desired]
    looks: dict[Picture, list[str]] = {}
    for name, picture in pictures.items():
        looks.setdefault(picture, []).append(name)
    numbers = {picture: number for number, picture in enumerate(looks, 1)}
    rows = [
        _host_row(name, each.host, numbers[pictures[name]], findings[name])
        for name, each in hosts.items()
    ]
    return SiteReport(
        tuple(rows),
        tuple(
            _look(numbers[picture], names, hosts[names[0]], picture)
            for picture, names in looks.items()
        ),
        causes(findings),
        _models(each.host for each in hosts.values()),
    )


def _findings(site_host: SiteHost) -> list[Finding]:
    """What `check` says of the requested cards, or of all that the host does not need itself."""
    host, desired = site_host.host, site_host.desired
    if desired is None:
        desired = DesiredState(tuple(card.slot for card in host.cards if not is_left_out(card)))
    cards = desired_cards(host, desired)
    is_asked = bool(cards or desired.keeps_all_cards)
    found = check(host, cards, desired=desired if is_asked else None)
    return [replace(each, fix=person_command(each.fix, "wholecard")) for each in found]


def causes(findings: Mapping[str, Sequence[Finding]]) -> tuple[FoundCause, ...]:
    """The findings of all hosts, errors first; the same words about several subjects are one."""
    same: dict[tuple[str, ...], dict[str, list[Finding]]] = {}
    for name, found in findings.items():
        for finding in found:
            key = (finding.severity.value, *without_subject(finding))
            same.setdefault(key, {}).setdefault(name, []).append(finding)
    result = []
    for by_host in same.values():
        where: dict[tuple[str, ...], list[str]] = {}
        for name, found in by_host.items():
            subjects = tuple(dict.fromkeys(finding.subject for finding in found))
            where.setdefault(subjects, []).append(name)
        first = next(iter(by_host.values()))[0]
        places = tuple((tuple(names), subjects) for subjects, names in where.items())
        result.append(FoundCause(first, places))
    order = list(Severity)
    return tuple(
        sorted(result, key=lambda each: (order.index(each.finding.severity), each.finding.rule))
    )


def _host_row(name: str, host: Host, look: int, findings: Sequence[Finding]) -> HostRow:
    iommu = host.iommu
    count = Counter(finding.severity for finding in findings)
    models = Counter(short_name(card.gpu[0]) for card in host.cards if not is_left_out(card))
    return HostRow(
        name,
        look,
        host.boot.distribution,
        _cpu_text(host),
        size_text(host.memory.total) if host.memory.total else "",
        f"{iommu.kind or 'none'}, {'on' if iommu.on else 'off'}",
        ", ".join(f"{number} x {model}" for model, number in models.items()) or "none",
        count[Severity.ERROR],
        count[Severity.WARNING],
    )


def _cpu_text(host: Host) -> str:
    name = host.cpu.model or host.cpu.vendor
    return f"{host.cpu.sockets} x {name}" if host.cpu.sockets else name


def _models(hosts: Iterable[Host]) -> tuple[tuple[str, int, int], ...]:
    """Each model of card with how many there are, and on how many hosts."""
    cards: Counter[str] = Counter()
    on: Counter[str] = Counter()
    for host in hosts:
        names = [short_name(card.gpu[0]) for card in host.cards if not is_left_out(card)]
        cards.update(names)
        on.update(set(names))
    return tuple((name, number, on[name]) for name, number in cards.most_common())


def _look(number: int, names: Sequence[str], first: SiteHost, picture: Picture) -> Look:
    host = first.host
    groups = dict.fromkeys(group for card in host.cards for group in host.groups_of(card))
    return Look(
        number,
        tuple(names),
        picture,
        draw(topology(host), NARROW),
        topology_text(host, TEXT_WIDTH),
        tuple(_card_row(card, first) for card in host.cards),
        tuple(
            GroupRow(
                group.name,
                tuple(f"{f.address} {short_name(f)} {f.driver or 'no driver'}"
                      for f in group.endpoints),
                _state(group),
            )
            for group in groups
        ),
    )  # fmt: skip


def _state(group: IommuGroup) -> str:
    if group.number is None:
        return "predicted"
    return "viable" if group.viable else "not viable"


def _card_row(card: Card, site_host: SiteHost) -> CardRow:
    host, gpu = site_host.host, card.gpu[0]
    drivers = dict.fromkeys(function.driver or "no driver" for function in card.functions)
    return CardRow(
        card.slot,
        short_name(gpu),
        (site_host.kinds or {}).get(card.slot, ""),
        _use(card, site_host.desired),
        ", ".join(drivers),
        "" if gpu.numa_node is None else str(gpu.numa_node),
        ", ".join("predicted" if group.number is None else str(group.number)
                  for group in host.groups_of(card)),
        ", ".join(str(function.address) for function in card.companions),
        link_text(gpu).replace("-", ""),
        size_text(card.bar_bytes) if card.bar_bytes else "",
    )  # fmt: skip


def _use(card: Card, desired: DesiredState | None) -> str:
    """What the site file requests for the card, or that the host has it for its console."""
    if desired is None or is_left_out(card):
        return "the host's own" if is_left_out(card) else ""
    if card.slot in desired.cards:
        return "whole"
    if card.slot in desired.containers:
        return "containers"
    split = next((s for s in desired.splits if s.card.startswith(card.slot)), None)
    return f"in parts ({split.way})" if split else "not given"
