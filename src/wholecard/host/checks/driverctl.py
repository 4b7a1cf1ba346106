"""driverctl, which binds functions at boot by their addresses too: with us, or against us. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from wholecard.core import Finding, Severity
from wholecard.host.checks.iommu_group import function_at, given_addresses
from wholecard.host.desired_state import DesiredState
from wholecard.host.facts.host import Host
from wholecard.host.facts.module_parameters import driverctl_overrides
from wholecard.pci import Card
from wholecard.pci.vfio_drivers import PCI_STUB, is_same_driver

_NO_DRIVER = "none"


def check_driverctl(
    host: Host, cards: Iterable[Card], desired: DesiredState | None = None
) -> list[Finding]:
    """WC168: driverctl has a driver for a function that guests get, or that is to be parked."""
    wanted = dict.fromkeys(given_addresses(cards, desired), "")
    wanted.update(dict.fromkeys(desired.parked if desired else (), PCI_STUB))
    findings = []
    for path, address, driver in driverctl_overrides(host.settings):
        function = function_at(host, address)
        # Its files have addresses as sysfs writes them, and so has what is wanted.
        if address in wanted and function is not None:
            needed = wanted[address] or function.guest_driver
            findings.append(
                _agrees(path, address, driver)
                if is_same_driver(driver, needed)
                else _conflicts(path, address, driver, needed)
            )
    return findings


def _agrees(path: str, address: str, driver: str) -> Finding:
    return Finding(
        "WC168",
        address,
        Severity.NOTE,
        f"driverctl binds {address} to {driver} too ({path}). It goes by the bus address, which "
        "may be another device's after hardware was added, and rollback does not change it.",
        f"You can remove it after the next reboot:\n  rm {path}",
    )


def _conflicts(path: str, address: str, driver: str, needed: str) -> Finding:
    does = f"unbinds {address}" if driver == _NO_DRIVER else f"binds {address} to {driver}"
    return Finding(
        "WC168",
        address,
        Severity.ERROR,
        f"driverctl {does} when udev finds it at boot ({path}), after the initramfs has bound it "
        f"to {needed}.",
        f"Remove it, and do not use driverctl for this function:\n  rm {path}",
    )
