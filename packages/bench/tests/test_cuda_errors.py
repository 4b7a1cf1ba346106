"""What CUDA's library says, and what the person reads."""

from __future__ import annotations

import pytest

from wholecard_bench.nbody.cuda_errors import no_driver, not_compiled


class DynamicLibNotFoundError(RuntimeError):
    """As cuda-pathfinder raises it."""


@pytest.mark.parametrize(
    ("error", "brief", "resolution"),
    [
        (
            DynamicLibNotFoundError('"cuda" is an NVIDIA driver library\nsecond line'),
            "CUDA's driver library, libcuda.so.1, is not there",
            "libcuda1",
        ),
        (
            RuntimeError("CUDA_ERROR_NO_DEVICE: This indicates that no CUDA-capable devices ..."),
            "CUDA's driver is there, but it has no card",
            "lspci",
        ),
        (RuntimeError("CUDA_ERROR_SYSTEM_NOT_READY"), "CUDA's driver cannot be used", "nvidia-smi"),
    ],
)
def test_no_driver(error: Exception, brief: str, resolution: str) -> None:
    """Library, card and everything else are told apart; the details are one line."""
    told = no_driver(error)
    assert told.brief == brief
    assert resolution in told.resolution
    assert told.details.count("\n") == 0


class _Card:
    device_id, name, arch = 0, "Tesla K80", "37"


def test_card_that_the_compiler_does_not_know() -> None:
    """The card is named, and the extra for older ones."""
    told = not_compiled(_Card(), ValueError("invalid value for --gpu-architecture (-arch)"))
    assert told.brief == "The kernel does not run on device 0, Tesla K80 (sm_37)"
    assert "cu12" in told.resolution
