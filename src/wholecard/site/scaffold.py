"""A first `site.yaml`, written from inspected hosts, with comments that explain it. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from wholecard.core.capabilities import Capability, has
from wholecard.core.releases import Release
from wholecard.core.units import size_text
from wholecard.host.checks.memory import check_address_width
from wholecard.host.facts.address_width import bar_window, window_bits
from wholecard.host.facts.host import Host
from wholecard.pci import Card
from wholecard.pci.boards import is_on_nvlink_board, nvswitches
from wholecard.site.card_kinds import FoundKind, SkippedCard, find_kinds
from wholecard.site.card_matching import bound_text, count_of
from wholecard.site.model import CardKind, Match

_MIB, _GIB = 1 << 20, 1 << 30
_SIZES = (1, 2, 4, 8)
# Comments on single cards, for each kind.
_MOST_REMARKS = 4
# A plain scalar is a text for every YAML reader; these words YAML 1.1 reads as truth or null.
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9._/-]*")
_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})


@dataclass(frozen=True)
class FoundHost:
    """An inspected host; `facts` is its file as the site file will name it, None without one."""

    host: Host
    facts: str | None = None


def first_site(hosts: Mapping[str, FoundHost], release: Release, schema: str) -> str:
    """The text of a site file for the hosts by name; `schema` is where its JSON schema is."""
    inspected = {name: host.host for name, host in hosts.items()}
    kinds, skipped = find_kinds(inspected)
    lines = [
        f"# yaml-language-server: $schema={schema}",
        "#",
        "# The cards of this cloud. `wholecard site init` wrote this file once; now it is yours to",
        "# change. Check it after each change: wholecard site check --site FILE",
        "version: 1",
        "",
        "# The release of OpenStack: a series (2025.2), a code name or nova's version (32).",
        f"release: {json.dumps(release.series)}",
        "",
        *_cards(kinds, skipped),
        "",
        *_hosts(hosts, kinds),
        "",
        *_flavors(kinds, inspected, release),
        "",
        *_IMAGES,
        "",
        *_quotas(kinds),
    ]
    return "\n".join(lines) + "\n"


def _scalar(text: str) -> str:
    """A text as YAML, in quotes where another reader might not read it as a text."""
    plain = _PLAIN.fullmatch(text) and text.lower() not in _WORDS
    return text if plain else json.dumps(text, ensure_ascii=False)


def _list(texts: Iterable[str]) -> str:
    return f"[{', '.join(_scalar(text) for text in texts)}]"


def _comment(text: str, indent: str = "") -> str:
    """A comment; a text from a host's files cannot end its line."""
    return f"{indent}# " + "".join(sign if sign.isprintable() else "?" for sign in text)


def _cards(kinds: tuple[FoundKind, ...], skipped: tuple[SkippedCard, ...]) -> Iterator[str]:
    yield "# The kinds of cards. A kind's name is nova's alias and what a flavor asks for."
    yield ("cards:" if kinds else "cards: {}  # no host has a card that could be given to servers")
    for kind in kinds:
        yield f"  {_scalar(kind.name)}:"
        yield _comment(kind.title or "pci.ids has no name for it", "    ")
        yield from _given(kind)
        yield from _match(kind)
        yield from _device_type(kind)
        remarks = list(_remarks(kind))
        yield from (_comment(remark, "    ") for remark in remarks[:_MOST_REMARKS])
        if len(remarks) > _MOST_REMARKS:
            yield f"    # ... and {len(remarks) - _MOST_REMARKS} more; wholecard check shows all"
        yield "    # numa_policy: preferred  # required: the card's NUMA node only; nova's: legacy"
        yield f"    # resource_class: {_resource_class(kind.name)}  # in Placement (since Zed)"
    if skipped:
        yield "# Left out, because the host needs them or they cannot be identified:"
    for card in skipped:
        gpu = card.card.gpu[0]
        name = f" {gpu.device_name}" if gpu.device_name else ""
        yield _comment(f"  {card.host} {gpu.address}{name} ({gpu.ids}): {card.reason}")


def _given(kind: FoundKind) -> Iterator[str]:
    """What a guest gets of a card that has more than its GPU."""
    cards = [card for cards in kind.cards.values() for card in cards]
    others = [each for card in cards for each in card.functions if each not in card.gpu]
    if others:
        yield "    # A guest gets the GPU alone. Bound to vfio-pci with it, and given to nobody:"
        yield _comment(bound_text(others), "    ")


