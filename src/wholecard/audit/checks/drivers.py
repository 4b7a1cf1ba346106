"""The driver of a card that nova can give to a server."""

from __future__ import annotations

from collections.abc import Iterator

from wholecard.audit.checks.host_case import HostCase, address_of
from wholecard.audit.record import Disagreement, PciDevice
from wholecard.core.rules import Severity
from wholecard.pci import Function


def drivers(case: HostCase) -> Iterator[Disagreement]:
    """Each free function of a card that the host's own driver has, or none.

    Network functions and VFs have a driver of the host by right: libvirt takes them from it. A
    device in use has the driver that its guest needs, and a domain that is off may have given it
    back.
    """
    if case.rows is None or case.functions is None or case.host.sysfs is None:
        return
    for card in case.host.sysfs.cards:
        for function in card.functions:
            if function.is_on_vfio:
                continue
            row = case.rows.get(address_of(function))
            if row is not None and row.address not in case.users and case.is_free(row):
                yield _without_vfio(case, row, function)


def _without_vfio(case: HostCase, row: PciDevice, function: Function) -> Disagreement:
    unmanaged = '"managed": "false"' in row.extra_info
    if function.driver is None:
        severity = Severity.ERROR if unmanaged else Severity.WARNING
        has = "has no driver"
        if function.variant:
            has += f", as libvirt leaves it after a server with the variant {function.variant}"
    else:
        severity, has = Severity.ERROR, f"has the driver {function.driver}"
    return case.disagreement(
        "WC540", row.address,
        f"nova can give the device to a server, and it {has}, not {function.guest_driver}.",
        f"See who uses it: wholecard host status on {case.name} names what changed after apply. "
        "Run apply again there with the options of the host and --now.",
        row=row, severity=severity,
        pending=case.cloud.young(row.updated_at or row.created_at, "the row"),
    )  # fmt: skip
