"""Memory: the cards' against a guest's address width, huge pages, and what may be locked. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import zip_longest

from wholecard.core import Finding, Severity
from wholecard.core.units import counted, size_text
from wholecard.host.host import Host
from wholecard.host.wish import HugePages, Wish
from wholecard.pci import Card, Function

_MIB, _GIB, _TIB = 1 << 20, 1 << 30, 1 << 40
_UNITS = {"K": 1 << 10, "M": _MIB, "G": _GIB}

# QEMU shows 40 address bits unless told otherwise. UEFI believes 40 on AMD and takes an eighth of
# the address space for 64-bit BARs; elsewhere it does not believe them and takes 32 GiB. Above 46
# it goes no further (edk2: OvmfPkg/Library/PlatformInitLib/MemDetect.c,
# PlatformAddressWidthFromCpuid and PlatformDynamicMmioWindow; PcdPciMmio64Size).
_DEFAULT_BITS = 40
_UEFI_BITS = 46
_WINDOW_SHARE_BITS = 3
_CLASSIC_WINDOW = 32 * _GIB

# AMD's IOMMU keeps the addresses from here to 1 TiB for HyperTransport (AMD I/O Virtualization
# Technology specification, "Special Address Controls"; qemu: hw/i386/pc.c, AMD_HT_START).
_HYPERTRANSPORT = 0xFD_0000_0000

_AMD = "AuthenticAMD"


def bar_window(cards: Iterable[Card]) -> int:
    """The window, in bytes and a power of two, that UEFI needs for the 64-bit BARs of `cards`.

    In the guest each function sits below a root port of its own. A port's window begins at a
    multiple of its largest BAR; the largest come first (edk2: MdeModulePkg/Bus/Pci/PciBusDxe/
    PciResourceSupport.c, CalculateResourceAperture). 0 where no BAR is surely of 64 bits.
    """
    return functions_window(function for card in cards for function in card.functions)


def functions_window(functions: Iterable[Function]) -> int:
    """`bar_window` of what a guest has of the cards: these functions and no other."""
    sizes = (_bars_above(function) for function in functions)
    end = 0
    for bars in sorted((each for each in sizes if each), key=max, reverse=True):
        largest = max(bars)
        end = -(-end // largest) * largest + sum(bars)
    return _power_of_two(end)


def _bars_above(function: Function) -> tuple[int, ...]:
    """Sizes of the BARs that are surely of 64 bits: placed above 4 GiB, or too large below."""
    starts = function.bar_starts[: len(function.bars)]
    return tuple(
        size
        for size, start in zip_longest(function.bars, starts, fillvalue=0)
        if size > 0 and (start >= 4 * _GIB or size >= 2 * _GIB)
    )


def _power_of_two(size: int) -> int:
    return 1 << (size - 1).bit_length() if size > 0 else 0


def window_bits(window: int) -> int:
    """The address bits with which UEFI's window for BARs is as large as `window` bytes."""
    return (window - 1).bit_length() + _WINDOW_SHARE_BITS


def default_window(host: Host) -> int:
    """The window in bytes that UEFI takes where nobody says how wide the addresses are."""
    return 1 << (_DEFAULT_BITS - _WINDOW_SHARE_BITS) if host.cpu.vendor == _AMD else _CLASSIC_WINDOW


def needed_bits(host: Host, window: int, ram: int) -> int | None:
    """The address bits of a guest with `ram` bytes and that window; None where the default does.

    RAM goes on behind the hole below 4 GiB, and on AMD behind 1 TiB where it would reach into the
    hole there; UEFI's window is the last eighth of the address space.
    """
    end = ram + 2 * _GIB
    if host.cpu.vendor == _AMD and end > _HYPERTRANSPORT:
        end = _TIB + ram
    if window <= default_window(host) and end + window <= 7 * (1 << _DEFAULT_BITS) // 8:
        return None
    bits = max(window_bits(window), _DEFAULT_BITS) if window else _DEFAULT_BITS
    while end > 7 * (1 << bits) // 8:
        bits += 1
    return bits


def widest_bits(host: Host) -> int:
    """The most address bits that a guest's UEFI makes use of on this host."""
    return min(host.cpu.physical_bits or _UEFI_BITS, _UEFI_BITS)


def check_address_width(host: Host, cards: Iterable[Card]) -> list[Finding]:
    """WC123: the cards' memory does not fit into what UEFI takes for it by default."""
    cards = tuple(cards)
    whole = bar_window(cards)
    default = default_window(host)
    if whole <= default:
        return []
    largest = sorted(cards, key=lambda card: bar_window([card]), reverse=True)
    count = next(n for n in range(1, len(cards) + 1) if bar_window(largest[:n]) > default)
    needs = "its memory (BARs) needs" if count == 1 else "their memory (BARs) needs"
    message = (
        f"A server with {counted(count, 'card')} does not see all of it: {needs} a window of "
        f"{size_text(bar_window(largest[:count]))}, and with QEMU's default of {_DEFAULT_BITS} "
        f"address bits UEFI takes {size_text(default)}."
    )
    bits = window_bits(whole)
    if count < len(cards):
        message += f" All {len(cards)} together need {size_text(whole)}."
    widest = widest_bits(host)
    if bits > widest:
        message += (
            f" That takes {bits} bits, and no more than {widest} can be had on this host: "
            "give fewer of them to one server."
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
        "Use q35 and UEFI images and set the width on the flavor (nova 2024.1 or later, libvirt "
        "8.7 or later); the same names with hw_ on an image. With cpu_mode=host-passthrough, "
        "passthrough alone does. The server's RAM has to fit beside the window.\n"
        "  openstack flavor set FLAVOR --property hw:maxphysaddr_mode=emulate "
        f"--property hw:maxphysaddr_bits={bits}\n"
        "  openstack image set IMAGE --property hw_machine_type=q35 "
        "--property hw_firmware_type=uefi"
    )


