"""The checks of nova-compute itself on one host: its aliases, its device_spec, whether it runs."""

from __future__ import annotations

from wholecard.core.capabilities import Capability, has
from wholecard.explain.check_result import CheckResult, failed, ok, unknown
from wholecard.explain.checks.host_case import HostCase
from wholecard.explain.evidence.conf_values import files
from wholecard.explain.evidence.requested_devices import (
    EXTRA_SPEC,
    Aliases,
    aliases_of,
    host_rules,
    names_in,
)
from wholecard.nova.conf.service_conf import NovaConf

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
    aliases = aliases_of(conf, host_rules(case.evidence, case.host), case.evidence.release)
    if aliases.error is not None:
        return _refused(case, conf, aliases, aliases.error.reason)
    names = dict.fromkeys(names_in(case.evidence.request.extra_specs[EXTRA_SPEC]))
    missing = [name for name in names if name not in aliases.by_name]
    if not missing:
        return ok("defined", *dict.fromkeys(aliases.positions.values()))
    says = f"nova-compute knows no alias {', '.join(missing)}"
    if _moves(case):
        return failed(
            "WC306",
            f"{says}: the move fails there, PCI alias {missing[0]} is not defined.",
            f"Add nova-api's [pci] alias to nova-compute's configuration on {case.host.name}.",
            files(conf),
        )
    warning = f"{says}: a resize or migration to this host will fail (WC306)"
    return ok(_NOT_NEEDED, files(conf), warning=warning)


def _refused(case: HostCase, conf: NovaConf, aliases: Aliases, reason: str) -> CheckResult:
    """A wrong alias: from 2025.2 (and 31.3.1) nova-compute does not start, before a move fails.

    nova, nova/compute/manager.py, `init_host`.
    """
    says = f"nova-compute refuses its aliases: {reason}"
    at_start = has(case.evidence.release, Capability.ALIASES_CHECKED)
    if not (at_start or _moves(case)):
        return ok(_NOT_NEEDED, files(conf), warning=says)
    return failed(
        "WC304",
        f"{says}.{' It will not start again.' if at_start else ''}",
        f"Correct that line, and restart nova-compute on {case.host.name}.",
        aliases.error_position or files(conf),
    )


def _moves(case: HostCase) -> bool:
    return case.evidence.request.operation != "create"


def configuration(case: HostCase) -> CheckResult:
    """Whether nova-compute starts with its device_spec.

    nova, nova/pci/devspec.py and nova/pci/whitelist.py (PciConfigInvalidSpec and others); with
    report_in_placement nova/compute/pci_placement_translator.py as well.
    """
    devices = case.devices
    if case.host.conf is None:
        return unknown("nova's API does not show device_spec", case.conf_option)
    if devices.error is not None:
        return failed(
            "WC308",
            f"nova-compute does not start: {devices.error.reason}.",
            f"Correct that device_spec, and start nova-compute on {case.host.name}.",
            devices.error_position,
        )
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
        return failed(
            "WC307",
            f"nova-compute on {name} is down: it did not report to nova in time.",
            f"Look at its log and start it:\n    systemctl status nova-compute  # on {name}",
            _SERVICES,
        )
    if not state.enabled:
        reason = f" ({state.reason})" if state.reason else ""
        return failed(
            "WC307",
            f"nova-compute on {name} is disabled{reason}.",
            f"openstack compute service set --enable {name} nova-compute",
            _SERVICES,
        )
    return ok("up and enabled", _SERVICES)
