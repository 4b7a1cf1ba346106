"""What CUDA's library says, and what the person reads."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

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


# Answers as NVIDIA's own library (550) does where there is no card.
DRIVER = """
#include <string.h>
static int no_device(void) { return 100; }
static int name(int error, const char **text) { *text = "CUDA_ERROR_NO_DEVICE"; return 0; }
static int version(int *number) { *number = 12040; return 0; }
int cuGetProcAddress_v2(const char *symbol, void **function, int v, unsigned long f, int *status) {
    *function = !strncmp(symbol, "cuGetError", 10) ? (void *)name
        : !strcmp(symbol, "cuDriverGetVersion") ? (void *)version : (void *)no_device;
    if (status) *status = 0;
    return 0;
}
"""


def test_driver_without_a_card(tmp_path: Path) -> None:
    """The library is loaded as a real one is, and the person reads that the card is missing."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler here (cc), and the test builds a library")
    source = tmp_path / "driver.c"
    source.write_text(DRIVER)
    library = tmp_path / "libcuda.so.1"
    options = ["-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-o", str(library)]
    subprocess.run([compiler, *options, str(source)], check=True, timeout=60)
    ended = subprocess.run(
        [sys.executable, "-m", "wholecard_bench", "nbody", "--backend", "cuda"],
        env=os.environ | {"LD_LIBRARY_PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (3, "")
    assert ended.stderr.startswith("error: CUDA's driver is there, but it has no card\n")
