"""The NUMA node of a device: nova's row against the host."""

from __future__ import annotations

from collections.abc import Iterator

from wholecard.audit.checks.host_case import HostCase
from wholecard.audit.record import Disagreement


def numa_node(case: HostCase) -> Iterator[Disagreement]:
    """Each row with another NUMA node than the host says; silent where the host does not say."""
    if case.rows is None or case.functions is None:
        return
    for address, row in case.rows.items():
        function = case.functions.get(address)
        # The kernel says -1 where it does not know a node.
        node = function.numa_node if function is not None else None
        if node is None or node in (-1, row.numa_node):
            continue
        known = "no NUMA node" if row.numa_node is None else f"NUMA node {row.numa_node}"
        yield case.disagreement(
            "WC531", address,
            f"nova's row has {known}, and the host says {node}: servers are placed "
            "by the wrong node.",
            "nova writes it when the server goes." if row.is_held else
            f"nova-compute on {case.name} reads it only when it starts: restart it.",
            server=row.instance_uuid or "", row=row,
            pending=case.cloud.young(row.updated_at or row.created_at, "the row"),
        )  # fmt: skip
