"""PCI in Placement: what nova-compute reports, and what a server's requests ask for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import os_resource_classes

from wholecard.core.capabilities import Capability
from wholecard.nova.match.device import Device
from wholecard.nova.match.errors import PlacementError, RequestError
from wholecard.nova.match.request import PciRequest
from wholecard.nova.match.rules import Rules
from wholecard.nova.match.spec import Spec, assign
from wholecard.nova.match.words import kind_of, shown, truth

# More than any host has; nova would build them all, and a flavor may ask for a thousand million.
MOST_GROUPS = 10_000

_CUSTOM = os_resource_classes.CUSTOM_NAMESPACE
_OF_IDS = "CUSTOM_PCI_"


@dataclass(frozen=True)
class PciResourceProvider:
    """nova's class of this name: one device, or a PF with its VFs that device_spec selects.

    In Placement it is a child of the compute node's provider.
    """

    name: str
    resource_class: str
    traits: frozenset[str]
    devices: tuple[Device, ...]

    @property
    def total(self) -> int:
        """The inventory's total, which is its max_unit too."""
        return len(self.devices)


@dataclass(frozen=True)
class RequestGroup:
    """nova's class of this name: one granular group of `GET /allocation_candidates`.

    Each asks for one device of one provider.
    """

    name: str
    resource_class: str
    traits: frozenset[str]


def resource_class_of(device: Device, spec: Spec) -> str:
    """The resource class the device is reported under. Raises PlacementError."""
    tag = _text(spec.tags, "resource_class")
    return resource_class_for(tag, device.vendor_id, device.product_id)


def traits_of(device: Device, spec: Spec, rules: Rules) -> frozenset[str]:
    """The traits of the device's provider. Raises PlacementError."""
    # nova's own trait marks the provider as one that nova-compute manages: `_get_traits_for_dev`.
    traits = _traits(_text(spec.tags, "traits")) | {"COMPUTE_MANAGED_PCI_DEVICE"}
    if rules.has(Capability.MARKED_PROVIDERS) and truth(spec.tags.get("live_migratable", "false")):
        traits |= {"HW_PCI_LIVE_MIGRATABLE"}
    once = rules.has(Capability.ONE_TIME_USE) and truth(spec.tags.get("one_time_use", "false"))
    if once and device.dev_type in ("type-PCI", "type-PF"):
        traits |= {"HW_PCI_ONE_TIME_USE"}
    return traits


def providers_of(
    hostname: str, devices: Iterable[Device], specs: Sequence[Spec], rules: Rules
) -> tuple[PciResourceProvider, ...]:
    """What nova-compute on the hypervisor host `hostname` reports, sorted by name.

    Devices with a `physical_network` are not reported. Raises PlacementError where nova-compute
    refuses, and reports nothing at all. Empty without `report_in_placement`.
    """
    if not rules.report_in_placement:
        return ()
    # nova refuses it whether or not the interface exists: `ensure_no_dev_spec_with_devname`.
    devname = next((spec.devname for spec in specs if spec.devname), None)
    if devname:
        reason = f"the device_spec with devname {shown(devname)} needs an address instead"
        raise PlacementError("devname", reason, "devname")
    providers: dict[str, PciResourceProvider] = {}
    for device in sorted(devices, key=lambda device: device.address):
        spec = assign(device, specs)
        # With a physical network a device is Neutron's, for SR-IOV ports: nova does not report it.
        if spec is None or spec.tags.get("physical_network"):
            continue
        name = f"{hostname}_{device.provider_address.upper()}"
        providers[name] = _with(providers.get(name), name, device, spec, rules)
    marks = {"OWNER_NOVA"} if rules.has(Capability.MARKED_PROVIDERS) else frozenset[str]()
    ordered = [providers[name] for name in sorted(providers)]
    return tuple(replace(provider, traits=provider.traits | marks) for provider in ordered)