def _match(kind: FoundKind) -> Iterator[str]:
    vendor, product = kind.ids.split(":")
    ids = f'vendor: "{vendor}", product: "{product}"'
    yield "    match:"
    plain = [name for name in kind.cards if name not in kind.by_address]
    if plain:
        only = f", hosts: {_list(plain)}" if kind.limited else ""
        yield f"      - {{{ids}{only}}}"
    for name in kind.by_address:
        yield _comment(f"on {name} by address: a function that must not be given has these ids too",
                      "      ")  # fmt: skip
        for card in kind.cards[name]:
            yield f'      - {{address: "{card.gpu[0].address}", hosts: {_list([name])}}}'


def _device_type(kind: FoundKind) -> Iterator[str]:
    sriov = {
        name: max(card.gpu[0].sriov_total for card in cards) for name, cards in kind.cards.items()
    }
    if all(sriov.values()):
        yield (
            "    # device_type: type-PF  # it has an SR-IOV capability, even if unused: "
            f"{max(sriov.values())} VFs"
        )
    elif any(sriov.values()):
        names = ", ".join(name for name in sriov if sriov[name])
        yield _comment(f"device_type: type-PF on {names}, type-PCI elsewhere: SR-IOV is not on in "
                       "every firmware", "    ")  # fmt: skip


def _remarks(kind: FoundKind) -> Iterator[str]:
    """What shares a card's IOMMU group, and VFs that a card must not have when it is given."""
    for name, cards in kind.cards.items():
        for card in cards:
            if card.companions:
                more = f" and {len(card.companions) - 1} more" if len(card.companions) > 1 else ""
                yield (
                    f"{name} {card.slot} shares its IOMMU group with "
                    f"{card.companions[0].address}{more}: all are bound together or not at all"
                )
            if card.gpu[0].sriov_vfs:
                vfs = card.gpu[0].sriov_vfs
                yield (
                    f"{name} {card.slot} has {vfs} VFs now; remove them before guests use the card"
                )


def _resource_class(name: str) -> str:
    return f"CUSTOM_{re.sub(r'[^A-Z0-9]+', '_', name.upper())}"


def _hosts(hosts: Mapping[str, FoundHost], kinds: Iterable[FoundKind]) -> Iterator[str]:
    yield "# The hypervisor hosts by nova-compute's names, and the cards that they should have."
    yield "hosts:"
    for name, host in hosts.items():
        yield f"  {_scalar(name)}:"
        switches = nvswitches(host.host.functions)
        if any(is_on_nvlink_board(card.gpu[0], switches) for card in host.host.cards):
            yield "    # A board with NVSwitches: its GPUs need a fabric manager, whose partitions"
            yield "    # nova does not know. See: wholecard rule WC180"
        if host.facts is None:
            yield "    # facts: facts/HOST.json  # wholecard inspect --json > facts/HOST.json"
        else:
            yield f"    facts: {_scalar(host.facts)}"
        counts = {
            kind.name: count_of(_as_model(kind), name, host.host)
            for kind in kinds
            if name in kind.cards
        }
        cards = ", ".join(f"{_scalar(kind)}: {count}" for kind, count in counts.items())
        yield f"    cards: {{{cards}}}"


def _as_model(kind: FoundKind) -> CardKind:
    """The kind as `_match` writes it."""
    vendor, product = kind.ids.split(":")
    plain = tuple(name for name in kind.cards if name not in kind.by_address)
    matches = [Match(vendor=vendor, product=product, hosts=plain)] if plain else []
    for name in kind.by_address:
        matches += [Match(address=str(card.gpu[0].address), hosts=(name,))
                    for card in kind.cards[name]]  # fmt: skip
    return CardKind(match=tuple(matches))


def _flavors(
    kinds: tuple[FoundKind, ...], hosts: Mapping[str, Host], release: Release
) -> Iterator[str]:
    cards = {name: sum(len(kind.cards.get(name, ())) for kind in kinds) for name in hosts}
    yield "# Flavors: each card comes with its share of the smallest host's RAM and CPUs, after the"
    yield "# host's own part."
    yield "flavors:" if kinds else "flavors: {}"
    for kind in kinds:
        most = max(map(len, kind.cards.values()))
        for count in (size for size in _SIZES if size <= most):
            having = {name: hosts[name] for name in kind.cards if len(kind.cards[name]) >= count}
            shares = [_share(host, count, cards[name]) for name, host in having.items()]
            yield from _flavor(kind, count, shares)
            yield from _hints(kind, count, having, release)


