"""What prevents passthrough of cards, or causes trouble with it, as findings. Pure.

A new check is a function in a file beside this and one row in the table of its arguments.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Callable

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


Cards = tuple[Card, ...]

OF_HOST: tuple[Callable[[Host], list[Finding]], ...] = (
    check_iommu,
    check_iommu_arguments,
    check_next_boot,
    check_unsafe_interrupts,
    check_modules,
    check_virqfd,
    check_secure_boot,
)
OF_CARDS: tuple[Callable[[Cards], list[Finding]], ...] = (
    check_boot_display,
    check_bmc,
    check_domain,
    check_alive,
    check_virtual_functions,
)
OF_HOST_AND_CARDS: tuple[Callable[[Host, Cards], list[Finding]], ...] = (
    check_viable,
    check_native_first,
    check_identical,
    check_link,
    check_numa,
    check_release,
    check_address_width,
    check_hypertransport,
    check_memlock,
)
OF_DESIRED_STATE: tuple[Callable[[Host, Cards, DesiredState | None], list[Finding]], ...] = (
    check_drivers,
    check_together,
    check_uses,
    check_ids,
    check_framebuffers,
    check_reset,
    check_hugepages,
)


def check(
    host: Host, cards: Iterable[Card], *, desired: DesiredState | None = None
) -> list[Finding]:
    """The findings about passing `cards` through together, in the order of the rules' codes.

    `desired` adds what is requested besides the cards: companions, parked functions, huge pages.
    Where a fact is not known a check gives no finding. The same facts give the same findings.
    """
    cards = tuple(cards)
    results = [
        *(check_host(host) for check_host in OF_HOST),
        *(check_cards(cards) for check_cards in OF_CARDS),
        *(check_both(host, cards) for check_both in OF_HOST_AND_CARDS),
        *(check_all(host, cards, desired) for check_all in OF_DESIRED_STATE),
    ]
    findings = [finding for result in results for finding in result]
    return sorted(findings, key=lambda finding: finding.rule)
