"""`device_spec` against what the hosts have."""

from __future__ import annotations

from collections.abc import Iterator

from wholecard.core import Severity
from wholecard.core.capabilities import Capability
from wholecard.nova.lint.diagnostic import Diagnostic, TextEdit, entry_diagnostic, listed
from wholecard.nova.lint.json_positions import Path
from wholecard.nova.lint.service import Facts, GivenDevice, ReadSpec, Service, Value
from wholecard.nova.match import Device, PlacementError, Spec, providers_of
from wholecard.pci import Function, is_bmc_display
from wholecard.pci.vfio_drivers import VFIO_PCI

# Vendors of GPUs, network cards and disks, which are the devices given to guests.
_VENDORS = frozenset({"10de", "1002", "1022", "8086", "15b3", "14e4", "144d", "1af4", "1ed5"})


def check_ids(service: Service) -> Iterator[Diagnostic]:
    """Vendor and product exchanged, by the host's ids or because the product is a known vendor."""
    objects = [
        *((spec.value, spec.path, spec.conf) for spec in service.specs),
        *((alias.value, (), alias.conf) for alias in service.aliases),
    ]
    for value, path, conf in objects:
        vendor, product = (str(conf.get(key, "")).lower() for key in ("vendor_id", "product_id"))
        if (vendor, product) in service.host_ids:
            continue
        is_certain = (product, vendor) in service.host_ids
        if is_certain or (not service.host_ids and vendor and _looks_exchanged(vendor, product)):
            why = "the host's card has them exchanged" if is_certain else f"{product} is a vendor"
            yield entry_diagnostic(
                "WC235", value.at_value((*path, "vendor_id")),
                f"vendor_id and product_id seem to be exchanged: {why}",
                "Write the vendor's id as vendor_id, the product's as product_id.",
                _exchange(value, path, vendor, product) if is_certain else (),
                None if is_certain else Severity.WARNING,
            )  # fmt: skip


def _looks_exchanged(vendor: str, product: str) -> bool:
    return product in _VENDORS and vendor not in _VENDORS


def _exchange(value: Value, path: Path, vendor: str, product: str) -> tuple[TextEdit, ...]:
    # Only whole ids: nova would refuse a shorter one in its new place as well.
    if len(vendor) != 4 or len(product) != 4:
        return ()
    return (
        *value.replaced((*path, "vendor_id"), product),
        *value.replaced((*path, "product_id"), vendor),
    )


def is_exchanged(
    service: Service, ids: tuple[str, str], host_ids: frozenset[tuple[str, str]]
) -> bool:
    """Whether ids of an alias are on a host the other way round, and `check_ids` says so."""
    vendor, product = ids
    if (product, vendor) not in host_ids or ids in host_ids:
        return False
    return bool(service.facts) or _looks_exchanged(vendor, product)


# No option of nova helps with a domain that nova cannot read.
WITHOUT_VMD = "Switch off VMD for this port in the firmware, or keep the card for the host."


def check_nothing(service: Service) -> Iterator[Diagnostic]:
    """A device_spec that matches no device of any host."""
    if not service.facts:
        return
    matching = {id(spec) for given in service.given for spec in given.specs}
    for read in service.specs:
        # The facts do not tell whose function an interface is, so a devname is not checked.
        if read.spec is None or read.spec.devname or id(read) in matching:
            continue
        # Ids that a host has the other way round are WC235.
        if (read.spec.product_id, read.spec.vendor_id) not in service.host_ids:
            why, fix = _why(service, read.spec)
            names = [facts.name for facts in service.facts]
            hosts = names[0] if len(names) == 1 else f"any of {len(names)} hosts"
            yield entry_diagnostic(
                "WC246", read.value.at_value(read.path), f"matches nothing on {hosts}: {why}", fix
            )


_LSPCI = "Write the ids and the address as lspci -Dnn prints them on the host."


def _why(service: Service, spec: Spec) -> tuple[str, str]:
    """What is nearest, why it does not match, and what to do."""
    devices = [device for facts in service.facts for device in facts.devices]
    of_vendor = [device for device in devices if spec.vendor_id in ("*", device.vendor_id)]
    if not of_vendor:
        return f"no device of the host has the vendor {spec.vendor_id}", _LSPCI
    of_ids = [device for device in of_vendor if spec.product_id in ("*", device.product_id)]
    if not of_ids:
        ids = sorted({f"{device.vendor_id}:{device.product_id}" for device in of_vendor})
        return f"of the vendor {spec.vendor_id} it has {listed(ids)}", _LSPCI
    return _why_not_of_ids(spec, of_ids)


