"""How many servers of a flavor Blazar would reserve.

Source: blazar 18.0.0, blazar/plugins/flavor/flavor_plugin.py (`_estimate_flavor_resources`,
`_get_hosts_list`, `_query_available_hosts`) and blazar/plugins/oshosts/host_plugin.py: it takes
`resources:CLASS` of the extra specs, not `resourcesN:CLASS` and no alias, and of a host the
inventories of its own provider alone, without what is in use.
"""

from __future__ import annotations

from wholecard.capacity.record import HostStock
from wholecard.cloud.placement.provider_tree import Inventory
from wholecard.nova.flavor.server_request import ServerRequest


def reservable(host: HostStock, request: ServerRequest) -> int:
    """The servers on the host, if it was Blazar's own and nothing was reserved yet."""
    traits = host.traits or frozenset()
    for key, value in request.extra_specs.items():
        kind, _, name = key.partition(":")
        if kind == "trait" and (name in traits) != (value == "required"):
            return 0
    none = Inventory("", 0)
    rows = {row.resource_class: row for row in host.machine or ()}
    slots = [rows.get(name, none).capacity // amount
             if amount <= rows.get(name, none).max_unit else 0
             for name, amount in _asked(request).items() if amount]  # fmt: skip
    return min(slots, default=0)


def _asked(request: ServerRequest) -> dict[str, int]:
    pinned = request.extra_specs.get("hw:cpu_policy") == "dedicated"
    asked = {"PCPU" if pinned else "VCPU": request.vcpus or 0, "MEMORY_MB": request.ram_mb or 0,
             "DISK_GB": request.disk_gb or 0}  # fmt: skip
    for key, value in request.extra_specs.items():
        if key.startswith("resources:") and value.strip().isdecimal():
            asked[key.partition(":")[2]] = int(value)
    return asked
