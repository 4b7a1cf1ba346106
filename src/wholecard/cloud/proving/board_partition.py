"""Whether a server's GPUs are a partition of their board with NVSwitches. Pure.

A guest does not see which GPUs of its host it has: Placement's allocation names the cards, by the
addresses in their providers' names, and the site file says which module id each address has.
"""

from __future__ import annotations

from collections.abc import Iterable

from wholecard.cloud.placement.provider_tree import ResourceProvider, device_in_name
from wholecard.core import Finding, Severity
from wholecard.pci.splitting.nvswitch import of_size_text, partition_of
from wholecard.site.boards import partitions_on
from wholecard.site.model import Site


def partition_verdict(
    site: Site, name: str, host: str, held: Iterable[ResourceProvider]
) -> Finding | str:
    """WC437 where the GPUs are no partition, else a sentence for the run's notes.

    `held` are the providers of which the server has something. The sentence is empty for a server
    without a GPU of a board whose partitions are known.
    """
    modules = site.hosts[host].modules if host in site.hosts else {}
    addresses = {device_in_name(provider.name)[1] for provider in held}
    gpus = frozenset(module for address, module in modules.items() if address in addresses)
    partitions = partitions_on(site, host) if gpus else ()
    if not partitions:
        return ""
    shown = " ".join(map(str, sorted(gpus)))
    if partition_of(partitions, gpus) is not None:
        return f"The GPUs of {name} are a partition of the board of {host}: modules {shown}."
    return Finding(
        "WC437", name, Severity.ERROR,
        f"its GPUs are no partition of the board of {host}: modules {shown}; of that number there "
        f"are: {of_size_text(partitions, len(gpus))}",
        "Its GPUs have no NVLink among each other. Give the board in sets: "
        "docs/how-to/nvswitch-boards.md.",
    )  # fmt: skip
