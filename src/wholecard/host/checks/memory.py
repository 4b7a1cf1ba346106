"""Memory: the cards' and a guest's address width, huge pages, and what may be locked. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from wholecard.core import Finding, Severity
from wholecard.core.units import GIB, MIB, counted, size_text
from wholecard.host.desired_state import DesiredState, HugePages
from wholecard.host.facts import address_width
from wholecard.host.facts.address_width import AMD, DEFAULT_BITS, HYPERTRANSPORT, bar_window
from wholecard.host.facts.host import Host
from wholecard.pci import Card

_UNITS = {"K": 1 << 10, "M": MIB, "G": GIB}


def check_address_width(host: Host, cards: Iterable[Card]) -> list[Finding]:
    """WC123: the cards' memory does not fit into the window that UEFI has for it by default."""
    cards = tuple(cards)
    if not host.cpu.is_x86:
        return []
    whole = bar_window(cards)
    default = address_width.default_window(host)
    if whole <= default:
        return []
    largest = sorted(cards, key=lambda card: bar_window([card]), reverse=True)
    count = next(n for n in range(1, len(cards) + 1) if bar_window(largest[:n]) > default)
    needs = "its memory (BARs) needs" if count == 1 else "their memory (BARs) needs"
    message = (
        f"A guest with {counted(count, 'card')} cannot map all card memory: {needs} a window of "
        f"{size_text(bar_window(largest[:count]))}, and with QEMU's default of {DEFAULT_BITS} "
        f"address bits UEFI reserves {size_text(default)}."
    )
    bits = address_width.window_bits(whole)
    if count < len(cards):
        message += f" All {len(cards)} together need {size_text(whole)}."
    widest = address_width.widest_bits(host)
    if bits > widest:
        message += (
            f" That needs {bits} bits, but a guest on this host has at most {widest}: give one "
            "server fewer cards."
        )
    return [
        Finding(
            "WC123",
            counted(len(cards), "card"),
            Severity.WARNING,
            message,
            _width_fix(min(bits, widest)),
        )
    ]


def _width_fix(bits: int) -> str:
    return (
        "Use q35 and UEFI images, and set the width on the flavor (nova 2024.1 or later, libvirt "
        "8.7 or later), or on an image by the same names with hw_. With "
        "cpu_mode=host-passthrough, hw:maxphysaddr_mode=passthrough is enough. The address width "
        "must have room for the server's RAM and the window.\n"
        "  openstack flavor set FLAVOR --property hw:maxphysaddr_mode=emulate "
        f"--property hw:maxphysaddr_bits={bits}\n"
        "  openstack image set IMAGE --property hw_machine_type=q35 "
        "--property hw_firmware_type=uefi"
    )


def check_hypertransport(host: Host, cards: Iterable[Card]) -> list[Finding]:
    """WC124: an AMD host with enough RAM for servers whose memory reaches the hole below 1 TiB."""
    if host.cpu.vendor != AMD or host.memory.total <= HYPERTRANSPORT or not tuple(cards):
        return []
    return [
        Finding(
            "WC124",
            "memory",
            Severity.NOTE,
            f"This AMD host has {size_text(host.memory.total)} of RAM. A server with a card and "
            f"more than about {HYPERTRANSPORT // GIB} GiB uses addresses below 1 TiB that AMD's "
            "IOMMU reserves: Windows then shows code 43.",
            "For such servers use the machine type pc-q35-7.1 or later (hw_machine_type) and more "
            "than 40 address bits (hw:maxphysaddr_mode).",
        )
    ]


def check_memlock(host: Host, cards: Iterable[Card]) -> list[Finding]:
    """WC125: libvirt's own limit of locked memory is smaller than the RAM a server may have."""
    limit = host.memory.memlock
    if limit is None or limit < 0 or limit >= host.memory.total or not tuple(cards):
        return []
    return [
        Finding(
            "WC125",
            "memlock",
            Severity.NOTE,
            f"libvirt's service may lock {size_text(limit)} of memory, and a server with a card "
            "locks all its RAM. libvirt raises the limit for each such server itself, which needs "
            "CAP_SYS_RESOURCE: in a container without it the server does not start "
            "(VFIO_MAP_DMA failed).",
            "Only if you see that error, raise the service's limit (virtqemud.service where "
            "libvirt is modular):\n"
            "  mkdir -p /etc/systemd/system/libvirtd.service.d\n"
            "  printf '[Service]\\nLimitMEMLOCK=infinity\\n' "
            "> /etc/systemd/system/libvirtd.service.d/memlock.conf\n"
            "  systemctl daemon-reload && systemctl restart libvirtd",
        )
    ]


