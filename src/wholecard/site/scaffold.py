"""A first `site.yaml`, written from inspected hosts, with why each thing stands there. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from wholecard.core.capabilities import Capability, has
from wholecard.core.releases import Release
from wholecard.core.units import size_text
from wholecard.host.checks.memory import check_address_width
from wholecard.host.facts.address_width import bar_window, window_bits
from wholecard.host.facts.host import Host
from wholecard.pci import Card
from wholecard.site.card_kinds import FoundKind, SkippedCard, find_kinds
from wholecard.site.card_matching import count_of
from wholecard.site.model import CardKind, Match

_MIB, _GIB = 1 << 20, 1 << 30
_SIZES = (1, 2, 4, 8)
# Of remarks on single cards, so many for each kind.
_MOST_REMARKS = 4
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9._/-]*")
_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})


@dataclass(frozen=True)
class FoundHost:
    """An inspected host; `facts` is its file as the site file will name it, None for none."""

    host: Host
    facts: str | None = None


def first_site(hosts: Mapping[str, FoundHost], wanted: Release, schema: str) -> str:
    """The text of a site file for the hosts by name; `schema` is where its JSON schema is."""
    inspected = {name: found.host for name, found in hosts.items()}
    kinds, left_out = find_kinds(inspected)
    lines = [
        f"# yaml-language-server: $schema={schema}",
        "#",
        "# What is wanted of the cards of this cloud. `wholecard site init` wrote it; from here on",
        "# it is yours. When you have changed it: wholecard site check FILE",
        "version: 1",
        "",
        "# OpenStack's release here: a series (2025.2), a code name or nova's version (32).",
        f"release: {json.dumps(wanted.series)}",
        "",
        *_cards(kinds, left_out),
        "",
        *_hosts(hosts, kinds),
        "",
        *_flavors(kinds, inspected, wanted),
        "",
        *_IMAGES,
        "",
        *_quotas(kinds),
    ]
    return "\n".join(lines) + "\n"


def _scalar(text: str) -> str:
    """A text as YAML, in quotes where another reader might take it for something else."""
    plain = _PLAIN.fullmatch(text) and text.lower() not in _WORDS
    return text if plain else json.dumps(text, ensure_ascii=False)


def _list(texts: Iterable[str]) -> str:
    return f"[{', '.join(_scalar(text) for text in texts)}]"


def _remark(text: str, indent: str = "") -> str:
    """A comment; what came from a host's files cannot end its line."""
    return f"{indent}# " + "".join(sign if sign.isprintable() else "?" for sign in text)


def _cards(kinds: tuple[FoundKind, ...], left_out: tuple[SkippedCard, ...]) -> Iterator[str]:
    yield "# The kinds of cards. A kind's name is nova's alias and what a flavor asks for."
    yield "cards:" if kinds else "cards: {}  # no card that could be given was found"
    for kind in kinds:
        yield f"  {_scalar(kind.name)}:"
        yield _remark(kind.title or "pci.ids has no name for it", "    ")
        yield from _match(kind)
        yield from _device_type(kind)
        remarks = list(_remarks(kind))
        yield from (_remark(each, "    ") for each in remarks[:_MOST_REMARKS])
        if len(remarks) > _MOST_REMARKS:
            yield f"    # ... and {len(remarks) - _MOST_REMARKS} more of these: wholecard check"
        yield "    # numa_policy: preferred  # required: only beside the card; nova's own is legacy"
        yield f"    # resource_class: {_resource_class(kind.name)}  # Placement's (Zed)"
    if left_out:
        yield "# Left out, for they are the host's own or cannot be told:"
    for each in left_out:
        gpu = each.card.gpu[0]
        name = f" {gpu.device_name}" if gpu.device_name else ""
        yield _remark(f"  {each.host} {gpu.address}{name} ({gpu.ids}): {each.why}")


def _match(kind: FoundKind) -> Iterator[str]:
    vendor, product = kind.ids.split(":")
    ids = f'vendor: "{vendor}", product: "{product}"'
    yield "    match:"
    plain = [name for name in kind.cards if name not in kind.by_address]
    if plain:
        only = f", hosts: {_list(plain)}" if kind.limited else ""
        yield f"      - {{{ids}{only}}}"
    for name in kind.by_address:
        yield _remark(f"on {name} by address: a function that is not given has these ids too",
                      "      ")  # fmt: skip
        for card in kind.cards[name]:
            yield f'      - {{address: "{card.gpu[0].address}", hosts: {_list([name])}}}'


def _device_type(kind: FoundKind) -> Iterator[str]:
    able = {
        name: max(card.gpu[0].sriov_total for card in cards) for name, cards in kind.cards.items()
    }
    if all(able.values()):
        yield f"    # device_type: type-PF  # it has SR-IOV ({max(able.values())} VFs), used or not"
    elif any(able.values()):
        yield _remark(f"device_type: type-PF on {', '.join(each for each in able if able[each])}, "
                      "type-PCI elsewhere: SR-IOV is not on in every firmware", "    ")  # fmt: skip


