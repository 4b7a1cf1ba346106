"""CPUs kept for guests alone, as kernel arguments.

`isolcpus=managed_irq,domain` takes them out of the scheduler's balancing and, as far as possible,
of managed interrupts; `nohz_full` and `rcu_nocbs` stop the tick and RCU's callbacks there. The
list belongs in nova's `[compute] cpu_dedicated_set`, and none of it in `cpu_shared_set`: without
balancing, all floating vCPUs would stay on one CPU. Source: linux,
Documentation/admin-guide/kernel-parameters.txt; tuned's profile cpu-partitioning; nova,
admin/cpu-topologies.
"""

from __future__ import annotations

import re

from wholecard.core import UsageError

_RANGE = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")


def isolation_groups(cpus: str) -> tuple[tuple[str, ...], ...]:
    """The arguments for a list of CPUs (`2-31`); nothing for an empty one."""
    if not cpus:
        return ()
    return (
        (f"isolcpus=managed_irq,domain,{cpus}",),
        (f"nohz_full={cpus}",),
        (f"rcu_nocbs={cpus}",),
    )


def parse_cpus(text: str) -> frozenset[int]:
    """The CPUs of a list as the kernel takes it (`2-15,18`). Raises UsageError on anything else."""
    numbers: set[int] = set()
    for part in text.split(","):
        match = _RANGE.fullmatch(part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if first > last:
            raise UsageError(
                f"{text!r} is not a list of CPUs",
                resolution="Write it as the kernel does: 2-15,18-31",
            )
        numbers.update(range(first, last + 1))
    return frozenset(numbers)
