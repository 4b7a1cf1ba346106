"""One run of copies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from wholecard_bench.bandwidth.copies import Copies, Copy
from wholecard_bench.errors import NoDeviceError
from wholecard_bench.nbody.backend import Device

_REPEATS = 10


@dataclass(frozen=True)
class BandwidthResult:
    """One run, whole. `size` is the bytes of a copy."""

    backend: str
    devices: tuple[Device, ...]
    size: int
    copies: tuple[Copy, ...]


def _cuda() -> Copies:
    from wholecard_bench.bandwidth.cuda_copies import CudaCopies

    return CudaCopies()


def _opencl() -> Copies:
    from wholecard_bench.bandwidth.opencl_copies import OpenclCopies

    return OpenclCopies()


_BACKENDS: dict[str, Callable[[], Copies]] = {"cuda": _cuda, "opencl": _opencl}


def run(backend: str | None, devices: int | None, size_mib: int) -> BandwidthResult:
    """On the first `devices` devices, by default on all of them."""
    copies = _BACKENDS[backend]() if backend else _first()
    there = copies.devices(devices)
    size = size_mib << 20
    return BandwidthResult(
        copies.name, there, size, tuple(copies.copies(len(there), size, _REPEATS))
    )


def _first() -> Copies:
    reasons = []
    for backend in _BACKENDS.values():
        try:
            return backend()
        except NoDeviceError as error:
            reasons.append(error.brief)
    raise NoDeviceError(
        "No device to copy to",
        "\n".join(reasons),
        "Install a backend: pip install 'wholecard-bench[cu13]' (NVIDIA) or '[opencl]' (others)",
    )
