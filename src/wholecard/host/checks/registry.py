"""What prevents passthrough of cards, or causes trouble with it, as findings. Pure.

A new check is a function in a file beside this and one row in the table of its arguments.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Callable

from wholecard.core import Finding
from wholecard.host.checks import (
    board,
    display,
    driver_binding,
    driverctl,
    function,
    iommu,
    iommu_group,
    kernel,
    memory,
    vfio_refusal,
)
from wholecard.host.desired_state import DesiredState
from wholecard.host.facts.host import Host
from wholecard.pci import Card

Cards = tuple[Card, ...]

OF_HOST: tuple[Callable[[Host], list[Finding]], ...] = (
    iommu.check_iommu,
    iommu.check_iommu_arguments,
    iommu.check_next_boot,
    iommu.check_unsafe_interrupts,
    vfio_refusal.check_acs_override,
    kernel.check_modules,
    kernel.check_virqfd,
    kernel.check_secure_boot,
)
OF_CARDS: tuple[Callable[[Cards], list[Finding]], ...] = (
    display.check_bmc,
    function.check_domain,
    function.check_alive,
    function.check_virtual_functions,
    function.check_reset_bugs,
)
OF_HOST_AND_CARDS: tuple[Callable[[Host, Cards], list[Finding]], ...] = (
    iommu_group.check_viable,
    display.check_boot_display,
    driver_binding.check_native_first,
    driver_binding.check_identical,
    function.check_link,
    function.check_numa,
    function.check_removable,
    kernel.check_release,
    memory.check_address_width,
    memory.check_hypertransport,
    memory.check_memlock,
)
OF_DESIRED_STATE: tuple[Callable[[Host, Cards, DesiredState | None], list[Finding]], ...] = (
    iommu_group.check_drivers,
    iommu_group.check_together,
    iommu_group.check_uses,
    driver_binding.check_ids,
    driverctl.check_driverctl,
    display.check_framebuffers,
    function.check_reset,
    vfio_refusal.check_direct,
    vfio_refusal.check_groupless,
    vfio_refusal.check_loadable,
    vfio_refusal.check_denied,
    memory.check_hugepages,
    board.check_nvswitches,
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
