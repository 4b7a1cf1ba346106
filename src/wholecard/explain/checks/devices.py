"""The checks of the cards of one host: selected by device_spec, present, and of the right type."""

from __future__ import annotations

import json

from wholecard.explain.check_result import CheckResult, failed, ok, unknown
from wholecard.explain.checks.host_case import ALIAS_UNKNOWN, FEWER, PROVIDERS, HostCase
from wholecard.explain.evidence.card_providers import card_providers
from wholecard.explain.evidence.conf_values import files, misnamed, spelled
from wholecard.explain.evidence.host_devices import could_select, swapped
from wholecard.explain.evidence.requested_devices import class_of
from wholecard.nova.match import Device, PciRequest, Stage

# The keys of a device_spec from the first that nova compares on: the further a spec comes, the
# nearer it was to the device.
_ORDER = ("vendor_id", "product_id", "address", "devname", "remote_managed", "domain")
_IN_PLACEMENT = ok("Placement has cards of this host", PROVIDERS)


def device_spec(case: HostCase) -> CheckResult:
    """Whether device_spec selects the cards at all.

    nova, nova/pci/whitelist.py and nova/pci/devspec.py: the first spec that matches selects a
    device; nova does not know a device that none matches.
    """
    host, devices = case.host, case.devices
    if host.conf is not None and not devices.specs:
        return failed(
            "WC309",
            f"nova-compute on {host.name} has no device_spec: nova uses no card of this host."
            + misnamed(host.conf, "device_spec", devices.release),
            "Add the device_spec that this command prints, and restart nova-compute:\n"
            f"    wholecard nova render --role compute --host {host.name}",
            files(host.conf),
        )
    if not case.requested.requests:
        return ALIAS_UNKNOWN
    if host.conf is None:
        if card_providers(host.provider_tree):
            return _IN_PLACEMENT
        return unknown("device_spec is not known", case.conf_option)
    if devices.devices is None:
        return _spec_without_facts(case)
    results = (_spec_for(case, request) for request in case.requested.requests)
    return next((result for result in results if result is not None), _selects(case))


def _selects(case: HostCase) -> CheckResult:
    devices, requests = case.devices, case.requested.requests
    matching = dict.fromkeys(
        devices.positions[number]
        for number, spec in enumerate(devices.specs)
        if any(spec.match(device) for request in requests for device in devices.alike(request))
    )
    if not matching:
        return ok("the host has no card that fits the alias")
    return ok(f"selects {devices.count_selected(requests)} cards that fit the alias", *matching)


def _spec_for(case: HostCase, request: PciRequest) -> CheckResult | None:
    """The failure where fewer cards are selected than the request needs and the host has."""
    devices = case.devices
    alike = devices.alike(request)
    selected = [device for device in alike if devices.selected(device)]
    if not alike or len(selected) >= min(request.count, len(alike)):
        return None
    omitted = next(device for device in alike if device not in selected)
    cards = f"of the {len(alike)} cards of {request.alias}"
    what = f"matches none {cards}"
    if selected:
        what = f"selects {len(selected)} {cards}, {request.count} are requested"
    return _omitted(case, omitted, what)


def _omitted(case: HostCase, omitted: Device, what: str) -> CheckResult:
    """Why no spec selects the device: its domain, swapped ids, or what the nearest spec needs."""
    devices = case.devices
    mismatches = [spec.why_not(omitted) for spec in devices.specs]
    if all(mismatch is not None and mismatch.key == "domain" for mismatch in mismatches):
        says = (
            f"{omitted.address} is in a PCI domain above ffff: nova ignores it without a message."
        )
        fix = "Turn off what creates the domain (Intel VMD for this slot, in the firmware's setup)."
        return failed("WC313", says, fix, case.host.facts_source)
    for number, spec in enumerate(devices.specs):
        if swapped(omitted, spec.vendor_id, spec.product_id):
            return _swapped(case, "device_spec", devices.positions[number], omitted)
    # Of the specs, the one that came nearest is the one that was meant.
    number, nearest = max(
        enumerate(mismatches), key=lambda pair: _ORDER.index(pair[1].key) if pair[1] else 9
    )
    reason = "" if nearest is None else (
        f" The most similar device_spec has {nearest.key} {nearest.wanted}, the card has "
        f"{nearest.found}."
    )  # fmt: skip
    ids = json.dumps({"vendor_id": omitted.vendor_id, "product_id": omitted.product_id})
    return failed(
        "WC310",
        f"device_spec on {case.host.name} {what}; it does not select {_title(omitted)}.{reason}",
        "Correct device_spec so that it matches the card, and restart nova-compute on "
        f"{case.host.name}:\n"
        f"    {spelled('device_spec', devices.release).name} = {ids}",
        devices.positions[number],
        case.host.facts_source,
    )


def _spec_without_facts(case: HostCase) -> CheckResult:
    """Without the host's facts, ids alone can tell that nothing can match."""
    devices = case.devices
    for request in case.requested.requests:
        if any(could_select(spec, request) for spec in devices.specs):
            continue
        ids = [(spec.get("vendor_id", "*"), spec.get("product_id", "*")) for spec in request.specs]
        rule, which = "WC310", f" ({', '.join(':'.join(pair) for pair in ids)})."
        if any((spec.product_id, spec.vendor_id) in ids for spec in devices.specs):
            rule, which = "WC311", ": vendor and product are swapped in one of the two."
        return failed(
            rule,
            f"device_spec on {case.host.name} has other ids than the alias {request.alias}{which}",
            "Write the card's ids in both, as `lspci -nn` prints them.",
            *devices.spec_positions,
            case.requested.position(request.alias),
        )
    if card_providers(case.host.provider_tree):
        return _IN_PLACEMENT
    return unknown(
        "the ids fit; the host's devices are not known", case.facts_option, *devices.spec_positions
    )


