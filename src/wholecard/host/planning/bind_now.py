"""Functions given to their drivers in the running boot: what `--now` adds to a plan. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wholecard.core import Action, Finding, Plan, RefusedError, Severity
from wholecard.host.checks.registry import check_iommu
from wholecard.host.facts.host import Host
from wholecard.host.operations.bind_driver import BindDriver
from wholecard.host.operations.load_module import LoadModule
from wholecard.host.operations.registry import operation_of
from wholecard.host.planning.device_bindings import refuse_nameless
from wholecard.pci import Function

VFIO = "vfio-pci"
STUB = "pci-stub"
_MODULES = {VFIO: ("vfio_pci", "vfio_iommu_type1"), STUB: ("pci_stub",)}


def plan_now(
    host: Host, functions: Iterable[Function], parked: Iterable[Function] = ()
) -> tuple[Action, ...]:
    """What gives `functions` to vfio-pci and `parked` to pci-stub now; empty where all are.

    Raises RefusedError where the IOMMU is off, and where an endpoint that shares a group with one
    of `functions` would stay behind; WholecardError where a function says no ids.
    """
    wanted = {each.address: (each, VFIO) for each in functions}
    wanted.update({each.address: (each, STUB) for each in parked})
    bindings = [
        _binding(function, driver)
        for _, (function, driver) in sorted(wanted.items())
        if (function.driver, function.driver_override) != (driver, driver)
    ]
    if not bindings:
        return ()
    _refuse_without_iommu(host)
    _refuse_left_behind(host, [function for function, _ in wanted.values()])
    drivers = dict.fromkeys(each.driver for each in bindings)
    return (
        *(action for driver in drivers for action in _loading(host, driver)),
        *(_action(each) for each in bindings),
    )


def with_now(
    made: Plan, host: Host, functions: Iterable[Function], parked: Iterable[Function] = ()
) -> Plan:
    """`made` with the bindings behind it; a reboot is needed only for the kernel's arguments."""
    return Plan(
        (*made.actions, *plan_now(host, functions, parked)),
        reboot_needed=any(operation_of(action).sets_kernel_args for action in made.actions),
    )


def _binding(function: Function, driver: str) -> BindDriver:
    refuse_nameless([function])
    return BindDriver(
        address=str(function.address),
        driver=driver,
        vendor=function.vendor,
        device=function.device,
        former_driver=function.driver,
        former_override=function.driver_override,
    )


def _loading(host: Host, driver: str) -> Iterator[Action]:
    for module in _MODULES[driver]:
        if module not in host.boot.builtin:
            yield Action(
                kind="load-module",
                subject=module,
                reason=f"{driver} must be there before it can take a function.",
                do=LoadModule(module),
                undo="none: it stays loaded until the host is rebooted",
            )


def _action(binding: BindDriver) -> Action:
    former = binding.former_driver
    return Action(
        kind="bind-driver",
        subject=binding.address,
        reason=f"{binding.driver} takes the function now, not at the next boot.",
        do=binding,
        undo=f"give it back to {former}" if former else "leave it without a driver",
    )


def _refuse_without_iommu(host: Host) -> None:
    if not host.iommu.on:
        raise RefusedError(
            "nothing can be given before the IOMMU is on",
            tuple(check_iommu(host)),
            "Apply without --now, reboot, and bind then.",
        )


def _refuse_left_behind(host: Host, functions: list[Function]) -> None:
    given = {each.address for each in functions}
    findings = tuple(
        Finding(
            "WC104",
            str(each.address),
            Severity.ERROR,
            f"{each.address} {each.ids} shares {group.name} with what is to be bound, and would "
            "stay behind.",
            "Give everything in the group, or nothing.",
        )
        for group in host.groups
        if any(each.address in given for each in group.endpoints)
        for each in group.endpoints
        if each.address not in given and not each.is_free_for_vfio
    )
    if findings:
        raise RefusedError(
            "every endpoint of an IOMMU group is bound, or none", findings, findings[0].fix
        )
