"""What nova answers when it refuses, and what each message proves.

The messages are nova's own (nova/exception.py, nova/scheduler/manager.py,
nova/conductor/manager.py, nova/compute/claims.py); a server's fault has 255 characters of them.
"""

from __future__ import annotations

import re
from typing import Literal

Kind = Literal[
    "alias-not-defined", "alias-refused", "quota", "scheduler-found-no-card", "no-candidate",
    "filtered", "hosts-refused", "claim-cards", "claim-numa", "not-viable", "attach", "no-host",
]  # fmt: skip

_MESSAGES: tuple[tuple[Kind, str], ...] = (
    ("alias-not-defined", r"PCI alias .* is not defined"),
    ("alias-refused", r"Invalid PCI alias definition|PCI alias\(es\)"),
    ("quota", r"[Qq]uota exceeded|over limit|exceeds? .*quota"),
    # nova/pci/stats.py; the scheduler logs it and goes on, a move's claim may end in it.
    ("scheduler-found-no-card", r"PCI device request|PciDeviceRequestFailed"),
    ("claim-numa", r"Requested instance NUMA topology"),
    ("claim-cards", r"Claim pci failed"),
    ("not-viable", r"group \d+ is not viable|not viable"),
    ("attach", r"vfio|VFIO_|hostdev|host device|PCI device .* (?:in use|not found)|iommu"),
    ("hosts-refused", r"Exhausted all hosts available|Exceeded maximum number of retries"),
    # nova/scheduler/manager.py: the filters or the claim left none.
    ("filtered", r"There are not enough hosts available"),
    # The same file, since Pike: Placement had no candidate, and the reason is empty.
    ("no-candidate", r"No valid host was found\.\s*(?:$|\")"),
    ("no-host", r"No valid host|NoValidHost"),
)


def kind_of(message: str) -> Kind | None:
    """Which of nova's messages this is, None where it is none that we know."""
    return next((kind for kind, pattern in _MESSAGES if re.search(pattern, message)), None)
