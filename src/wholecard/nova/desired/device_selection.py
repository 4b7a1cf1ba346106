"""Which functions of which host a site gives, and as what nova sees them. Pure."""

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
    """A function that a kind means and that is not given: its address, and why."""

    address: str
    reason: str


@dataclass(frozen=True)
class SelectedDevices:
    """What a kind gives on a host: its functions by address, and what it means but may not give."""

    kind: str
    host: str
    functions: tuple[Function, ...]
    left_out: tuple[OmittedFunction, ...] = ()


def given(site: Site, facts: Mapping[str, Host]) -> tuple[SelectedDevices, ...]:
    """What each kind gives on each host whose facts are known, in the site's order.

    The displays of management controllers and the boot display stay the host's own. Raises
    UsageError where a kind says another type of device than its functions have, and where a kind
    matches something somewhere and gives nothing anywhere.
    """
    found = tuple(
        _on_host(name, kind, host, facts[host])
        for host in facts
        for name, kind in site.cards.items()
    )
    for name, kind in site.cards.items():
        of_kind = [each for each in found if each.kind == name]
        if not any(each.functions for each in of_kind):
            _refuse_empty(name, kind, of_kind, facts)
    return found


def _on_host(name: str, kind: CardKind, host_name: str, host: Host) -> SelectedDevices:
    meant = functions_of(kind, host_name, host)
    reasons = {each.address: _never(each, host) for each in meant}
    functions = tuple(each for each in meant if not reasons[each.address])
    for function in functions:
        if function.address.in_wide_domain:
            raise unsupported(
                ("cards", name),
                f"{function.address} on {host_name} cannot be given by nova",
                "nova passes over functions in a PCI domain above ffff, as behind Intel VMD.",
                "Turn VMD off for this slot in the firmware's setup, or leave the card out.",
            )
    _check_type(name, kind, host_name, functions)
    return SelectedDevices(
        name,
        host_name,
        functions,
        tuple(
            OmittedFunction(str(address), reason) for address, reason in reasons.items() if reason
        ),
    )


def _never(function: Function, host: Host) -> str:
    """Why a function is never given, empty where it may be."""
    if is_bmc_display(function):
        return "it is the board's own display, with the host's remote console"
    card = host.card_of(function.address)
    if function.boot_vga or (card is not None and card.boot_display):
        return "it is the host's boot display"
    return ""


def type_of(function: Function) -> DeviceType:
    """The type that nova reports for a function."""
    kind = next(iter(devices_of([function]))).dev_type
    if kind == "vdpa":
        raise LookupError("sysfs tells of no vDPA")
    return kind


def _check_type(name: str, kind: CardKind, host: str, functions: tuple[Function, ...]) -> None:
    if kind.device_type == "auto":
        return
    for function in functions:
        if type_of(function) != kind.device_type:
            raise unsupported(
                ("cards", name),
                f"cards.{name}: {function.address} on {host} is {type_of(function)} to nova, not "
                f"{kind.device_type}",
                "By the host's facts; no server would ever get it.",
                "Write device_type: auto, or inspect the host again if its firmware's setup "
                "(SR-IOV) has changed.",
            )


def _refuse_empty(
    name: str, kind: CardKind, of_kind: list[SelectedDevices], facts: Mapping[str, Host]
) -> None:
    left_out = [(each.host, one) for each in of_kind for one in each.left_out]
    if left_out:
        host, one = left_out[0]
        raise unsupported(
            ("cards", name),
            f"cards.{name} gives nothing: {one.address} on {host} stays the host's own",
            f"It is left out, for {one.reason}.",
            "Make the board's own display the primary one in the firmware's setup, or match "
            "another card.",
        )
    others = [(host, each) for host in facts for each in matched_functions(kind, host, facts[host])]
    if others:
        host, function = others[0]
        other = "a card's own function" if kind.companion else "no display or accelerator"
        raise unsupported(
            ("cards", name),
            f"cards.{name} gives nothing: {function.address} {function.ids} on {host} is {other}",
            "A card is given by its display or accelerator function; what else belongs to it is "
            "bound to vfio-pci and not listed.",
            f"{'Take companion: true away' if kind.companion else 'Write companion: true'} if "
            "this function is meant.",
        )


def refuse_parts(found: Iterable[SelectedDevices]) -> None:
    """Raises UndoableError for a card that is given whole and in parts: Placement takes one."""
    found = tuple(found)
    whole = {(each.host, one.address): each.kind for each in found for one in each.functions}
    for each in found:
        for one in each.functions:
            if one.physfn is not None and (each.host, one.physfn) in whole:
                raise unsupported(
                    ("cards", each.kind),
                    f"cards.{whole[each.host, one.physfn]} gives {one.physfn} on {each.host}, "
                    f"and cards.{each.kind} its VF {one.address}",
                    "nova-compute refuses to report a PF together with its VFs.",
                    "Match the card by one of the two kinds alone.",
                )


def hosts_without_facts(site: Site, facts: Mapping[str, Host]) -> Iterator[str]:
    """The site's hosts of which no facts are known; one without a name where it has no hosts."""
    if not site.hosts:
        yield ""
    for name in site.hosts:
        if name not in facts:
            yield name
