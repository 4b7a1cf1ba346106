"""`device_spec` against what the hosts have."""

from __future__ import annotations

from collections.abc import Iterator

from wholecard.core import Severity
from wholecard.core.capabilities import Capability
from wholecard.host.facts.host import KernelUse
from wholecard.nova.lint.diagnostic import ERROR, WARNING, Diagnostic, TextEdit, remark
from wholecard.nova.lint.service import Facts, GivenDevice, ReadSpec, Service
from wholecard.nova.match import Device, PlacementError, Spec, providers_of
from wholecard.pci import Card, Function, is_bmc_display

# linux: drivers/vfio/pci/*/Kconfig. Variant drivers carry a function's state from host to host.
_VARIANTS = frozenset({
    "mlx5_vfio_pci", "mlx5-vfio-pci", "hisi_acc_vfio_pci", "hisi-acc-vfio-pci", "pds_vfio_pci",
    "pds-vfio-pci", "virtiovf_pci", "virtio-vfio-pci", "nvgrace_gpu_vfio_pci",
    "nvgrace-gpu-vfio-pci", "qat_vfio_pci", "qat-vfio-pci", "xe_vfio_pci", "xe-vfio-pci",
})  # fmt: skip
# Vendors of what is given away: GPUs, network, disks.
_VENDORS = frozenset({"10de", "1002", "1022", "8086", "15b3", "14e4", "144d", "1af4", "1ed5"})


def check_ids(service: Service) -> Iterator[Diagnostic]:
    """Vendor and product exchanged: the host has them the other way, or the vendor's is known."""
    there = {
        (device.vendor_id, device.product_id) for facts in service.facts for device in facts.devices
    }
    found = [(each.value, each.path, each.conf) for each in service.specs]
    found += [(each.value, (), each.conf) for each in service.aliases]
    for value, path, conf in found:
        vendor, product = (str(conf.get(key, "")).lower() for key in ("vendor_id", "product_id"))
        if not vendor or not product or (vendor, product) in there or vendor == product:
            continue
        swapped = (product, vendor) in there
        if not swapped and (there or product not in _VENDORS or vendor in _VENDORS):
            continue
        mend: tuple[TextEdit, ...] = ()
        if swapped and len(vendor) == len(product) == 4:
            mend = (
                *value.replaced((*path, "vendor_id"), product),
                *value.replaced((*path, "product_id"), vendor),
            )
        why = "the host has them the other way" if swapped else f"{product} is a vendor"
        yield remark(
            "WC235", ERROR if swapped else WARNING, value.at_value((*path, "vendor_id")),
            f"vendor_id and product_id seem to be exchanged: {why}",
            "Write the vendor's id as vendor_id, the product's as product_id.", mend,
        )  # fmt: skip


def is_exchanged(service: Service, ids: tuple[str, str], there: frozenset[tuple[str, str]]) -> bool:
    """Whether ids of an alias are on a host the other way round, and `check_ids` says so."""
    vendor, product = ids
    if (product, vendor) not in there or ids in there:
        return False
    return bool(service.facts) or (product in _VENDORS and vendor not in _VENDORS)


# What nova cannot address, no line of nova.conf mends.
WITHOUT_VMD = "Switch off VMD for this port in the firmware, or leave the card to the host."


def check_nothing(service: Service) -> Iterator[Diagnostic]:
    """A device_spec that matches no device of any host."""
    if not service.facts:
        return
    used = {id(spec) for given in service.given for spec in given.specs}
    for spec in service.specs:
        # Whose function an interface is the facts do not tell.
        if spec.spec is None or spec.spec.devname or id(spec) in used:
            continue
        if not _is_swapped(service, spec):
            why, fix = _why(service, spec.spec)
            yield remark(
                "WC246", ERROR, spec.value.at_value(spec.path),
                f"matches nothing on {_names(service)}: {why}", fix,
            )  # fmt: skip


def _is_swapped(service: Service, spec: ReadSpec) -> bool:
    """Whether the ids are there the other way round, which is said as such."""
    ids = (spec.spec.product_id, spec.spec.vendor_id) if spec.spec else ("", "")
    return any(
        (device.vendor_id, device.product_id) == ids
        for facts in service.facts
        for device in facts.devices
    )


def _names(service: Service) -> str:
    names = [facts.name for facts in service.facts]
    return names[0] if len(names) == 1 else f"any of {len(names)} hosts"


_LSPCI = "Write the ids and the address as lspci -Dnn prints them there."


