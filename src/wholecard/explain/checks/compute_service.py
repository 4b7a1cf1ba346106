"""The links of nova-compute itself on one host: its aliases, its device_spec, whether it runs."""

from __future__ import annotations

from wholecard.core.capabilities import Capability, has
from wholecard.explain.evidence.asked import names_in
from wholecard.explain.evidence.conf_values import files
from wholecard.explain.evidence.evidence import Evidence, HostEvidence
from wholecard.explain.evidence.host_devices import HostDevices
from wholecard.explain.evidence.requested_devices import EXTRA_SPEC, aliases_of, host_rules
from wholecard.explain.link import CheckResult, broken, ok, unknown


def alias_link(evidence: Evidence, host: HostEvidence) -> CheckResult:
    """nova-compute translates the alias when a server comes to it by resize or migration.

    nova, nova/compute/resource_tracker.py, `_move_claim`: a server that is made new brings its
    requests along, so a missing alias is no reason there. nova/compute/manager.py, `init_host`:
    from 2025.2 (and 31.3.1) nova-compute does not start with an alias that it refuses; before, it
    is the move that fails.
    """
    name, release = "alias on the compute", evidence.release
    if host.conf is None:
        return unknown(name, "nova's API does not show aliases", _conf_option(host))
    aliases = aliases_of(host.conf, host_rules(evidence, host), release)
    moving = evidence.request.operation != "create"
    if aliases.error is not None:
        says = f"nova-compute refuses its aliases: {aliases.error.reason}"
        fix = f"Mend that line, and restart nova-compute on {host.name}."
        at_start = has(release, Capability.ALIASES_CHECKED)
        if at_start or moving:
            late = " It does not start again." if at_start else ""
            place = aliases.error_place or files(host.conf)
            return broken(name, "WC304", f"{says}.{late}", fix, place)
        return ok(name, "not needed to make a server", files(host.conf), warning=says)
    missing = [
        alias
        for alias in dict.fromkeys(names_in(evidence.request.extra_specs[EXTRA_SPEC]))
        if alias not in aliases.by_name
    ]
    if not missing:
        return ok(name, "defined", *dict.fromkeys(aliases.places.values()))
    says = f"nova-compute knows no alias {', '.join(missing)}"
    fix = f"Write nova-api's [pci] alias into nova-compute's configuration on {host.name}."
    if moving:
        return broken(
            name, "WC306", f"{says}: the move fails there, PCI alias {missing[0]} is not defined.",
            fix, files(host.conf),
        )  # fmt: skip
    warning = f"{says}: a resize or migration to this host will fail (WC306)"
    return ok(name, "not needed to make a server", files(host.conf), warning=warning)


def configuration_link(host: HostEvidence, cards: HostDevices) -> CheckResult:
    """nova-compute does not start with a device_spec that it cannot read.

    nova, nova/pci/devspec.py and nova/pci/whitelist.py (PciConfigInvalidSpec and others); with
    report_in_placement nova/compute/pci_placement_translator.py as well.
    """
    if host.conf is None:
        return unknown("configuration", "nova's API does not show device_spec", _conf_option(host))
    if cards.error is not None:
        return broken(
            "configuration",
            "WC308",
            f"nova-compute does not start: {cards.error.reason}.",
            f"Mend that device_spec, and start nova-compute on {host.name}.",
            cards.error_place,
        )
    return ok("configuration", f"{len(cards.specs)} device_spec", *cards.spec_places)


def service_link(host: HostEvidence) -> CheckResult:
    """A host whose nova-compute is down or disabled is never chosen.

    nova, nova/scheduler/filters/compute_filter.py for what is down, and
    nova/scheduler/request_filter.py `compute_status_filter` (the trait COMPUTE_STATUS_DISABLED) for
    what is disabled.
    """
    service = host.service
    if service is None:
        return unknown("service", "not asked", "--cloud NAME")
    if not service.up:
        return broken(
            "service",
            "WC307",
            f"nova-compute on {host.name} is down: nova has not heard of it in time.",
            f"Look at its log and start it:\n    systemctl status nova-compute  # on {host.name}",
            "openstack compute service list",
        )
    if not service.enabled:
        why = f" ({service.reason})" if service.reason else ""
        return broken(
            "service",
            "WC307",
            f"nova-compute on {host.name} is disabled{why}.",
            f"openstack compute service set --enable {host.name} nova-compute",
            "openstack compute service list",
        )
    return ok("service", "up and enabled", "openstack compute service list")


def _conf_option(host: HostEvidence) -> str:
    return f"--compute-conf {host.name}=FILE (its nova.conf)"
