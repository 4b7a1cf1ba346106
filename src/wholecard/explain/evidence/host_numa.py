"""A host's NUMA nodes, with the CPUs that its nova-compute gives to guests."""

from __future__ import annotations

import dataclasses

from wholecard.explain.evidence.conf_values import other
from wholecard.explain.evidence.evidence import HostEvidence
from wholecard.nova.flavor.cpus import cpu_set
from wholecard.nova.flavor.extra_specs import LayoutError
from wholecard.nova.flavor.numa_fit import NumaNodes, numa_nodes

_ALL = frozenset(range(8192))


def nodes_of(host: HostEvidence) -> NumaNodes | None:
    """The host's nodes by its facts, None where they do not tell.

    Of the CPUs, guests are pinned to nova-compute's `[compute] cpu_dedicated_set` and float over
    `cpu_shared_set` (Train); where neither is set, they float over all and are pinned to none.
    Without its configuration either kind may be all of them.
    """
    nodes = None if host.facts is None else numa_nodes(host.facts, *_cpu_sets(host))
    if nodes is None or host.conf is not None:
        return nodes
    return dataclasses.replace(nodes, unsure="which CPUs nova-compute pins to is not known")


def _cpu_sets(host: HostEvidence) -> tuple[frozenset[int] | None, frozenset[int] | None]:
    """CPUs to float over and to pin to; None for all of them."""
    if host.conf is None:
        return None, None
    dedicated = other(host.conf, "compute", "cpu_dedicated_set")
    shared = other(host.conf, "compute", "cpu_shared_set")
    # Before Train the one set is for both; later nova reads it where neither of the new ones is
    # set (nova/virt/hardware.py, `get_vcpu_pin_set`).
    old = other(host.conf, "DEFAULT", "vcpu_pin_set")
    try:
        if old and not dedicated and not shared:
            both = cpu_set(old.text, _ALL)
            return both, both
        floating = cpu_set(shared.text, _ALL) if shared else None
        if not dedicated:
            return floating, frozenset()
        return floating or frozenset(), cpu_set(dedicated.text, _ALL)
    except LayoutError:
        return None, None
