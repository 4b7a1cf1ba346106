"""How much address space the cards' memory needs."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import zip_longest

from wholecard.core.units import GIB, TIB
from wholecard.host.facts.host import Host
from wholecard.pci import Card, Function

# QEMU shows 40 address bits by default. On AMD UEFI trusts them and reserves an eighth of the
# address space for 64-bit BARs; elsewhere it does not and reserves 32 GiB. It uses at most 46
# (edk2: OvmfPkg/Library/PlatformInitLib/MemDetect.c, PlatformAddressWidthFromCpuid and
# PlatformDynamicMmioWindow; PcdPciMmio64Size).
DEFAULT_BITS = 40
_UEFI_BITS = 46
_WINDOW_SHARE_BITS = 3
_CLASSIC_WINDOW = 32 * GIB

# AMD's IOMMU reserves the addresses from here to 1 TiB for HyperTransport (AMD I/O Virtualization
# Technology specification, "Special Address Controls"; qemu: hw/i386/pc.c, AMD_HT_START).
HYPERTRANSPORT = 0xFD_0000_0000

# The vendor_id of /proc/cpuinfo.
AMD = "AuthenticAMD"


def bar_window(cards: Iterable[Card]) -> int:
    """The window, in bytes and a power of two, that UEFI needs for the 64-bit BARs of `cards`.

    In the guest each function is below a root port of its own. A port's window begins at a
    multiple of its largest BAR; the largest come first (edk2: MdeModulePkg/Bus/Pci/PciBusDxe/
    PciResourceSupport.c, CalculateResourceAperture). 0 where no BAR is certainly of 64 bits.
    """
    return functions_window(function for card in cards for function in card.functions)


def functions_window(functions: Iterable[Function]) -> int:
    """`bar_window` of the functions that a guest has of its cards."""
    ports = (_bars_above(function) for function in functions)
    end = 0
    for bars in sorted((bars for bars in ports if bars), key=max, reverse=True):
        largest = max(bars)
        end = -(-end // largest) * largest + sum(bars)
    return 1 << (end - 1).bit_length() if end > 0 else 0


def _bars_above(function: Function) -> tuple[int, ...]:
    """Sizes of the BARs that are certainly of 64 bits: above 4 GiB, or too large for below."""
    starts = function.bar_starts[: len(function.bars)]
    return tuple(
        size
        for size, start in zip_longest(function.bars, starts, fillvalue=0)
        if size > 0 and (start >= 4 * GIB or size >= 2 * GIB)
    )


def window_bits(window: int) -> int:
    """The address bits with which UEFI's window for BARs is as large as `window` bytes."""
    return (window - 1).bit_length() + _WINDOW_SHARE_BITS


def default_window(host: Host) -> int:
    """The window in bytes that UEFI reserves where no flavor or image sets the address width."""
    return 1 << (DEFAULT_BITS - _WINDOW_SHARE_BITS) if host.cpu.vendor == AMD else _CLASSIC_WINDOW


def needed_bits(host: Host, window: int, ram: int) -> int | None:
    """The address bits of a guest with `ram` bytes and that window; None if the default is enough.

    RAM continues after the hole below 4 GiB, and on AMD after 1 TiB where it would reach into the
    hole there; UEFI's window is the last eighth of the address space.
    """
    end = ram + 2 * GIB
    if host.cpu.vendor == AMD and end > HYPERTRANSPORT:
        end = TIB + ram
    if window <= default_window(host) and end + window <= 7 * (1 << DEFAULT_BITS) // 8:
        return None
    bits = max(window_bits(window), DEFAULT_BITS) if window else DEFAULT_BITS
    while end > 7 * (1 << bits) // 8:
        bits += 1
    return bits


def widest_bits(host: Host) -> int:
    """The most address bits that a guest's UEFI can use on this host."""
    return min(host.cpu.physical_bits or _UEFI_BITS, _UEFI_BITS)
