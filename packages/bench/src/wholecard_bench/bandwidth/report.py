"""Copies as a table and as JSON."""

from __future__ import annotations

import statistics
from typing import Any

from wholecard_bench.bandwidth.copies import Copy
from wholecard_bench.bandwidth.run import BandwidthResult


def text(result: BandwidthResult) -> str:
    """For people: GB/s, the slowest, the median and the fastest of the repetitions."""
    lines = [f"copies of {result.size >> 20} MiB, backend {result.backend}, GB/s"]
    width = max(len(copy.name) for copy in result.copies)
    for device in result.devices:
        lines.append(f"device {device.index}: {device.name} ({device.detail})")
        lines.append(f"  {'':{width}}  {'min':>8}  {'median':>8}  {'max':>8}")
        lines += [
            f"  {copy.name:{width}}  " + "  ".join(f"{rate:8.2f}" for rate in _rates(copy))
            for copy in result.copies
            if copy.device == device.index
        ]
    return "\n".join(lines)


def to_json(result: BandwidthResult) -> dict[str, Any]:
    """The same for programs."""
    return {
        "benchmark": "bandwidth",
        "backend": result.backend,
        "bytes": result.size,
        "devices": [
            {"index": device.index, "name": device.name, "detail": device.detail}
            for device in result.devices
        ],
        "copies": [
            {
                "name": copy.name,
                "device": copy.device,
                "gb_per_second": dict(zip(("min", "median", "max"), _rates(copy), strict=True)),
            }
            for copy in result.copies
        ],
    }


def _rates(copy: Copy) -> tuple[float, float, float]:
    """Slowest, median, fastest, in 10^9 bytes a second."""
    seconds = (max(copy.seconds), statistics.median(copy.seconds), min(copy.seconds))
    slowest, median, fastest = (copy.bytes_moved / second / 1e9 for second in seconds)
    return slowest, median, fastest