def _remarks(kind: FoundKind) -> Iterator[str]:
    """What shares a card's IOMMU group, and VFs that go when their card is given whole."""
    for name, cards in kind.cards.items():
        for card in cards:
            if card.companions:
                more = f" and {len(card.companions) - 1} more" if len(card.companions) > 1 else ""
                yield (
                    f"{name} {card.slot} shares its IOMMU group with "
                    f"{card.companions[0].address}{more}: given together or not at all"
                )
            if card.gpu[0].sriov_vfs:
                yield f"{name} {card.slot} has {card.gpu[0].sriov_vfs} VFs now, and none when given"


def _resource_class(name: str) -> str:
    return f"CUSTOM_{re.sub(r'[^A-Z0-9]+', '_', name.upper())}"


def _hosts(hosts: Mapping[str, FoundHost], kinds: Iterable[FoundKind]) -> Iterator[str]:
    yield "# The hypervisor hosts by nova-compute's names, and the cards that they should have."
    yield "hosts:"
    for name, found in hosts.items():
        yield f"  {_scalar(name)}:"
        if found.facts is None:
            yield "    # facts: facts/HOST.json  # wholecard inspect --json > facts/HOST.json"
        else:
            yield f"    facts: {_scalar(found.facts)}"
        counts = {
            kind.name: count_of(_as_model(kind), name, found.host)
            for kind in kinds
            if name in kind.cards
        }
        inner = ", ".join(f"{_scalar(kind)}: {count}" for kind, count in counts.items())
        yield f"    cards: {{{inner}}}"


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
    kinds: tuple[FoundKind, ...], hosts: Mapping[str, Host], wanted: Release
) -> Iterator[str]:
    per_host = {name: sum(len(kind.cards.get(name, ())) for kind in kinds) for name in hosts}
    yield "# Flavors: with a card goes its share of the smallest host, less what the host keeps."
    yield "flavors:" if kinds else "flavors: {}"
    for kind in kinds:
        for count in (each for each in _SIZES if each <= kind.most):
            having = {name: hosts[name] for name in kind.cards if len(kind.cards[name]) >= count}
            shares = [_share(host, count, per_host[name]) for name, host in having.items()]
            ram, vcpus = min(each[0] for each in shares), min(each[1] for each in shares)
            yield f"  {_scalar(f'{kind.name}-x{count}')}:"
            yield f"    ram: {ram}  # MiB"
            yield f"    vcpus: {vcpus}"
            yield f"    cards: {{{_scalar(kind.name)}: {count}}}"
            yield from _hints(kind, count, having, wanted)


def _share(host: Host, count: int, cards: int) -> tuple[int, int]:
    """RAM in MiB and virtual CPUs for `count` of the host's cards.

    The host keeps a sixteenth of its RAM, 4 to 64 GiB, and of its threads, 2 to 16. Where it did
    not say what it has: 16 GiB and 4 for each card.
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
    kind: FoundKind, count: int, hosts: Mapping[str, Host], wanted: Release
) -> Iterator[str]:
    spread = max(_nodes_needed(kind.cards[name], count) for name in hosts)
    if spread > 1:
        yield f"    # numa_nodes: {spread}  # its cards are on {spread} NUMA nodes of the host"
    pages = min(_huge_pages(host) for host in hosts.values())
    if pages:
        yield f"    # hugepages: 1G  # the hosts set aside {pages} of them at least"
    wide = {
        name: bar_window(kind.cards[name][:count])
        for name, host in hosts.items()
        if check_address_width(host, kind.cards[name][:count])
    }
    if not wide:
        return
    window = max(wide.values())
    bits = window_bits(window)
    if has(wanted, Capability.GUEST_ADDRESS_WIDTH):
        yield (f"    # maxphysaddr: auto  # takes {bits} address bits for the cards' memory (BARs) "
               f"of {size_text(window)}")  # fmt: skip
    else:
        yield (f"    # The cards' memory (BARs) takes {size_text(window)}: {bits} address bits, "
               f"which nova sets since {Capability.GUEST_ADDRESS_WIDTH.series}.")  # fmt: skip


def _nodes_needed(cards: tuple[Card, ...], count: int) -> int:
    """The fewest NUMA nodes that together have so many of the cards; 1 where nobody tells."""
    nodes = [card.gpu[0].numa_node for card in cards]
    if any(node is None or node < 0 for node in nodes):
        return 1
    left, needed = count, 0
    for size in sorted((nodes.count(node) for node in set(nodes)), reverse=True):
        if left > 0:
            left, needed = left - size, needed + 1
    return max(needed, 1)


def _huge_pages(host: Host) -> int:
    pools = [
        pool.total for pool in host.memory.hugepages if pool.size == _GIB and pool.node is None
    ]
    return sum(pools)


_IMAGES = (
    "# Images that a server with a card boots from: q35 and UEFI, or it does not see large cards.",
    "# images:",
    "#   ubuntu-24.04:",
    "#     file: ubuntu-24.04.qcow2  # uploaded where Glance has no image of that name",
    "#     os: linux",
)


def _quotas(kinds: Iterable[FoundKind]) -> Iterator[str]:
    first = next((kind.name for kind in kinds), "h100")
    yield "# Limits of projects; cards are counted under unified limits alone (2026.2)."
    yield "# quotas:"
    yield "#   PROJECT:"
    yield f"#     cards: {{{_scalar(first)}: 8}}"
