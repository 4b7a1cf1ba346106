"""How a nova release matches: its capabilities, with the settings that change it."""

from __future__ import annotations

from dataclasses import dataclass

from wholecard.core.capabilities import Capability, has
from wholecard.core.releases import FIRST, LATEST
from wholecard.nova.options import ALIAS_KEYS, numa_policies


@dataclass(frozen=True)
class Rules:
    """How one nova release matches, with the two settings that change it.

    `major` is nova's own number (13 is Mitaka, 34 is 2026.2). `report_in_placement` is
    `[pci] report_in_placement` of nova-compute, `pci_in_placement` is
    `[filter_scheduler] pci_in_placement` of the service whose aliases are read.

    Source: nova's `nova/pci/` and `nova/compute/pci_placement_translator.py` at each release's
    tags; 27, 30, 32 and 34 are compared with the real thing, the others were read. A fix that
    reached older series counts since the first series whose last release has it.
    """

    major: int
    report_in_placement: bool = False
    pci_in_placement: bool = False

    def has(self, capability: Capability) -> bool:
        """Whether the release has it."""
        return has(self.major, capability)

    @property
    def alias_keys(self) -> frozenset[str]:
        """The keys an alias may have."""
        return frozenset(key for key, since in ALIAS_KEYS.items() if since <= self.major)

    @property
    def numa_policies(self) -> tuple[str, ...]:
        """The NUMA policies an alias or a flavor may name; before Queens all is `legacy`."""
        return numa_policies(self.major)


def rules_for(
    major: int, *, report_in_placement: bool = False, pci_in_placement: bool = False
) -> Rules:
    """The rules of nova `major`, 13 to 34; a release outside takes the nearest one's.

    Settings that a release does not have yet are off in its rules.
    """
    major = min(max(major, FIRST.nova), LATEST.nova)
    return Rules(
        major,
        report_in_placement=report_in_placement and has(major, Capability.REPORT_IN_PLACEMENT),
        pci_in_placement=pci_in_placement and has(major, Capability.PCI_IN_PLACEMENT),
    )