def check_hypertransport(host: Host, cards: Iterable[Card]) -> list[Finding]:
    """WC124: an AMD host that can start servers with RAM across the hole below 1 TiB."""
    if host.cpu.vendor != _AMD or host.memory.total <= _HYPERTRANSPORT or not tuple(cards):
        return []
    return [
        Finding(
            "WC124",
            "memory",
            Severity.NOTE,
            f"This AMD host has {size_text(host.memory.total)} of RAM. A server with a card and "
            f"more than about {_HYPERTRANSPORT // _GIB} GiB reaches the addresses below 1 TiB "
            "that AMD's IOMMU keeps for itself: Windows then says code 43.",
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
            "locks all its RAM. libvirt raises the limit for each such server itself, for which "
            "it needs CAP_SYS_RESOURCE: in a container without it the server does not start "
            "(VFIO_MAP_DMA failed).",
            "Only where that is seen, give the service the limit (virtqemud.service where libvirt "
            "is modular):\n"
            "  mkdir -p /etc/systemd/system/libvirtd.service.d\n"
            "  printf '[Service]\\nLimitMEMLOCK=infinity\\n' "
            "> /etc/systemd/system/libvirtd.service.d/memlock.conf\n"
            "  systemctl daemon-reload && systemctl restart libvirtd",
        )
    ]


def check_hugepages(host: Host, cards: Iterable[Card], wish: Wish | None = None) -> list[Finding]:
    """WC126: huge pages against the wish, against RAM, and against the cards' NUMA nodes."""
    wished = tuple((each, _bytes(each)) for each in (wish.hugepages if wish else ()))
    findings = [_too_few(host, each, size) for each, size in wished if _lacks(host, each, size)]
    set_aside = sum(each.count * size for each, size in wished)
    sizes = {pool.size for pool in host.memory.hugepages}
    there = sum(size * (_pool_total(host, size) or 0) for size in sizes)
    findings += _too_much(host, max(set_aside, there), "The wish" if wished else "The host")
    return findings + _elsewhere(host, cards)


def _bytes(pages: HugePages) -> int:
    """The size of one page in bytes, 0 where it is not written as the kernel takes it."""
    match = re.fullmatch(r"([0-9]{1,9})([KMG])B?", pages.size.strip(), re.IGNORECASE | re.ASCII)
    return int(match[1]) * _UNITS[match[2].upper()] if match else 0


def _pool_total(host: Host, size: int) -> int | None:
    """Pages of `size` that the host has, None where nothing is known of that size."""
    totals = [each for each in host.memory.hugepages if each.size == size]
    whole = [each.total for each in totals if each.node is None]
    return whole[0] if whole else sum(each.total for each in totals) if totals else None


def _lacks(host: Host, pages: HugePages, size: int) -> bool:
    total = _pool_total(host, size)
    return size > 0 and total is not None and total < pages.count


def _too_few(host: Host, pages: HugePages, size: int) -> Finding:
    return Finding(
        "WC126",
        f"huge pages of {pages.size}",
        Severity.WARNING,
        f"The wish asks for {pages.count} huge pages of {pages.size}; the host has "
        f"{_pool_total(host, size)}.",
        "Apply and reboot: they are set aside at boot, before memory is in pieces. If it has "
        "fewer after that, RAM does not reach for them.",
    )


def _too_much(host: Host, set_aside: int, who: str) -> list[Finding]:
    total = host.memory.total
    if not total or not set_aside:
        return []
    left = total - set_aside
    if left >= min(4 * _GIB, total // 8):
        return []
    rest = f"{size_text(left)} is left" if left > 0 else "nothing is left"
    return [
        Finding(
            "WC126",
            "huge pages",
            Severity.ERROR if left <= 0 else Severity.WARNING,
            f"{who} sets {size_text(set_aside)} of {size_text(total)} RAM aside as huge pages: "
            f"{rest} for the host, QEMU's own memory and everything else.",
            "Ask for fewer: leave the host 4 GiB at least, and what nova keeps for it "
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
            having = ", ".join(str(each) for each, size in sorted(by_node.items()) if size)
            findings.append(
                Finding(
                    "WC126",
                    card.slot,
                    Severity.WARNING,
                    f"Card {card.slot} is on NUMA node {node}, which has no huge pages; node "
                    f"{having} has. nova places a server beside its card or not at all, unless "
                    "the policy says otherwise.",
                    "Spread the huge pages over the nodes: the kernel does so for hugepages= "
                    "without a node, where each has RAM enough.",
                )
            )
    return findings
