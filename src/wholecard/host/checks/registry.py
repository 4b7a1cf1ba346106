"""What keeps cards from being given, or will hurt when they are, as findings. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from wholecard.core import Finding
from wholecard.host.checks.display import check_bmc, check_boot_display, check_framebuffers
from wholecard.host.checks.driver_binding import check_identical, check_ids, check_native_first
from wholecard.host.checks.function import (
    check_alive,
    check_domain,
    check_link,
    check_numa,
    check_reset,
    check_virtual_functions,
)
from wholecard.host.checks.iommu import (
    check_iommu,
    check_iommu_arguments,
    check_next_boot,
    check_unsafe_interrupts,
)
from wholecard.host.checks.iommu_group import (
    check_drivers,
    check_together,
    check_uses,
    check_viable,
    driver_finding,
)
from wholecard.host.checks.kernel import (
    check_modules,
    check_release,
    check_secure_boot,
    check_virqfd,
)
from wholecard.host.checks.memory import (
    check_address_width,
    check_hugepages,
    check_hypertransport,
    check_memlock,
)
from wholecard.host.desired_state import DesiredState
from wholecard.host.facts.host import Host
from wholecard.pci import Card

__all__ = ["check", "check_iommu", "check_together", "check_viable", "driver_finding"]


def check(host: Host, cards: Iterable[Card], *, wish: DesiredState | None = None) -> list[Finding]:
    """Everything that stands against giving `cards` together, in the order of the rules' codes.

    `wish` adds what is asked for besides the cards: companions, parked functions, huge pages.
    Where a fact is not known a check says nothing. The same facts give the same findings.
    """
    cards = tuple(cards)
    findings = [
        *_of_the_host(host),
        *check_drivers(host, cards, wish),
        *check_together(host, cards, wish),
        *check_viable(host, cards),
        *check_uses(host, cards, wish),
        *check_native_first(host, cards),
        *check_identical(host, cards),
        *check_ids(host, cards, wish),
        *check_boot_display(cards),
        *check_bmc(cards),
        *check_framebuffers(host, cards, wish),
        *check_domain(cards),
        *check_alive(cards),
        *check_reset(host, cards, wish),
        *check_link(host, cards),
        *check_numa(host, cards),
        *check_virtual_functions(cards),
        *check_release(host, cards),
        *check_address_width(host, cards),
        *check_hypertransport(host, cards),
        *check_memlock(host, cards),
        *check_hugepages(host, cards, wish),
    ]
    return sorted(findings, key=lambda finding: finding.rule)


def _of_the_host(host: Host) -> list[Finding]:
    """What is so whichever cards are given."""
    return [
        *check_iommu(host),
        *check_iommu_arguments(host),
        *check_next_boot(host),
        *check_unsafe_interrupts(host),
        *check_modules(host),
        *check_virqfd(host),
        *check_secure_boot(host),
    ]
