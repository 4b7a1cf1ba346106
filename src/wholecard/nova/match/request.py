"""`pci_passthrough:alias` of a flavor: the requests it makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from wholecard.nova.match.alias import Alias
from wholecard.nova.match.errors import RequestError
from wholecard.nova.match.words import shown
from wholecard.pci.device_types import NUMA_POLICIES


@dataclass(frozen=True)
class PciRequest:
    """`count` devices of which each has all that one of `specs` asks for.

    No other `request_id` begins with this one; Placement's groups are named after it.
    A spec's `rp_uuids` are the providers Placement chose, as nova keeps them after scheduling.
    """

    alias: str
    count: int
    specs: tuple[Mapping[str, str], ...] = field(hash=False)
    numa_policy: str = "legacy"
    request_id: str = ""


def parse_request(
    text: str, aliases: Mapping[str, Alias], policy: str | None = None
) -> tuple[PciRequest, ...]:
    """The requests of one extra spec's value, in its order.

    `policy` is the flavor's or the image's own NUMA policy (`hw:pci_numa_affinity_policy`, from
    Ussuri on), which goes before the alias's. Raises RequestError where nova makes no requests.
    """
    requests = []
    for position, part in enumerate(text.split(",")):
        words = part.split(":")
        if len(words) != 2:
            raise RequestError("malformed", f"{shown(part)} is not name:count")
        name, number = words[0].strip(), words[1]
        if name not in aliases:
            raise RequestError("alias-not-defined", f"there is no alias {shown(name)}", name)
        try:
            count = int(number)
        except ValueError:
            raise RequestError(
                "bad-count", f"{shown(number)} is not a number of devices", name
            ) from None
        if policy and policy not in NUMA_POLICIES:
            raise RequestError("bad-policy", f"there is no NUMA policy {shown(policy)}")
        alias = aliases[name]
        requests.append(
            PciRequest(name, count, alias.specs, policy or alias.numa_policy, f"{position:08d}")
        )
    return tuple(requests)