def _flavor(kind: FoundKind, count: int, shares: Sequence[tuple[int, int]]) -> Iterator[str]:
    """A flavor with that many cards, by the smallest of the hosts' shares of RAM and CPUs."""
    yield f"  {_scalar(f'{kind.name}-x{count}')}:"
    yield f"    ram: {min(ram for ram, _ in shares)}  # MiB"
    yield f"    vcpus: {min(vcpus for _, vcpus in shares)}"
    yield f"    cards: {{{_scalar(kind.name)}: {count}}}"


def _share(host: Host, count: int, cards: int) -> tuple[int, int]:
    """RAM in MiB and virtual CPUs for `count` of the host's cards.

    The host keeps a sixteenth of its RAM, 4 to 64 GiB, and of its threads, 2 to 16. Where the
    facts do not say what it has: 16 GiB and 4 for each card.
    """
    ram, vcpus = 16384 * count, 4 * count
    if host.memory.total:
        kept = min(max(host.memory.total // 16, 4 * _GIB), 64 * _GIB)
        ram = max(host.memory.total - kept, 0) * count // cards // _MIB
        ram = max(ram - ram % 1024, 512)
    if host.cpu.threads:
        kept = min(max(host.cpu.threads // 16, 2), 16)
        vcpus = max(host.cpu.threads - kept, 0) * count // cards
        vcpus = max(vcpus - vcpus % 2, 1)
    return ram, vcpus


def _hints(
    kind: FoundKind, count: int, hosts: Mapping[str, Host], release: Release
) -> Iterator[str]:
    yield "    # tuned: true  # its own CPUs and huge pages, beside its cards"
    spread = max(_nodes_needed(kind.cards[name], count) for name in hosts)
    if spread > 1:
        yield f"    # numa_nodes: {spread}  # its cards are on {spread} NUMA nodes of the host"
    pages = min(_huge_pages(host) for host in hosts.values())
    if pages:
        yield f"    # hugepages: 1G  # each host has {pages} of them or more"
    wide = {
        name: bar_window(kind.cards[name][:count])
        for name, host in hosts.items()
        if check_address_width(host, kind.cards[name][:count])
    }
    if not wide:
        return
    window = max(wide.values())
    bits = window_bits(window)
    if has(release, Capability.GUEST_ADDRESS_WIDTH):
        yield (f"    # maxphysaddr: auto  # the cards' memory (BARs) needs {bits} address bits: "
               f"{size_text(window)}")  # fmt: skip
    else:
        yield (f"    # The cards' memory (BARs) needs {size_text(window)}: {bits} address bits, "
               f"which nova can set since {Capability.GUEST_ADDRESS_WIDTH.series}.")  # fmt: skip


def _nodes_needed(cards: tuple[Card, ...], count: int) -> int:
    """The fewest NUMA nodes that together have so many of the cards; 1 where it is not known."""
    nodes = [card.gpu[0].numa_node for card in cards]
    if any(node is None or node < 0 for node in nodes):
        return 1
    left, needed = count, 0
    for size in sorted((nodes.count(node) for node in set(nodes)), reverse=True):
        if left > 0:
            left, needed = left - size, needed + 1
    return max(needed, 1)


def _huge_pages(host: Host) -> int:
    pools = host.memory.hugepages
    return sum(pool.total for pool in pools if pool.size == _GIB and pool.node is None)


_IMAGES = (
    "# Images for servers with cards: without q35 and UEFI a guest does not see large cards.",
    "# images:",
    "#   ubuntu-24.04:",
    "#     file: ubuntu-24.04.qcow2  # uploaded where Glance has no image of that name",
    "#     os: linux",
)


def _quotas(kinds: Iterable[FoundKind]) -> Iterator[str]:
    first = next((kind.name for kind in kinds), "h100")
    yield "# Limits of projects; nova counts cards with unified limits only (since 2026.2)."
    yield "# quotas:"
    yield "#   PROJECT:"
    yield f"#     cards: {{{_scalar(first)}: 8}}"