def _why_not_of_ids(spec: Spec, devices: list[Device]) -> tuple[str, str]:
    """Why devices with the right ids do not match."""
    if (spec.vendor_id, spec.product_id) == ("*", "*"):
        return "no device of the host has this address", _LSPCI
    wrong, addresses = spec.why_not(devices[0]), [device.address for device in devices]
    if wrong is None:
        return "no device matches all of its keys", _LSPCI
    if wrong.key == "domain":
        problem = f"nova cannot read the address {addresses[0]}, its domain has over 16 bits"
        return problem, WITHOUT_VMD
    return f"with these ids it has {listed(addresses)}", _LSPCI


def counting(service: Service) -> Iterator[tuple[GivenDevice, Function, ReadSpec]]:
    """Every given device with its function, and the device_spec that counts for it."""
    functions = {
        (facts.name, str(function.address)): function
        for facts in service.facts
        for function in facts.host.functions
    }
    for given in service.given:
        yield given, functions[given.facts.name, given.device.address], given.specs[0]


def check_host_own(service: Service) -> Iterator[Diagnostic]:
    """Devices that belong to the host: its disk, its link, its remote console, its display."""
    seen: set[tuple[str, int]] = set()
    for given, function, spec in counting(service):
        for rule, message in _belongs(given.facts, function):
            # A device_spec for the whole host gets each rule once.
            if (rule, id(spec)) not in seen:
                seen.add((rule, id(spec)))
                yield entry_diagnostic(
                    rule, spec.value.at_value(spec.path),
                    f"gives {function.address} of {given.facts.name}, {message}",
                    "Name the cards by their address, or by ids that nothing else has.",
                )  # fmt: skip


def _belongs(facts: Facts, function: Function) -> Iterator[tuple[str, str]]:
    """The rules by which a function is the host's, and why it is."""
    uses = [use for use in facts.host.uses if use.address == str(function.address)]
    if uses:
        use = f"{uses[0].kind}: {uses[0].what}"
        yield "WC247", f"which the host itself uses ({use}): if a guest gets it, the host loses it"
    if is_bmc_display(function):
        display = "the display of the board's management controller"
        effect = "if a guest gets it, the host loses its remote console"
        yield "WC248", f"{function.ids}, {display}: {effect}"
    elif function.boot_vga:
        yield "WC249", "which shows the firmware's output and the console"


def check_never(service: Service) -> Iterator[Diagnostic]:
    """A device_spec whose devices all match an earlier one, which counts."""
    first = {id(given.specs[0]) for given in service.given}
    unused: dict[int, ReadSpec] = {}
    before: dict[int, dict[tuple[str, int], GivenDevice]] = {}
    for given in service.given:
        entry = given.specs[0].value.entry
        for spec in given.specs[1:]:
            if id(spec) not in first:
                unused[id(spec)] = spec
                before.setdefault(id(spec), {}).setdefault((entry.path, entry.line), given)
    for key, spec in unused.items():
        lines = [f"{path}:{line}" for path, line in sorted(before[key])]
        example = next(iter(before[key].values())).device.address
        gives = "gives" if len(lines) == 1 else "together give"
        yield entry_diagnostic(
            "WC251", spec.value.at_value(spec.path),
            f"{listed(lines)} {gives} all devices that this one matches (for example {example}), "
            "and nova uses the first device_spec that matches, with its tags",
            "Put the more specific one first, or delete it.",
        )  # fmt: skip


def check_reported(service: Service) -> Iterator[Diagnostic]:
    """What nova-compute cannot report to Placement, or cannot give at the same time."""
    named = next((read for read in service.specs if read.spec and read.spec.devname), None)
    if named is not None and service.rules.report_in_placement:
        yield entry_diagnostic(
            "WC255", named.value.at_value((*named.path, "devname")),
            "a device_spec by devname cannot be reported to Placement: nova-compute does not start",
            "Name the device by its address.",
        )  # fmt: skip
        return
    for facts in service.hosts:
        # Devices that no device_spec gives are not reported either.
        on_host = [given for given in service.given if given.facts is facts]
        yield from _refused_by_placement(service, facts.name, on_host) or _both_given(on_host)


