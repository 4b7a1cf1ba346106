"""Which functions of which host a site gives to servers, and as which type nova sees them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from wholecard.host.facts.host import Host
from wholecard.nova.desired.unsupported import unsupported
from wholecard.nova.match import devices_of
from wholecard.pci import Function, is_bmc_display
from wholecard.pci.device_types import DeviceType
from wholecard.site.card_matching import functions_of, matched_functions
from wholecard.site.model import CardKind, Site


@dataclass(frozen=True)
class OmittedFunction:
    """A function that a kind selects and that is not given: its address, and why."""

    address: str
    reason: str


@dataclass(frozen=True)
class SelectedDevices:
    """What a kind gives on a host: its functions by address, and those that it must not give."""

    kind: str
    host: str
    functions: tuple[Function, ...]
    omitted: tuple[OmittedFunction, ...] = ()


def select_devices(site: Site, facts: Mapping[str, Host]) -> tuple[SelectedDevices, ...]:
    """What each kind gives on each host whose facts are known, in the site's order.

    The displays of management controllers and the boot display stay with the host. Raises
    UnsupportedError where a kind has another device_type than its functions have, and where a kind
    matches functions and gives none of them on any host.
    """
    site = site.for_servers
    selected = tuple(
        _on_host(name, kind, host, facts[host])
        for host in facts
        for name, kind in site.cards.items()
    )
    for name, kind in site.cards.items():
        of_kind = [devices for devices in selected if devices.kind == name]
        if not any(devices.functions for devices in of_kind):
            _refuse_empty(name, kind, of_kind, facts)
    return selected


def _on_host(name: str, kind: CardKind, host_name: str, host: Host) -> SelectedDevices:
    matching = functions_of(kind, host_name, host)
    reasons = {function.address: _reason_to_omit(function, host) for function in matching}
    functions = tuple(function for function in matching if not reasons[function.address])
    for function in functions:
        # nova/pci/devspec.py, MAX_DOMAIN: it cannot read the address, so no device_spec matches.
        if function.address.in_wide_domain:
            raise unsupported(
                ("cards", name),
                f"nova cannot give {function.address} on {host_name} to a server",
                "nova ignores functions in a PCI domain above ffff, for example behind Intel VMD.",
                "Turn VMD off for this slot in the firmware setup, or remove the card from the "
                "site file.",
            )
    _check_type(name, kind, host_name, functions)
    omitted = [OmittedFunction(str(each), reason) for each, reason in reasons.items() if reason]
    return SelectedDevices(name, host_name, functions, tuple(omitted))


def _reason_to_omit(function: Function, host: Host) -> str:
    """Why a function must not be given, empty where it may be."""
    if is_bmc_display(function):
        return "it is the display of the BMC, which shows the host's remote console"
    # Given to a guest, the boot display takes the host's console with it.
    card = host.card_of(function.address)
    if function.boot_vga or (card is not None and card.boot_display):
        return "it is the host's boot display"
    return ""


def device_type_of(function: Function) -> DeviceType:
    """The type that nova reports for a function."""
    device_type = next(iter(devices_of([function]))).dev_type
    if device_type == "vdpa":
        raise LookupError("a function's sysfs does not show vDPA")
    return device_type


def _check_type(name: str, kind: CardKind, host: str, functions: tuple[Function, ...]) -> None:
    if kind.device_type == "auto":
        return
    for function in functions:
        if device_type_of(function) != kind.device_type:
            raise unsupported(
                ("cards", name),
                f"cards.{name}: nova sees {function.address} on {host} as "
                f"{device_type_of(function)}, not {kind.device_type}",
                "The host's facts show this; with this device_type no server would get the card.",
                "Write device_type: auto, or inspect the host again if SR-IOV was turned on or off "
                "in its firmware setup.",
            )


def _refuse_empty(
    name: str, kind: CardKind, of_kind: list[SelectedDevices], facts: Mapping[str, Host]
) -> None:
    omitted = [(devices.host, function) for devices in of_kind for function in devices.omitted]
    if omitted:
        host, first = omitted[0]
        raise unsupported(
            ("cards", name),
            f"cards.{name} gives nothing: {first.address} on {host} stays with the host",
            f"It is skipped: {first.reason}.",
            "Make the BMC's display the primary one in the firmware setup, or match another card.",
        )
    refuse_other_function(name, kind, facts)


def refuse_other_function(name: str, kind: CardKind, facts: Mapping[str, Host]) -> None:
    """Raises UnsupportedError where a kind matches functions, and none that it may give."""
    matched = [(name, each) for name in facts
               for each in matched_functions(kind, name, facts[name])]  # fmt: skip
    if matched and not any(functions_of(kind, host, facts[host]) for host in facts):
        host, function = matched[0]
        if kind.parts is not None and not kind.extra_function:
            raise unsupported(
                ("cards", name),
                f"cards.{name} gives nothing: {function.address} {function.ids} on {host} is not a "
                "display or accelerator",
                "Only those are given in parts, and other functions in VFs where the kind says so.",
                "Match a GPU, or for VFs of this function write extra_function: true.",
            )
        is_a = "the card's main function" if kind.extra_function else "not a display or accelerator"
        change = "remove" if kind.extra_function else "write"
        raise unsupported(
            ("cards", name),
            f"cards.{name} gives nothing: {function.address} {function.ids} on {host} is {is_a}",
            "nova gives a card by its display or accelerator function; the card's other functions "
            "are bound to vfio-pci and are not in device_spec.",
            f"If guests should get this function, {change} extra_function: true.",
        )


def refuse_pf_with_vf(selected: Iterable[SelectedDevices]) -> None:
    """Raises UnsupportedError for a PF that is given together with a VF of it.

    Source: nova, nova/compute/pci_placement_translator.py, `add_child` and `add_parent`.
    """
    selected = tuple(selected)
    kinds = {
        (devices.host, function.address): devices.kind
        for devices in selected
        for function in devices.functions
    }
    for devices in selected:
        for function in devices.functions:
            if function.physfn is not None and (devices.host, function.physfn) in kinds:
                pf_kind = kinds[devices.host, function.physfn]
                raise unsupported(
                    ("cards", devices.kind),
                    f"cards.{pf_kind} gives {function.physfn} on {devices.host}, and "
                    f"cards.{devices.kind} gives its VF {function.address}",
                    "nova-compute refuses to report a PF together with its VFs.",
                    "Let only one of the two kinds match the card.",
                )


def hosts_without_facts(site: Site, facts: Mapping[str, Host]) -> Iterator[str]:
    """The site's hosts whose facts are not known; one without a name for a site without hosts."""
    if not site.hosts:
        yield ""
    for name in site.hosts:
        if name not in facts:
            yield name
