"""What a benchmark ran on, for its JSON."""

from __future__ import annotations

import os
import platform
from datetime import datetime, timezone
from pathlib import Path


def facts() -> dict[str, object]:
    """Start, kernel, processor, cores, memory, and how busy the machine was beforehand."""
    cpu = Path("/proc/cpuinfo").read_text().splitlines()
    memory = next(line for line in Path("/proc/meminfo").read_text().splitlines())
    return {
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": {
            "cpu": next((line.split(": ")[1] for line in cpu if "model name" in line), ""),
            "cores": len(os.sched_getaffinity(0)),
            "memory_gib": round(int(memory.split()[1]) / 2**20, 1),
            "kernel": platform.release(),
            "load_before": os.getloadavg()[0],
            "shared": "other work runs on this machine",
        },
        "versions": {"nova": "34.0.0", "openstack-placement": "16.0.0"},
    }