def _refused_by_placement(
    service: Service, host: str, on_host: list[GivenDevice]
) -> list[Diagnostic]:
    """Why nova-compute cannot report what it gives on a host."""
    specs = [read.spec for read in service.specs if read.spec is not None]
    try:
        providers_of(host, [given.device for given in on_host], specs, service.rules)
    except PlacementError as error:
        named = [given for given in on_host if given.device.address in error.reason]
        spec = (named or on_host)[0].specs[0]
        if error.kind == "not-text":
            return [_not_text(service, spec, error)]
        return [entry_diagnostic(
            "WC255", spec.value.at_value(spec.path),
            f"{error.reason}: nova-compute on {host} does not start",
            "Give either the PF or its VFs, the VFs of one PF under the same tags.",
        )]  # fmt: skip
    return []


def _not_text(service: Service, spec: ReadSpec, error: PlacementError) -> Diagnostic:
    """A tag that nova reads as one text, and that is a list or something else."""
    bad = next((read for read in service.specs if isinstance(read.conf.get(error.key), list)), spec)
    names = bad.conf.get(error.key)
    text = ",".join(map(str, names)) if isinstance(names, list) else ""
    path = (*bad.path, error.key)
    return entry_diagnostic(
        "WC255", bad.value.at_value(path), f"{error.reason}: nova-compute does not start",
        f'Write one text, with commas between several: "{error.key}": "{text or "…"}"',
        bad.value.replaced(path, text) if text else (),
    )  # fmt: skip


def _both_given(on_host: list[GivenDevice]) -> Iterator[Diagnostic]:
    """Without Placement nova accepts both, and a PF whose VF is in use cannot be given any more."""
    addresses = {given.device.address for given in on_host}
    for given in on_host:
        parent = given.device.parent_addr
        if parent in addresses:
            spec = given.specs[0]
            yield entry_diagnostic(
                "WC255", spec.value.at_value(spec.path),
                f"gives the VF {given.device.address} of {given.facts.name}, and its PF {parent} "
                "is given too: if a server has one of them, no server can get the other",
                "Give either the PF or its VFs.", severity=Severity.WARNING,
            )  # fmt: skip
            return


def check_drivers(service: Service) -> Iterator[Diagnostic]:
    """`managed` false and `live_migratable` need a driver that is already bound."""
    if not service.rules.has(Capability.LIVE_MIGRATABLE):
        return
    seen: set[tuple[str, int]] = set()
    for given, function, spec in counting(service):
        for diagnostic in _of_driver(given, function, spec):
            if (diagnostic.finding.rule, id(spec)) not in seen:
                seen.add((diagnostic.finding.rule, id(spec)))
                yield diagnostic


def _of_driver(given: GivenDevice, function: Function, spec: ReadSpec) -> Iterator[Diagnostic]:
    tags = spec.spec.tags if spec.spec else {}
    bound = f"{function.address} of {given.facts.name} has {function.driver or 'no driver'} bound"
    # On the VFs of vGPU cards NVIDIA's own driver can migrate (nova, virtual-gpu documentation).
    is_vgpu = function.driver == "nvidia" and function.physfn is not None
    transfers = is_vgpu or (function.is_on_vfio and function.driver != VFIO_PCI)
    if tags.get("managed") == "false" and not (transfers or function.is_on_vfio):
        yield entry_diagnostic(
            "WC256", spec.value.at_value((*spec.path, "managed")),
            f"{bound}, and with managed false libvirt binds nothing: the server does not start",
            "Bind vfio-pci or the variant driver at boot, or remove managed.",
        )  # fmt: skip
    if tags.get("live_migratable") == "true" and not transfers:
        yield entry_diagnostic(
            "WC257", spec.value.at_value((*spec.path, "live_migratable")),
            f"{bound}, which cannot transfer its state: a live migration fails",
            "Bind the vendor's variant of vfio-pci, with managed set to false.",
        )  # fmt: skip


def check_domains(service: Service) -> Iterator[Diagnostic]:
    """Cards in a PCI domain of more than 16 bits, which nova ignores."""
    for facts in service.hosts:
        wide = [card for card in facts.host.cards if card.functions[0].address.in_wide_domain]
        spec = next((read for read in service.specs if read.spec is not None), None)
        if wide and spec is not None:
            yield entry_diagnostic(
                "WC258", spec.value.at_value(spec.path),
                f"{facts.name} has {listed([card.slot for card in wide])} in a domain above ffff: "
                "no device_spec can name it, and nova ignores it",
                WITHOUT_VMD,
            )  # fmt: skip


def devices_given(service: Service) -> Iterator[tuple[Facts, Device, ReadSpec]]:
    """Every device that a service gives, under the device_spec that counts."""
    for given in service.given:
        yield given.facts, given.device, given.specs[0]
