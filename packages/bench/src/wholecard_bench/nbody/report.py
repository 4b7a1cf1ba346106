"""A run as text, whose last line is the sample's, and as JSON."""

from __future__ import annotations

import statistics
from typing import Any

from wholecard_bench.nbody.benchmark import FLOPS, FLOPS_DOUBLE, Result, Speed
from wholecard_bench.nbody.kernel import Precision

_BAR = 40


def text(result: Result) -> str:
    """For people."""
    lines = [
        f"{result.bodies} bodies, {result.precision}-precision, backend {result.backend}",
        *(
            f"device {device.index}: {device.name}"
            + (f" ({device.detail})" if device.detail else "")
            for device in result.devices
        ),
        *result.notes,
        *_check_lines(result),
    ]
    if result.speed is not None:
        lines += [*_speed_lines(result, result.speed), *_last_lines(result.precision, result.speed)]
    return "\n".join(lines)


def _check_lines(result: Result) -> list[str]:
    check = result.check
    worst = check.errors.largest
    return [
        f"against float64, {check.errors.checked} bodies: largest error {worst:.1e}, "
        f"median {check.errors.median:.1e} (bound {check.error_bound:.0e}): "
        f"{_word(worst <= check.error_bound)}",
        f"energy after {check.energy_steps} steps of {check.energy_bodies} bodies: changed by "
        f"{check.energy_drift:.1e} (bound {check.energy_bound:.0e}): "
        f"{_word(check.energy_drift <= check.energy_bound)}",
    ]


def _word(passed: bool) -> str:
    return "ok" if passed else "WRONG"


def _speed_lines(result: Result, speed: Speed) -> list[str]:
    steps = sorted(speed.timing.steps)
    lines = [
        f"a step: min {steps[0] * 1e3:.3f} ms, median {speed.median * 1e3:.3f} ms, "
        f"max {steps[-1] * 1e3:.3f} ms of {len(steps)}"
    ]
    if speed.timing.core_seconds is not None:
        per_thread = speed.flops(speed.timing.core_seconds) / 1e9
        lines.append(
            f"by the threads' own time: {per_thread:.1f} GFLOP/s a thread, peak of a thread "
            f"{speed.peak / 1e9:.1f} GFLOP/s (measured now)"
        )
    else:
        lines.append(f"peak of the devices: {speed.peak / 1e9:.0f} GFLOP/s (measured now)")
    share = f"share of the peak: {speed.peak_share:.3f}"
    if speed.mix is not None:
        share += (
            f"; the instruction mix allows {speed.mix.bound:.3f}, so "
            f"{speed.peak_share / speed.mix.bound:.3f} of that ({speed.mix.source})"
        )
    return [*lines, share, *_bars(result, speed)]


def _bars(result: Result, speed: Speed) -> list[str]:
    rates = [speed.device_flops(device) / 1e9 for device in range(len(result.devices))]
    most = max(rates)
    return [
        f"device {device.index}  {'#' * round(_BAR * rate / most):{_BAR}}  {rate:.1f} GFLOP/s"
        for device, rate in zip(result.devices, rates, strict=True)
    ]


def _last_lines(precision: Precision, speed: Speed) -> list[str]:
    """As NVIDIA's sample ends, so that a script which reads one reads the other."""
    steps = speed.timing.steps
    total = sum(steps)
    seconds = total / len(steps)
    counts = [FLOPS] if precision is Precision.SINGLE else [FLOPS_DOUBLE, FLOPS]
    return [
        f"{speed.bodies} bodies, total time for {len(steps)} iterations: {total * 1e3:.3f} ms",
        f"= {speed.interactions / seconds / 1e9:.3f} billion interactions per second",
        *(
            f"= {speed.flops(seconds, flops) / 1e9:.3f} {precision}-precision GFLOP/s "
            f"at {flops} flops per interaction"
            for flops in counts
        ),
    ]


def to_json(result: Result) -> dict[str, Any]:
    """The same for programs. Seconds and GFLOP/s at 20 flops an interaction."""
    check = result.check
    document: dict[str, Any] = {
        "benchmark": "nbody",
        "backend": result.backend,
        "precision": str(result.precision),
        "bodies": result.bodies,
        "devices": [
            {"index": device.index, "name": device.name, "detail": device.detail, "bodies": share}
            for device, share in zip(result.devices, result.shares, strict=True)
        ],
        "notes": list(result.notes),
        "check": {
            "passed": check.passed,
            "error": {
                "largest": check.errors.largest,
                "median": check.errors.median,
                "bound": check.error_bound,
                "bodies": check.errors.checked,
            },
            "energy": {
                "drift": check.energy_drift,
                "bound": check.energy_bound,
                "steps": check.energy_steps,
                "bodies": check.energy_bodies,
            },
        },
    }
    if result.speed is not None:
        document["speed"] = _speed_json(result.speed)
    return document


def _speed_json(speed: Speed) -> dict[str, Any]:
    steps = speed.timing.steps
    return {
        "iterations": len(steps),
        "seconds": {"min": min(steps), "median": statistics.median(steps), "max": max(steps)},
        "core_seconds": speed.timing.core_seconds,
        "gflops": speed.flops(speed.median) / 1e9,
        "peak_gflops": speed.peak / 1e9,
        "peak_share": speed.peak_share,
        "mix_bound": speed.mix.bound if speed.mix else None,
        "devices": [
            {"busy_seconds": seconds, "gflops": speed.device_flops(device) / 1e9}
            for device, seconds in enumerate(speed.timing.busy)
        ],
    }
