"""The address space that a guest needs for its RAM and the BARs of its cards."""

from __future__ import annotations

import pytest

from support.hosts import function, host
from wholecard.core.units import GIB
from wholecard.host.facts.address_width import (
    AMD,
    default_window,
    functions_window,
    needed_bits,
    widest_bits,
    window_bits,
)
from wholecard.host.facts.host import Cpu, Host

INTEL = "GenuineIntel"


def of(vendor: str, bits: int | None = 46) -> Host:
    return host(cpu=Cpu(vendor=vendor, physical_bits=bits))


@pytest.mark.parametrize(
    ("vendor", "window", "ram", "bits"),
    [
        # UEFI's own window: 32 GiB, and on AMD an eighth of 2^40 bytes.
        (INTEL, 32, 64, None),
        (INTEL, 64, 64, 40),
        (AMD, 128, 64, None),
        (AMD, 256, 64, 41),
        # The window is an eighth: 256 GiB take 2^41 bytes.
        (INTEL, 256, 64, 41),
        # RAM, the hole of 2 GiB below 4 GiB and the window are below 896 GiB, seven eighths.
        (INTEL, 0, 894, None),
        (INTEL, 0, 895, 41),
        (INTEL, 32, 862, None),
        (INTEL, 32, 863, 40),
        (INTEL, 64, 894, 40),
        (INTEL, 64, 895, 41),
        (INTEL, 0, 1790, 41),
        (INTEL, 0, 1791, 42),
        # On AMD RAM that would reach 1012 GiB continues at 1 TiB.
        (AMD, 0, 1010, 41),
        (AMD, 0, 1011, 42),
        (INTEL, 0, 1011, 41),
    ],
)  # fmt: skip
def test_needed_bits(vendor: str, window: int, ram: int, bits: int | None) -> None:
    """As few bits as hold the guest's RAM (GiB) and the window; None where QEMU's 40 do."""
    assert needed_bits(of(vendor), window * GIB, ram * GIB) == bits


@pytest.mark.parametrize(
    ("bars", "starts", "window"),
    [
        ([], [], 0),
        # Below 4 GiB a BAR may be of 32 bits, unless it is too large for there.
        ([(1 << 24,)], [(0xF000_0000,)], 0),
        ([(1 << 24,)], [(4 * GIB,)], 1 << 24),
        ([(2 * GIB,)], [(0,)], 2 * GIB),
        ([(2 * GIB,)], [()], 2 * GIB),
        ([(2 * GIB - 1,)], [(4 * GIB - 1,)], 0),
        # 32 GiB and 1 GiB of one function; then another port, at a multiple of its largest.
        ([(32 * GIB, GIB)], [(8 * GIB, 8 * GIB)], 64 * GIB),
        ([(16 * GIB,), (32 * GIB,)], [(8 * GIB,), (8 * GIB,)], 64 * GIB),
        ([(32 * GIB, 16 * GIB), (16 * GIB,)], [(8 * GIB,) * 2, (8 * GIB,)], 64 * GIB),
        ([(32 * GIB, 16 * GIB), (32 * GIB,)], [(8 * GIB,) * 2, (8 * GIB,)], 128 * GIB),
        # A BAR that is not there has no size.
        ([(0, 2 * GIB)], [(8 * GIB, 8 * GIB)], 2 * GIB),
    ],
)
def test_window(bars: list[tuple[int, ...]], starts: list[tuple[int, ...]], window: int) -> None:
    """Ports are placed by size, each at a multiple of its largest BAR; all in a power of two."""
    functions = [
        function(f"0000:{bus:02x}:00.0", bars=sizes, bar_starts=at)
        for bus, (sizes, at) in enumerate(zip(bars, starts, strict=True), 1)
    ]
    assert functions_window(functions) == window


def test_windows_and_bits() -> None:
    """A window is an eighth of the address space; by default it is 32 GiB, on AMD 128."""
    assert [window_bits(size * GIB) for size in (32, 33, 64, 128)] == [38, 39, 39, 40]
    assert (default_window(of(INTEL)), default_window(of(AMD))) == (32 * GIB, 128 * GIB)


@pytest.mark.parametrize(("bits", "widest"), [(39, 39), (46, 46), (52, 46), (None, 46)])
def test_widest(bits: int | None, widest: int) -> None:
    """The host's own bits, and not more than the 46 that UEFI uses."""
    assert widest_bits(of(INTEL, bits)) == widest
