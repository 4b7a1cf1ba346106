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
