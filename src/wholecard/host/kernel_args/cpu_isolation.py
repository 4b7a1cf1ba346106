"""CPUs kept for guests alone, as kernel arguments.

`isolcpus=managed_irq,domain` keeps the scheduler's balancing and, as far as it can, managed
interrupts away; `nohz_full` and `rcu_nocbs` the tick and RCU's callbacks. The list belongs into
nova's `[compute] cpu_dedicated_set`, and no CPU of it into `cpu_shared_set`: the scheduler does
not balance there, so floating vCPUs would stay piled on one CPU. Source: linux,
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
    found: set[int] = set()
    for part in text.split(","):
        match = _RANGE.fullmatch(part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if first > last:
            raise UsageError(
                f"{text!r} is no list of CPUs", resolution="Write it as the kernel does: 2-15,18-31"
            )
        found.update(range(first, last + 1))
    return frozenset(found)