def _with(
    provider: PciResourceProvider | None, name: str, device: Device, spec: Spec, rules: Rules
) -> PciResourceProvider:
    """The provider with one device more, checked in the order in which nova does.

    Source: nova, nova/compute/pci_placement_translator.py, `add_child` and `add_parent`.
    """
    is_child = device.parent_addr is not None and device.dev_type in ("type-VF", "vdpa")
    if provider and (not is_child or provider.devices[0].parent_addr is None):
        others = ", ".join(other.address for other in provider.devices)
        raise PlacementError(
            "dependent-devices",
            f"{device.address} and {others} are a PF and VFs of it, and only one of the two can "
            "be in device_spec",
            "address",
        )
    resource_class, traits = resource_class_of(device, spec), traits_of(device, spec, rules)
    if provider:
        _check_alike(provider, device, resource_class, traits)
    if is_child and rules.has(Capability.ONE_TIME_USE) and "one_time_use" in spec.tags:
        reason = f"{device.address} is a VF, which cannot have one_time_use, not even false"
        raise PlacementError("one-time-use-on-vf", reason, "one_time_use")
    earlier = provider.devices if provider else ()
    return PciResourceProvider(name, resource_class, traits, (*earlier, device))


def _check_alike(
    provider: PciResourceProvider, device: Device, resource_class: str, traits: frozenset[str]
) -> None:
    """Raise PlacementError where one more VF differs from those of its PF that are there."""
    if provider.resource_class != resource_class:
        raise PlacementError(
            "mixed-resource-class",
            f"{device.address} is {resource_class}, other VFs of its PF {provider.resource_class}",
            "resource_class",
        )
    if provider.traits != traits:
        odd = ", ".join(sorted(provider.traits ^ traits))
        reason = f"{device.address} differs from other VFs of its PF in the traits {odd}"
        raise PlacementError("mixed-traits", reason, "traits")


def groups_of(requests: Iterable[PciRequest], rules: Rules) -> tuple[RequestGroup, ...]:
    """What the scheduler asks Placement for: a group for each device of each request.

    Empty without `pci_in_placement`. Raises RequestError for an alias with several specs, of
    which Placement cannot be asked.
    """
    if not rules.pci_in_placement:
        return ()
    groups = []
    for request in requests:
        if len(request.specs) != 1:
            raise RequestError(
                "several-specs",
                f"alias {shown(request.alias)} has {len(request.specs)} specs; Placement takes one",
                request.alias,
            )
        if request.count > MOST_GROUPS:
            reason = f"no Placement answers for {request.count} devices"
            raise RequestError("too-many", reason, request.alias)
        spec = request.specs[0]
        resource_class = resource_class_for(
            spec.get("resource_class"), spec.get("vendor_id"), spec.get("product_id")
        )
        traits = _traits(spec.get("traits"))
        groups += [
            RequestGroup(f"{request.request_id}-{number}", resource_class, traits)
            for number in range(request.count)
        ]
    return tuple(groups)


def _text(tags: Mapping[str, Any], key: str) -> str | None:
    value = tags.get(key)
    if value and not isinstance(value, str):
        raise PlacementError("not-text", f"{key} is {kind_of(value)}, not a string", key)
    return value or None


def resource_class_for(name: str | None, vendor_id: str | None, product_id: str | None) -> str:
    """The class of devices with these ids, where device_spec or alias names `name`, or none.

    Source: nova, nova/compute/pci_placement_translator.py, `get_resource_class`.
    """
    if not name:
        return f"{_OF_IDS}{vendor_id}_{product_id}".upper()
    upper = name.upper()
    return upper if is_resource_class(upper) else custom_name(upper)


def is_resource_class(name: str) -> bool:
    """Whether Placement takes the name as it is: a standard class or a custom one."""
    return name in os_resource_classes.STANDARDS or name.startswith(_CUSTOM)


def is_class_of_ids(resource_class: str) -> bool:
    """Whether nova may have made the class of a device's ids."""
    return resource_class.startswith(_OF_IDS)


def _traits(names: str | None) -> frozenset[str]:
    """The traits of a comma-separated list; a blank beside a comma makes another, custom one."""
    return frozenset(_trait(name) for name in (names.split(",") if names else ()))


def _trait(name: str) -> str:
    # No standard trait begins with CUSTOM_, so a list of custom ones needs no table.
    if name.upper().startswith(_CUSTOM):
        return name.upper()
    return name if name in _standard_traits() else custom_name(name.upper())


@cache
def _standard_traits() -> frozenset[str]:
    """The traits of the installed os-traits; an older cloud knows fewer, and makes them custom."""
    import os_traits  # noqa: PLC0415 - it takes 40 ms, and few sites name a standard trait

    return frozenset(os_traits.get_traits())


def custom_name(name: str) -> str:
    """A name that Placement takes as one's own, of a resource class or of a trait."""
    return str(os_resource_classes.normalize_name(name))