def check_hugepages(
    host: Host, cards: Iterable[Card], desired: DesiredState | None = None
) -> list[Finding]:
    """WC126: huge pages compared with the request, with RAM, and with the cards' NUMA nodes."""
    requested = [(pages, _bytes(pages)) for pages in (desired.hugepages if desired else ())]
    findings = [*_no_such_size(host, requested), *_too_few(host, requested)]
    sizes = {pool.size for pool in host.memory.hugepages}
    present = sum(size * (_pool_total(host, size) or 0) for size in sizes)
    reserved = max(sum(pages.count * size for pages, size in requested), present)
    findings += _too_much(host, reserved, "The desired state" if requested else "The host")
    return findings + _elsewhere(host, cards)


def _bytes(pages: HugePages) -> int:
    """The size of one page in bytes, 0 where it is not written as the kernel takes it."""
    match = re.fullmatch(r"([0-9]{1,9})([KMG])B?", pages.size.strip(), re.IGNORECASE | re.ASCII)
    return int(match[1]) * _UNITS[match[2].upper()] if match else 0


def _pool_total(host: Host, size: int) -> int | None:
    """Pages of `size` that the host has, None where nothing is known of that size."""
    pools = [pool for pool in host.memory.hugepages if pool.size == size]
    whole = [pool.total for pool in pools if pool.node is None]
    return whole[0] if whole else sum(pool.total for pool in pools) if pools else None


def _no_such_size(host: Host, requested: Iterable[tuple[HugePages, int]]) -> Iterator[Finding]:
    """On arm64 the sizes depend on the kernel's own page size, and sysfs has all of them.

    linux: arch/arm64/mm/hugetlbpage.c, hugetlbpage_init: with pages of 64 KiB there are none of
    1 GiB. On x86 a size that was not asked for at boot may be missing there.
    """
    sizes = sorted({pool.size for pool in host.memory.hugepages if pool.node is None})
    for pages, size in requested:
        if host.cpu.architecture == "arm64" and sizes and size not in sizes:
            yield Finding(
                "WC126",
                f"huge pages of {pages.size}",
                Severity.ERROR,
                f"This kernel has no huge pages of {pages.size}; its sizes are "
                f"{', '.join(size_text(each) for each in sizes)}.",
                "Request one of its sizes.",
            )


def _too_few(host: Host, requested: Iterable[tuple[HugePages, int]]) -> list[Finding]:
    totals = ((pages, _pool_total(host, size)) for pages, size in requested if size > 0)
    first = "Apply and reboot"
    if host.boot.is_from_image:
        first = "Put their kernel arguments into the image (plan --for-image) and boot it"
    return [
        Finding(
            "WC126",
            f"huge pages of {pages.size}",
            Severity.WARNING,
            f"{pages.count} huge pages of {pages.size} are requested; the host has {total}.",
            f"{first}: they are reserved at boot, before memory is fragmented. If there are fewer "
            "after that, the host has too little RAM for them.",
        )
        for pages, total in totals
        if total is not None and total < pages.count
    ]


def _too_much(host: Host, reserved: int, who: str) -> list[Finding]:
    total = host.memory.total
    if not total or not reserved:
        return []
    left = total - reserved
    if left >= min(4 * GIB, total // 8):
        return []
    rest = f"{size_text(left)} is left" if left > 0 else "nothing is left"
    return [
        Finding(
            "WC126",
            "huge pages",
            Severity.ERROR if left <= 0 else Severity.WARNING,
            f"{who} reserves {size_text(reserved)} of {size_text(total)} RAM as huge pages: "
            f"{rest} for the host, QEMU's own memory and everything else.",
            "Request fewer: leave the host at least 4 GiB, and what nova reserves for it "
            "(reserved_host_memory_mb).",
        )
    ]


def _elsewhere(host: Host, cards: Iterable[Card]) -> list[Finding]:
    by_node: dict[int, int] = {}
    for pool in host.memory.hugepages:
        if pool.node is not None:
            by_node[pool.node] = by_node.get(pool.node, 0) + pool.size * pool.total
    findings = []
    for card in cards:
        node = card.gpu[0].numa_node
        if node is not None and by_node.get(node) == 0 and any(by_node.values()):
            others = ", ".join(str(other) for other, size in sorted(by_node.items()) if size)
            findings.append(
                Finding(
                    "WC126",
                    card.slot,
                    Severity.WARNING,
                    f"Card {card.slot} is on NUMA node {node}, which has no huge pages; node "
                    f"{others} has. Unless the NUMA policy allows other nodes, nova starts a "
                    "server only on the NUMA node of its card.",
                    "Distribute the huge pages over the NUMA nodes: the kernel does this for "
                    "hugepages= without a node, if each node has enough RAM.",
                )
            )
    return findings
