"""What CUDA's library says when it cannot be used, and what a person can do about it."""

from __future__ import annotations

from typing import Any

from wholecard_bench.errors import BenchError, NoDeviceError


def no_driver(error: Exception) -> NoDeviceError:
    """The library is missing, has no card, or fails in another way."""
    if "NotFound" in type(error).__name__:
        return NoDeviceError(
            "CUDA's driver library, libcuda.so.1, is not there",
            _first_line(error),
            "Install the driver's user space (Debian: libcuda1, Ubuntu: libnvidia-compute-NNN)",
        )
    if "NO_DEVICE" in str(error):
        return no_card(_first_line(error))
    return NoDeviceError(
        "CUDA's driver cannot be used",
        _first_line(error),
        "Look at: nvidia-smi; lsmod | grep nvidia; dmesg | grep -i nvrm",
    )


def no_card(details: str) -> NoDeviceError:
    """The driver runs and lists nothing."""
    return NoDeviceError(
        "CUDA's driver is there, but it has no card",
        details,
        "Look at: lspci -nnk -d 10de:; dmesg | grep -i nvrm. The server has no card, or its kernel "
        "module did not bind",
    )


def not_compiled(card: Any, error: Exception) -> BenchError:
    """The compiler does not know the card, or the driver is older than the compiler."""
    return BenchError(
        f"The kernel does not run on device {card.device_id}, {card.name} (sm_{card.arch})",
        _first_line(error),
        "CUDA 13 compiles for sm_75 and newer, and its code needs a driver of 580 or newer: "
        "pip install 'wholecard-bench[cu12]' for older cards and drivers. CUDA has no compiler "
        "for Kepler (sm_3x) any more",
    )


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"
