"""What a host has of the requested cards, as nova-compute there sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from wholecard.cloud.placement.provider_tree import Inventory, ResourceProvider
from wholecard.core.releases import Release
from wholecard.explain.evidence.card_providers import address_in
from wholecard.explain.evidence.conf_values import ConfValue, settings
from wholecard.explain.evidence.evidence import Evidence, HostEvidence
from wholecard.explain.evidence.requested_devices import RequestedDevices, class_of, host_rules
from wholecard.nova import match
from wholecard.nova.match import Device, HostCell, PciRequest, PlacementError, Spec, SpecError

_ANY = "*"


@dataclass(frozen=True)
class HostDevices:
    """A host's devices and its device_spec.

    `devices` is None where the host's facts are not known. Where its configuration is not, `specs`
    are those that select all that is requested. `error` is nova-compute's, at `error_position`.
    `providers` is what nova-compute would report to Placement, None where that is not known.
    """

    release: Release
    rules: match.Rules
    devices: tuple[Device, ...] | None
    specs: tuple[Spec, ...] = ()
    spec_positions: tuple[str, ...] = ()
    positions: Mapping[int, str] = field(default_factory=dict)
    error: SpecError | PlacementError | None = None
    error_position: str = ""
    providers: tuple[ResourceProvider, ...] | None = None

    def alike(self, request: PciRequest) -> tuple[Device, ...]:
        """The host's devices that have the ids of one of the request's specs."""
        alike = (device for device in self.devices or () if _has_ids(device, request.specs))
        if any("vendor_id" in spec or "product_id" in spec for spec in request.specs):
            return tuple(alike)
        # An alias by resource class alone means what device_spec selects, not all of the host.
        return tuple(device for device in alike if self._has_class(device, request))

    def _has_class(self, device: Device, request: PciRequest) -> bool:
        """Whether nova-compute would report the device under the request's resource class."""
        rows = (one for one in self.providers or () if address_in(one) == device.provider_address)
        return any(provider.inventory(class_of(request)) for provider in rows)

    def selected(self, device: Device) -> bool:
        """Whether device_spec selects the device."""
        return match.assign(device, self.specs) is not None

    def count_selected(self, requests: Sequence[PciRequest]) -> int:
        """How many selected devices have the ids of any of the requests."""
        alike = {device.address: device for request in requests for device in self.alike(request)}
        return sum(map(self.selected, alike.values()))

    def pools(self, taken: Sequence[str], host_cells: Sequence[HostCell] | None) -> match.Pools:
        """nova's pools of all devices but those that are taken."""
        free = [device for device in self.devices or () if device.address not in taken]
        return match.Pools.of(free, self.specs, self.rules, host_cells=host_cells)


def devices_on(evidence: Evidence, host: HostEvidence, requested: RequestedDevices) -> HostDevices:
    """The host's devices and specs. Without its configuration, specs that select what is requested.

    What nova-compute refuses is the `error`, and leaves it without specs.
    """
    rules = host_rules(evidence, host)
    devices = None if host.facts is None else match.devices_of(host.facts.functions)
    bare = HostDevices(evidence.release, rules, devices)
    if host.conf is None:
        sysfs, ids = match.DeviceSysfs(devices or ()), ("vendor_id", "product_id")
        specs = (
            Spec.of({key: spec[key] for key in ids if key in spec}, rules, sysfs)
            for request in requested.requests
            for spec in request.specs
        )
        return replace(bare, specs=tuple(specs))
    return _with_specs(bare, host.name, settings(host.conf, "device_spec", evidence.release))


def _with_specs(bare: HostDevices, name: str, values: Sequence[ConfValue]) -> HostDevices:
    """The devices of the host of that name, with the specs of these values of device_spec."""
    sysfs = match.DeviceSysfs(bare.devices or ())
    specs: list[Spec] = []
    positions: dict[int, str] = {}
    for value in values:
        try:
            for spec in Spec.parse(value.text, bare.rules, sysfs):
                positions[len(specs)] = value.position
                specs.append(spec)
        except SpecError as error:
            return replace(bare, error=error, error_position=value.position)
    every = tuple(value.position for value in values)
    full = replace(bare, specs=tuple(specs), spec_positions=every, positions=positions)
    if bare.devices is None:
        return full
    try:
        rows = match.providers_of(name, bare.devices, specs, bare.rules)
    except PlacementError as error:
        return replace(full, error=error, error_position=every[0] if every else "")
    providers = (
        ResourceProvider(
            row.name, inventories=(Inventory(row.resource_class, row.total),), traits=row.traits
        )
        for row in rows
    )
    return replace(full, providers=tuple(providers))


def _has_ids(device: Device, specs: Sequence[Mapping[str, str]]) -> bool:
    """Whether the device's ids are those of one of an alias's specs; one without any has them."""
    return any(
        spec.get("vendor_id", device.vendor_id).lower() == device.vendor_id
        and spec.get("product_id", device.product_id).lower() == device.product_id
        for spec in specs
    )


def swapped(device: Device, vendor_id: str, product_id: str) -> bool:
    """Whether these are the device's ids with vendor and product swapped."""
    return (vendor_id.lower(), product_id.lower()) == (device.product_id, device.vendor_id)


def could_select(spec: Spec, request: PciRequest) -> bool:
    """Whether a device_spec's ids allow those that the request names."""
    return any(
        spec.vendor_id in (_ANY, alias.get("vendor_id", spec.vendor_id).lower())
        and spec.product_id in (_ANY, alias.get("product_id", spec.product_id).lower())
        for alias in request.specs
    )