def card(case: HostCase) -> CheckResult:
    """Whether the host has as many functions with the alias's ids."""
    host, requested = case.host, case.requested
    if not requested.requests:
        return ALIAS_UNKNOWN
    if case.devices.devices is None:
        return _card_in_placement(case)
    total: set[str] = set()
    for request in requested.requests:
        alike = case.devices.alike(request)
        total |= {device.address for device in alike}
        if len(alike) < request.count:
            return _too_few(case, request, alike)
    if len(total) < requested.count:
        return failed(
            "WC312",
            f"{host.name} has {len(total)} cards for {requested.names} together, "
            f"{requested.count} are requested.",
            FEWER,
            host.facts_source,
        )
    return ok(f"{len(total)} with these ids", host.facts_source)


def _card_in_placement(case: HostCase) -> CheckResult:
    """Without facts, what Placement has of the alias's class tells how many there are."""
    tree = case.host.provider_tree
    for request in case.requested.requests:
        inventories = tree.below_of_class(class_of(request)) if tree else ()
        if not inventories:
            return unknown("the host's devices are not known", case.facts_option)
        total = sum(inventory.total for inventory in inventories)
        if total < request.count:
            return failed(
                "WC312",
                f"Placement has {total} {class_of(request)} of {case.host.name}; "
                f"{request.count} are requested.",
                FEWER,
                PROVIDERS,
            )
    return ok("Placement has as many of its class", PROVIDERS)


def _too_few(case: HostCase, request: PciRequest, alike: tuple[Device, ...]) -> CheckResult:
    """Fewer functions with the alias's ids than requested, or its ids are swapped."""
    position = case.requested.position(request.alias)
    for spec in request.specs:
        for device in case.devices.devices or ():
            if swapped(device, spec.get("vendor_id", ""), spec.get("product_id", "")):
                return _swapped(case, f"The alias {request.alias}", position, device)
    ids = ", ".join(
        f"{spec.get('vendor_id', '*')}:{spec.get('product_id', '*')}" for spec in request.specs
    )
    has, fix = f"{len(alike)} of the {request.count} requested cards", FEWER
    if not alike:
        has = "no card"
        fix = (
            "Use a host that has the card, or correct the ids in the alias: `lspci -nn` prints a "
            "card's ids."
        )
    says = f"{case.host.name} has {has} with the ids {ids} of {request.alias}."
    return failed("WC312", says, fix, case.host.facts_source, position)


def device_type(case: HostCase) -> CheckResult:
    """Whether the cards fit the alias in all but their ids: type and tags.

    nova, nova/pci/stats.py, `_filter_pools_for_spec` and `_filter_pools_for_unrequested_pfs`:
    a card with an SR-IOV capability is type-PF even where it has no VFs, and an alias without
    device_type never gets one.
    """
    devices, requests = case.devices, case.requested.requests
    if not requests:
        return ALIAS_UNKNOWN
    if devices.devices is None:
        return unknown("the host's devices are not known", case.facts_option)
    verdict = devices.pools((), ()).supports(requests)
    if verdict:
        types = {device.dev_type for request in requests for device in devices.alike(request)}
        return ok(", ".join(sorted(types)), case.host.facts_source)
    trail = next(trail for trail in verdict.trails if trail.broken)
    return _misfit(case, trail.request, trail.stages[-1])


def _misfit(case: HostCase, request: PciRequest, stage: Stage) -> CheckResult:
    """The failure at this stage of nova's filtering of pools."""
    host = case.host
    if stage.name == "pf" or (stage.name == "spec" and "dev_type" in stage.reason):
        return _other_type(case, request)
    if stage.name == "consume":
        says = f"{host.name} does not have enough cards for {case.requested.names} together."
        return failed("WC312", says, FEWER, host.facts_source)
    return failed(
        "WC315",
        f"{host.name} has {stage.left} cards that fit the alias {request.alias}: "
        f"{stage.reason or stage.name}.",
        "Write the same tags and attributes of the card in device_spec and alias, and restart "
        "nova-compute and nova-api.",
        case.requested.position(request.alias),
        *case.devices.spec_positions,
    )


def _other_type(case: HostCase, request: PciRequest) -> CheckResult:
    types = sorted({device.dev_type for device in case.devices.alike(request)})
    requested = sorted({spec["dev_type"] for spec in request.specs if "dev_type" in spec})
    none = "has no device_type, which means type-PCI"
    asks = f"requests {', '.join(requested)}" if requested else none
    return failed(
        "WC314",
        f"The cards on {case.host.name} are {', '.join(types)}; the alias {request.alias} {asks}. "
        "A card with an SR-IOV capability is type-PF, even without VFs.",
        f'Add "device_type": "{types[0]}" to the alias on every nova-api and nova-compute, and '
        "restart them.",
        case.requested.position(request.alias),
        case.host.facts_source,
    )


def _swapped(case: HostCase, owner: str, position: str, device: Device) -> CheckResult:
    says = f"{owner} has vendor and product swapped: {case.host.name} has {_title(device)}."
    fix = f'Write "vendor_id": "{device.vendor_id}", "product_id": "{device.product_id}".'
    return failed("WC311", says, fix, position, case.host.facts_source)


def _title(device: Device) -> str:
    return f"{device.address} ({device.vendor_id}:{device.product_id})"
