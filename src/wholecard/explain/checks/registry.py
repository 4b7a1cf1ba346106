"""All checks by name, in the order in which they run: of the request, and of each host."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from wholecard.explain.check_result import CheckResult
from wholecard.explain.checks import (
    compute_service,
    devices,
    filters,
    hypervisor,
    machine,
    mediated_devices,
    numa,
    placement,
    request,
    whole_card,
)
from wholecard.explain.checks.host_case import HostCase
from wholecard.explain.evidence.evidence import Evidence

REQUEST_CHECKS: Mapping[str, Callable[[Evidence], CheckResult]] = MappingProxyType(
    {
        "extra spec": request.extra_spec,
        "alias on the api": request.alias_on_api,
        "quota": request.quota,
    }
)
# Of a flavor that asks for mediated devices alone, by resource classes.
MDEV_REQUEST_CHECKS: Mapping[str, Callable[[Evidence], CheckResult]] = MappingProxyType(
    {"mediated devices": mediated_devices.requested, "quota": request.quota}
)
CHECKS: Mapping[str, Callable[[HostCase], CheckResult]] = MappingProxyType(
    {
        "alias on the compute": compute_service.alias_on_compute,
        "configuration": compute_service.configuration,
        "service": compute_service.service,
        "device_spec": devices.device_spec,
        "card": devices.card,
        "device type": devices.device_type,
        "NUMA": numa.numa,
        "free": numa.free,
        "whole card": whole_card.whole_card,
        "report": placement.report,
        "resource class": placement.resource_class,
        "traits": placement.traits,
        "inventory": placement.inventory,
        "machine": machine.machine,
        "zone": machine.zone,
        "candidates": placement.candidates,
        "filters": filters.filters,
        "VFIO": hypervisor.vfio,
        "hypervisor": hypervisor.hypervisor,
    }
)
MDEV_CHECKS: Mapping[str, Callable[[HostCase], CheckResult]] = MappingProxyType(
    {
        "types": mediated_devices.types,
        "service": compute_service.service,
        "parents": mediated_devices.parents,
        "providers": mediated_devices.providers,
        "inventory": mediated_devices.inventory,
        "machine": machine.machine,
        "zone": machine.zone,
    }
)
