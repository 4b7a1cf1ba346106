"""A run as text: what a person reads."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wholecard_bench.bandwidth.copies import Copy
from wholecard_bench.bandwidth.report import text as bandwidth_text
from wholecard_bench.bandwidth.run import BandwidthResult
from wholecard_bench.nbody import report
from wholecard_bench.nbody.backend import Device, Mix, Timing
from wholecard_bench.nbody.benchmark import Check, Result, Speed
from wholecard_bench.nbody.kernel import Precision
from wholecard_bench.nbody.reference import Errors

DEVICES = (Device(0, "NVIDIA H100", "0000:00:06.0"), Device(1, "NVIDIA H100", "0000:00:07.0"))
RESULT = Result(
    backend="cuda",
    precision=Precision.SINGLE,
    bodies=65536,
    devices=DEVICES,
    shares=(32768, 32768),
    notes=("positions are exchanged peer to peer",),
    check=Check(Errors(1e-7, 4e-7, 96), 1e-5, 6.6e-8, 4096),
    speed=Speed(
        bodies=65536,
        shares=(32768, 32768),
        timing=Timing(steps=(0.0011, 0.001, 0.0012), busy=(0.0010, 0.0008)),
        peak=120e12,
        mix=Mix(11, 12.5, "counted"),
    ),
)


def test_text() -> None:
    """Devices, checks, times, shares, a bar for each device, the sample's last lines."""
    assert report.text(RESULT).splitlines() == [
        "65536 bodies, single-precision, backend cuda",
        "device 0: NVIDIA H100 (0000:00:06.0)",
        "device 1: NVIDIA H100 (0000:00:07.0)",
        "positions are exchanged peer to peer",
        "against float64, 96 bodies: largest error 4.0e-07, median 1.0e-07 (bound 1e-05): ok",
        "energy after 100 steps of 4096 bodies: changed by 6.6e-08 (bound 1e-06): ok",
        "a step: min 1.000 ms, median 1.100 ms, max 1.200 ms of 3",
        "peak of the devices: 120000 GFLOP/s (measured now)",
        "share of the peak: 0.651; the instruction mix allows 0.800, so 0.813 of that (counted)",
        "device 0  ################################          42949.7 GFLOP/s",
        "device 1  ########################################  53687.1 GFLOP/s",
        "65536 bodies, total time for 3 iterations: 3.300 ms",
        "= 3904.516 billion interactions per second",
        "= 78090.314 single-precision GFLOP/s at 20 flops per interaction",
    ]


@pytest.mark.parametrize(
    ("check", "line"),
    [
        (replace(RESULT.check, errors=Errors(1e-7, 2e-5, 96)), 0),
        (replace(RESULT.check, energy_drift=float("inf")), 1),
        (replace(RESULT.check, energy_drift=float("nan")), 1),
    ],
)
def test_wrong_is_said(check: Check, line: int) -> None:
    """The line of what is wrong ends so, and a NaN is never right."""
    lines = report.text(replace(RESULT, check=check, speed=None)).splitlines()[4:]
    assert [text.rsplit(": ")[-1] for text in lines] == [
        "WRONG" if k == line else "ok" for k in (0, 1)
    ]
    assert not check.passed


def test_processor_s_share_is_by_its_own_time() -> None:
    """Other work on the machine makes the steps longer, and the share stays what it is."""
    assert RESULT.speed is not None
    timing = Timing((2.0,), (2.0, 2.0), core_seconds=0.5)
    speed = replace(RESULT.speed, timing=timing, peak=4e11)
    assert speed.peak_share == pytest.approx(20 * 65536**2 / 0.5 / 4e11)
    assert "by the threads' own time: 171.8 GFLOP/s a thread" in report.text(
        replace(RESULT, speed=speed)
    )


def test_bandwidth_text() -> None:
    """10^9 bytes a second; within a device what is read and what is written."""
    copies = (
        Copy("host to device", 0, 10**9, (0.02, 0.04, 0.025)),
        Copy("within the device", 0, 2 * 10**9, (0.001,)),
    )
    result = BandwidthResult("cuda", DEVICES[:1], 256 << 20, copies)
    assert bandwidth_text(result).splitlines() == [
        "copies of 256 MiB, backend cuda, GB/s",
        "device 0: NVIDIA H100 (0000:00:06.0)",
        "                          min    median       max",
        "  host to device        25.00     40.00     50.00",
        "  within the device   2000.00   2000.00   2000.00",
    ]