def _why(service: Service, spec: Spec) -> tuple[str, str]:
    """What is nearest, why it does not match, and what to do."""
    devices = [device for facts in service.facts for device in facts.devices]
    vendor = [each for each in devices if spec.vendor_id in ("*", each.vendor_id)]
    if not vendor:
        return f"no device there has the vendor {spec.vendor_id}", _LSPCI
    same = [each for each in vendor if spec.product_id in ("*", each.product_id)]
    if not same:
        ids = sorted({f"{each.vendor_id}:{each.product_id}" for each in vendor})
        return f"of the vendor {spec.vendor_id} there is {_some(ids)}", _LSPCI
    if (spec.vendor_id, spec.product_id) == ("*", "*"):
        return "no device there has this address", _LSPCI
    wrong = spec.why_not(same[0])
    if wrong and wrong.key == "domain":
        said = f"nova cannot read the address {same[0].address}, whose domain has more than 16 bits"
        return said, WITHOUT_VMD
    addresses = [each.address for each in same]
    return f"with these ids there is {_some(addresses)}" if wrong else "nothing fits", _LSPCI


def _some(texts: list[str], most: int = 4) -> str:
    return ", ".join(texts[:most]) + (f" and {len(texts) - most} more" if len(texts) > most else "")


def _counting(service: Service) -> Iterator[tuple[GivenDevice, Function, ReadSpec]]:
    """Every given device with its function, and the device_spec that counts."""
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
    for given, function, spec in _counting(service):
        for rule, severity, message, fix in _belongs(given.facts, function):
            # Of a spec that takes the whole host each thing is said once.
            if (rule, id(spec)) not in seen:
                seen.add((rule, id(spec)))
                yield remark(
                    rule, severity, spec.value.at_value(spec.path),
                    f"gives {function.address} of {given.facts.name}, {message}", fix,
                )  # fmt: skip


_NARROW = "Name the cards by their address, or by ids that nothing else has."


def _belongs(facts: Facts, function: Function) -> Iterator[tuple[str, Severity, str, str]]:
    uses = [use for use in facts.host.uses if use.address == str(function.address)]
    if uses:
        yield (
            "WC247", ERROR,
            f"which the host itself uses ({_use(uses[0])}): nova takes it away from the host",
            _NARROW,
        )  # fmt: skip
    if is_bmc_display(function):
        yield (
            "WC248", ERROR,
            f"{function.ids}, the display of the board's management controller: a tenant gets it, "
            "and the remote console goes dark",
            _NARROW,
        )  # fmt: skip
    elif function.boot_vga:
        yield (
            "WC249", WARNING, "on which the firmware and the console draw", _NARROW,
        )  # fmt: skip


def _use(use: KernelUse) -> str:
    return f"{use.kind}: {use.what}"


def check_companions(service: Service) -> Iterator[Diagnostic]:
    """Functions of a card that are no GPU, handed out by themselves."""
    for spec, slots in _by_spec(service).items():
        others = [
            function
            for card, functions in slots
            for function in functions
            if card.gpu and not function.is_display
        ]
        alone = [card for card, functions in slots if not any(f.is_display for f in functions)]
        if not others or (alone and len(alone) == len(slots)):
            # A device_spec for companions alone was meant so.
            continue
        read = spec.read
        named = [f"{each.address} ({each.class_name or each.class_code})" for each in others]
        yield remark(
            "WC250", WARNING, read.value.at_value(read.path),
            f"gives {_some(named)} besides the GPU: nova hands out each by itself, "
            "and cannot keep a card together",
            "Name the GPU alone by its product_id or its function (.0), and bind the others to "
            "vfio-pci.",
        )  # fmt: skip


class _Key:
    """A device_spec as a key of a mapping: the very one."""

    def __init__(self, read: ReadSpec) -> None:
        self.read = read

    def __hash__(self) -> int:
        return id(self.read)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and other.read is self.read


def _by_spec(service: Service) -> dict[_Key, list[tuple[Card, list[Function]]]]:
    found: dict[_Key, dict[tuple[str, str], tuple[Card, list[Function]]]] = {}
    for given, function, spec in _counting(service):
        card = given.facts.host.card_of(function.address)
        if card is not None and function.physfn is None:
            cards = found.setdefault(_Key(spec), {})
            cards.setdefault((given.facts.name, card.slot), (card, []))[1].append(function)
    return {key: list(cards.values()) for key, cards in found.items()}


def check_never(service: Service) -> Iterator[Diagnostic]:
    """A device_spec all of whose devices earlier ones give."""
    first = {id(given.specs[0]) for given in service.given}
    never: dict[int, ReadSpec] = {}
    before: dict[int, dict[tuple[str, int], GivenDevice]] = {}
    for given in service.given:
        entry = given.specs[0].value.entry
        for spec in given.specs[1:]:
            if id(spec) not in first:
                never[id(spec)] = spec
                before.setdefault(id(spec), {}).setdefault((entry.path, entry.line), given)
    for key, spec in never.items():
        lines = [f"{path}:{line}" for path, line in sorted(before[key])]
        example = next(iter(before[key].values())).device.address
        gives = "gives" if len(lines) == 1 else "together give"
        yield remark(
            "WC251", WARNING, spec.value.at_value(spec.path),
            f"{_some(lines)} {gives} all that this one matches ({example} for one), and the first "
            "one that matches counts with its tags",
            "Put the more exact one first, or delete it.",
        )  # fmt: skip


