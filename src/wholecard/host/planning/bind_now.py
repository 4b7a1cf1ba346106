"""Functions bound to their drivers in the running boot: what `--now` adds to a plan. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from wholecard.core import Action, Finding, Plan, RefusedError, Severity
from wholecard.host.checks.iommu import check_iommu
from wholecard.host.facts.host import Host
from wholecard.host.initramfs.claim_script import PARKED, VFIO
from wholecard.host.operations.bind_driver import BindDriver
from wholecard.host.operations.load_module import LoadModule
from wholecard.host.operations.registry import operation_of
from wholecard.host.planning.device_bindings import refuse_nameless
from wholecard.pci import Function

_MODULES = {VFIO: ("vfio_pci", "vfio_iommu_type1"), PARKED: ("pci_stub",)}


def plan_now(
    host: Host, functions: Iterable[Function], parked: Iterable[Function] = ()
) -> tuple[Action, ...]:
    """What binds `functions` to vfio-pci and `parked` to pci-stub now; empty where all are bound.

    Raises RefusedError where the IOMMU is off, and where an endpoint that shares a group with one
    of `functions` would not be bound; WholecardError where a function has no ids.
    """
    drivers = dict.fromkeys(functions, VFIO)
    drivers.update(dict.fromkeys(parked, PARKED))
    bindings = [
        _binding(function, driver)
        for function, driver in sorted(drivers.items(), key=lambda item: item[0].address)
        if (function.driver, function.driver_override) != (driver, driver)
    ]
    if not bindings:
        return ()
    if not host.iommu.on:
        raise RefusedError(
            "no function can be bound now, because the IOMMU is off",
            tuple(check_iommu(host)),
            "Apply without --now, then reboot: the functions are bound at boot.",
        )
    _refuse_left_behind(host, drivers)
    modules = dict.fromkeys(module for b in bindings for module in _MODULES[b.driver])
    return (
        *(_loading(module) for module in modules if module not in host.boot.builtin),
        *(_action(binding) for binding in bindings),
    )


def with_now(
    plan: Plan, host: Host, functions: Iterable[Function], parked: Iterable[Function] = ()
) -> Plan:
    """`plan` followed by the bindings; a reboot is needed only for the kernel's arguments."""
    return Plan(
        (*plan.actions, *plan_now(host, functions, parked)),
        reboot_needed=any(operation_of(action).sets_kernel_args for action in plan.actions),
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


def _loading(module: str) -> Action:
    return Action(
        kind="load-module",
        subject=module,
        reason="A driver must be loaded before it can bind a function.",
        do=LoadModule(module),
        undo="none: it stays loaded until the host is rebooted",
    )


def _action(binding: BindDriver) -> Action:
    former = binding.former_driver
    return Action(
        kind="bind-driver",
        subject=binding.address,
        reason=f"{binding.driver} binds the function now, not only at the next boot.",
        do=binding,
        undo=f"bind it to {former} again" if former else "leave it without a driver",
    )


def _refuse_left_behind(host: Host, functions: Iterable[Function]) -> None:
    bound = {function.address for function in functions}
    findings = tuple(
        Finding(
            "WC104",
            str(endpoint.address),
            Severity.ERROR,
            f"{endpoint.address} {endpoint.ids} is in {group.name} with a function that is to be "
            "bound, but is not selected itself.",
            "Bind every endpoint of the group, or none.",
        )
        for group in host.groups
        if any(endpoint.address in bound for endpoint in group.endpoints)
        for endpoint in group.endpoints
        if endpoint.address not in bound and not endpoint.is_free_for_vfio
    )
    if findings:
        brief = "an IOMMU group is bound with all its endpoints or not at all"
        raise RefusedError(brief, findings, findings[0].fix)
