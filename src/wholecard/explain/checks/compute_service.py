"""The checks of nova-compute itself on one host: its aliases, its device_spec, whether it runs."""

from __future__ import annotations

from wholecard.core.capabilities import Capability, has
from wholecard.explain.check_result import CheckResult, failed, ok, unknown
from wholecard.explain.checks.host_case import HostCase
from wholecard.explain.evidence import requested_devices
from wholecard.explain.evidence.conf_values import files

_SERVICES = "openstack compute service list"
_NOT_NEEDED = "not needed to create a server"


def alias_on_compute(case: HostCase) -> CheckResult:
    """Whether nova-compute accepts its aliases and knows the requested ones.

    It translates the alias when a server comes to it by resize or migration (nova,
    nova/compute/resource_tracker.py, `_move_claim`). A new server brings its requests along, so a
    missing alias is no cause there.
    """
    conf = case.host.conf
    if conf is None:
        return unknown("nova's API does not show aliases", case.conf_option)
    moves = case.evidence.request.operation != "create"
    rules = requested_devices.host_rules(case.evidence, case.host)
    aliases = requested_devices.aliases_of(conf, rules, case.evidence.release)
    if aliases.error is not None:
        # A wrong alias: from 2025.2 (and 31.3.1) nova-compute does not start, before a move fails
        # (nova, nova/compute/manager.py, `init_host`).
        says = f"nova-compute refuses its aliases: {aliases.error.reason}"
        at_start = has(case.evidence.release, Capability.ALIASES_CHECKED)
        if not (at_start or moves):
            return ok(_NOT_NEEDED, files(conf), warning=says)
        says = f"{says}.{' It will not start again.' if at_start else ''}"
        fix = f"Correct that line, and restart nova-compute on {case.host.name}."
        return failed("WC304", says, fix, aliases.error_position or files(conf))
    text = case.evidence.request.extra_specs[requested_devices.EXTRA_SPEC]
    names = dict.fromkeys(requested_devices.names_in(text))
    missing = [name for name in names if name not in aliases.by_name]
    if not missing:
        return ok("defined", *dict.fromkeys(aliases.positions.values()))
    says = f"nova-compute does not have the alias {', '.join(missing)}"
    if moves:
        return failed(
            "WC306",
            f"{says}: the move fails there, PCI alias {missing[0]} is not defined.",
            f"Add nova-api's [pci] alias to nova-compute's configuration on {case.host.name}.",
            files(conf),
        )
    warning = f"{says}: a resize or migration to this host will fail (WC306)"
    return ok(_NOT_NEEDED, files(conf), warning=warning)


def configuration(case: HostCase) -> CheckResult:
    """Whether nova-compute starts with its device_spec.

    nova, nova/pci/devspec.py and nova/pci/whitelist.py (PciConfigInvalidSpec and others); with
    report_in_placement nova/compute/pci_placement_translator.py as well.
    """
    devices = case.devices
    if case.host.conf is None:
        return unknown("nova's API does not show device_spec", case.conf_option)
    if devices.error is not None:
        says = f"nova-compute does not start: {devices.error.reason}."
        fix = f"Correct that device_spec, and start nova-compute on {case.host.name}."
        return failed("WC308", says, fix, devices.error_position)
    return ok(f"{len(devices.specs)} device_spec", *devices.spec_positions)


def service(case: HostCase) -> CheckResult:
    """Whether nova-compute is up and enabled: else its host is never chosen.

    nova, nova/scheduler/filters/compute_filter.py for what is down, and
    nova/scheduler/request_filter.py `compute_status_filter` (the trait COMPUTE_STATUS_DISABLED) for
    what is disabled.
    """
    name, state = case.host.name, case.host.service
    if state is None:
        return unknown("nova was not asked", "--cloud NAME")
    if not state.up:
        says = f"nova-compute on {name} is down: its last report to nova is too old."
        fix = f"Read its log and start it:\n    systemctl status nova-compute  # on {name}"
        return failed("WC307", says, fix, _SERVICES)
    if not state.enabled:
        reason = f" ({state.reason})" if state.reason else ""
        fix = f"openstack compute service set --enable {name} nova-compute"
        return failed("WC307", f"nova-compute on {name} is disabled{reason}.", fix, _SERVICES)
    return ok("up and enabled", _SERVICES)