def check_reported(service: Service) -> Iterator[Diagnostic]:
    """What nova-compute cannot report to Placement, or cannot give at once."""
    named = next((each for each in service.specs if each.spec and each.spec.devname), None)
    if named is not None and service.rules.report_in_placement:
        yield remark(
            "WC255", ERROR, named.value.at_value((*named.path, "devname")),
            "a device_spec by devname cannot be reported to Placement: nova-compute does not start",
            "Name the device by its address.",
        )  # fmt: skip
        return
    specs = [each.spec for each in service.specs if each.spec is not None]
    for facts in service.hosts:
        # What no device_spec gives is not reported either.
        devices = [each.device for each in service.given if each.facts is facts]
        try:
            providers_of(facts.name, devices, specs, service.rules)
        except PlacementError as error:
            spec = _named_in(service, facts, error)
            if spec is not None:
                yield remark(
                    "WC255", ERROR, spec.value.at_value(spec.path),
                    f"{error.reason}: nova-compute on {facts.name} does not start",
                    "Give either the PF or its VFs, the VFs of one PF under the same tags.",
                )  # fmt: skip
        else:
            yield from _both_given(service, facts)


def _named_in(service: Service, facts: Facts, error: PlacementError) -> ReadSpec | None:
    """The device_spec that gives the device of which the error speaks."""
    mine = [given for given in service.given if given.facts is facts]
    named = [given for given in mine if given.device.address in error.reason]
    found = (named or mine)[:1]
    return found[0].specs[0] if found else None


def _both_given(service: Service, facts: Facts) -> Iterator[Diagnostic]:
    """Without Placement nova takes both, and a PF whose VF is taken cannot be given any more."""
    given = {each.device.address: each for each in service.given if each.facts is facts}
    for each in given.values():
        parent = each.device.parent_addr
        if parent in given:
            spec = each.specs[0]
            yield remark(
                "WC255", WARNING, spec.value.at_value(spec.path),
                f"gives the VF {each.device.address} of {facts.name}, and its PF {parent} is given "
                "too: as soon as one is taken the other cannot be",
                "Give either the PF or its VFs.",
            )  # fmt: skip
            return


def check_drivers(service: Service) -> Iterator[Diagnostic]:
    """`managed` and `live_migratable` need a driver that is bound already."""
    if not service.rules.has(Capability.LIVE_MIGRATABLE):
        return
    seen: set[tuple[str, int]] = set()
    for given, function, spec in _counting(service):
        tags = spec.spec.tags if spec.spec else {}
        for rule, remark_ in _of_driver(given, function, spec, dict(tags)):
            if (rule, id(spec)) not in seen:
                seen.add((rule, id(spec)))
                yield remark_


def _of_driver(
    given: GivenDevice, function: Function, spec: ReadSpec, tags: dict[str, object]
) -> Iterator[tuple[str, Diagnostic]]:
    driver = function.driver or "no driver"
    if tags.get("managed") == "false" and not _is_vfio(function):
        yield "WC256", remark(
            "WC256", ERROR, spec.value.at_value((*spec.path, "managed")),
            f"{function.address} of {given.facts.name} has {driver} bound, and with managed false "
            "libvirt binds nothing: the server does not start",
            "Bind vfio-pci or the variant driver at boot, or leave managed away.",
        )  # fmt: skip
    if tags.get("live_migratable") == "true" and not _is_variant(function):
        yield "WC257", remark(
            "WC257", WARNING, spec.value.at_value((*spec.path, "live_migratable")),
            f"{function.address} of {given.facts.name} has {driver} bound, which cannot carry its "
            "state: a live migration fails",
            "Bind the vendor's variant of vfio-pci, with managed set to false.",
        )  # fmt: skip


def _is_vfio(function: Function) -> bool:
    return function.driver == "vfio-pci" or _is_variant(function)


def _is_variant(function: Function) -> bool:
    # NVIDIA's own driver is one on the VFs of its vGPU cards.
    is_vgpu = function.driver == "nvidia" and function.physfn is not None
    return is_vgpu or function.driver in _VARIANTS


def check_domains(service: Service) -> Iterator[Diagnostic]:
    """Cards in a PCI domain of more than 16 bits, which nova passes over."""
    for facts in service.hosts:
        wide = [card for card in facts.host.cards if card.functions[0].address.in_wide_domain]
        spec = next((each for each in service.specs if each.spec is not None), None)
        if wide and spec is not None:
            yield remark(
                "WC258", WARNING, spec.value.at_value(spec.path),
                f"{facts.name} has {_some([card.slot for card in wide])} in a domain above ffff: "
                "no device_spec can name it, and nova passes over it",
                WITHOUT_VMD,
            )  # fmt: skip


def devices_given(service: Service) -> Iterator[tuple[Facts, Device, ReadSpec]]:
    """Every device that a service gives, under the device_spec that counts."""
    for given in service.given:
        yield given.facts, given.device, given.specs[0]
