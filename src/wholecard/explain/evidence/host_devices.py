"""What a host has of the cards that are asked for, as nova-compute there sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from wholecard.cloud.placement.provider_tree import Inventory, ResourceProvider
from wholecard.core.releases import Release
from wholecard.explain.evidence.conf_values import settings
from wholecard.explain.evidence.evidence import Evidence, HostEvidence
from wholecard.explain.evidence.requested_devices import RequestedDevices, host_rules
from wholecard.nova.match import (
    Device,
    DeviceSysfs,
    HostCell,
    PciRequest,
    PlacementError,
    Pools,
    Rules,
    Spec,
    SpecError,
    assign,
    devices_of,
    providers_of,
)

_ANY = "*"


@dataclass(frozen=True)
class HostDevices:
    """A host's devices and its device_spec.

    `devices` is None where the host's facts are not known, `specs` is empty where its
    configuration is not. `assumed` marks the latter: the devices are then judged as if all of them
    were given. `error` is nova-compute's, at `error_place`. `providers` is what nova-compute would
    report to Placement, None where that is not known.
    """

    release: Release
    rules: Rules
    devices: tuple[Device, ...] | None
    specs: tuple[Spec, ...] = ()
    spec_places: tuple[str, ...] = ()
    places: Mapping[int, str] = field(default_factory=dict)
    assumed: bool = False
    error: SpecError | PlacementError | None = None
    error_place: str = ""
    providers: tuple[ResourceProvider, ...] | None = None

    def alike(self, request: PciRequest) -> tuple[Device, ...]:
        """The host's devices that have the ids of one of the request's specs."""
        return tuple(each for each in self.devices or () if _has_ids(each, request.specs))

    def given(self, device: Device) -> bool:
        """Whether nova-compute gives the device."""
        return assign(device, self.specs) is not None

    def count_given(self, requests: Sequence[PciRequest]) -> int:
        """How many devices are given that have the ids of any of the requests."""
        alike = {each.address: each for request in requests for each in self.alike(request)}
        return sum(map(self.given, alike.values()))

    def pools(self, taken: Sequence[str], host_cells: Sequence[HostCell] | None) -> Pools:
        """nova's pools of all devices but those that are taken."""
        free = [each for each in self.devices or () if each.address not in taken]
        return Pools.of(free, self.specs, self.rules, host_cells=host_cells)


def cards_of(evidence: Evidence, host: HostEvidence, wanted: RequestedDevices) -> HostDevices:
    """The host's devices and specs. Without its configuration, specs that give what is wanted."""
    rules = host_rules(evidence, host)
    devices = None if host.facts is None else devices_of(host.facts.functions)
    sysfs = DeviceSysfs(devices or ())
    if host.conf is None:
        wanted_specs = tuple(
            Spec.of(_ids_only(spec), rules, sysfs)
            for request in wanted.requests
            for spec in request.specs
        )
        return HostDevices(evidence.release, rules, devices, wanted_specs, assumed=True)
    specs: list[Spec] = []
    places: dict[int, str] = {}
    found = settings(host.conf, "device_spec", evidence.release)
    for each in found:
        try:
            for spec in Spec.parse(each.text, rules, sysfs):
                places[len(specs)] = each.where
                specs.append(spec)
        except SpecError as error:
            return HostDevices(
                evidence.release, rules, devices, error=error, error_place=each.where
            )
    where = tuple(each.where for each in found)
    cards = HostDevices(evidence.release, rules, devices, tuple(specs), where, places)
    if devices is None:
        return cards
    try:
        return replace(cards, providers=_providers(host.name, devices, specs, rules))
    except PlacementError as error:
        return replace(cards, error=error, error_place=where[0] if where else "")


def _providers(
    name: str, devices: Sequence[Device], specs: Sequence[Spec], rules: Rules
) -> tuple[ResourceProvider, ...]:
    return tuple(
        ResourceProvider(
            provider.name,
            inventories=(Inventory(provider.resource_class, provider.total),),
            traits=provider.traits,
        )
        for provider in providers_of(name, devices, specs, rules)
    )


def _ids_only(spec: Mapping[str, str]) -> dict[str, str]:
    return {key: spec[key] for key in ("vendor_id", "product_id") if key in spec}


def _has_ids(device: Device, specs: Sequence[Mapping[str, str]]) -> bool:
    """Whether the device's ids are those of one of an alias's specs; one without any has them."""
    return any(
        spec.get("vendor_id", device.vendor_id).lower() == device.vendor_id
        and spec.get("product_id", device.product_id).lower() == device.product_id
        for spec in specs
    )


def swapped(device: Device, vendor_id: str, product_id: str) -> bool:
    """Whether these are the device's ids the other way round."""
    return (vendor_id.lower(), product_id.lower()) == (device.product_id, device.vendor_id)


def could_give(spec: Spec, request: PciRequest) -> bool:
    """Whether a device_spec's ids leave room for those that the request names."""
    return any(
        spec.vendor_id in (_ANY, each.get("vendor_id", spec.vendor_id).lower())
        and spec.product_id in (_ANY, each.get("product_id", spec.product_id).lower())
        for each in request.specs
    )
