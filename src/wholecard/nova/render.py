"""nova.conf for cards: one drop-in for each role, holding only what that role reads.

| option | api | scheduler | conductor | compute |
| --- | --- | --- | --- | --- |
| `[pci] alias` | yes | | | yes |
| `[pci] device_spec`, `report_in_placement` | | | | yes |
| `[filter_scheduler] enabled_filters` | | yes | | |
| `[filter_scheduler] pci_in_placement` | yes | yes | yes | |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from wholecard.core import UsageError
from wholecard.nova.cards import PciAlias, PciDeviceSpec
from wholecard.nova.filters import with_pci_filter

Role = Literal["api", "scheduler", "conductor", "compute"]
ROLES: tuple[Role, ...] = get_args(Role)


@dataclass(frozen=True)
class PciConfig:
    """What nova has to know about the cards of a cloud.

    `device_specs` belong to one kind of host, `aliases` to the whole cloud. `pci_in_placement`
    may be true only once every compute reports (`report_in_placement`), and a host that reports
    cannot stop reporting.
    """

    device_specs: tuple[PciDeviceSpec, ...]
    aliases: tuple[PciAlias, ...]
    report_in_placement: bool = True
    pci_in_placement: bool = True


def render(role: Role, pci: PciConfig, current_filters: Sequence[str]) -> str:
    """The text of a file for `nova.conf.d` of one role of nova 34 (2026.2).

    `current_filters` is what nova-scheduler has now (`read_enabled_filters`); only the role
    `scheduler` looks at it. nova collects the repeated options of all its files, but of
    `enabled_filters` it takes the last, so the list is written out in full.

    Raises UsageError for an unknown role and for what nova itself refuses at start: two specs of
    one alias name, or placement used and not reported to.
    """
    _check(pci)
    blocks = {
        "api": lambda: [_pci(_aliases(pci)), _filter_scheduler(_in_placement(pci))],
        "scheduler": lambda: [_filter_scheduler(_filters(current_filters) + _in_placement(pci))],
        "conductor": lambda: [_filter_scheduler(_in_placement(pci))],
        "compute": lambda: [_pci(_device_specs(pci) + _aliases(pci) + _report(pci))],
    }
    if role not in blocks:
        raise UsageError(
            f"nova has no role {role!r}", resolution=f"Choose one of {', '.join(ROLES)}."
        )
    header = (
        f"# Written by wholecard for nova-{role} (2026.2, nova 34).\n"
        "# Changes made here by hand are lost when it is rendered again.\n"
    )
    return "\n".join([header, *blocks[role]()])


def _check(pci: PciConfig) -> None:
    names = [alias.name for alias in pci.aliases]
    twice = sorted({name for name in names if names.count(name) > 1})
    if pci.pci_in_placement and twice:
        raise UsageError(
            f"nova takes one spec per alias: {', '.join(twice)} has several",
            "nova/pci/request.py refuses it when pci_in_placement is set.",
            "Give the device_specs one resource_class and let a single alias name it.",
        )
    if pci.pci_in_placement and not pci.report_in_placement:
        raise UsageError(
            "pci_in_placement needs report_in_placement",
            "The scheduler would look for cards that no compute has reported.",
            "Set report_in_placement on every compute first.",
        )


def _pci(lines: list[str]) -> str:
    return "\n".join(["[pci]", *lines, ""])


def _filter_scheduler(lines: list[str]) -> str:
    return "\n".join(["[filter_scheduler]", *lines, ""])


def _device_specs(pci: PciConfig) -> list[str]:
    return [
        "# The functions that this host may give to servers; the companions of a card are bound",
        "# to vfio-pci and stay out of this list, or nova would hand them out one by one.",
        *(f"device_spec = {_escaped(spec.to_json())}" for spec in pci.device_specs),
    ]


def _aliases(pci: PciConfig) -> list[str]:
    return [
        "# What a flavor may ask for with pci_passthrough:alias. nova-api translates it when a",
        "# server is created, nova-compute when one is moved or resized: both need the same lines.",
        *(f"alias = {_escaped(alias.to_json())}" for alias in pci.aliases),
    ]


def _report(pci: PciConfig) -> list[str]:
    return [
        "# Each function becomes a resource provider in Placement. It cannot be turned off again.",
        f"report_in_placement = {_boolean(pci.report_in_placement)}",
    ]


def _filters(current: Sequence[str]) -> list[str]:
    return [
        "# The filters that stood here before, in their order, with PciPassthroughFilter at the",
        "# end: without it a server that asks for a card is sent to hosts that have none free.",
        f"enabled_filters = {','.join(with_pci_filter(current))}",
    ]


def _in_placement(pci: PciConfig) -> list[str]:
    return [
        "# Cards are chosen and claimed in Placement. nova-api, nova-scheduler and nova-conductor",
        "# must agree on it, and every compute must report its cards before.",
        f"pci_in_placement = {_boolean(pci.pci_in_placement)}",
    ]


def _boolean(value: bool) -> str:
    return "true" if value else "false"


def _escaped(value: str) -> str:
    """oslo.config replaces `$name` by another option's value; `$$` is a plain dollar sign."""
    return value.replace("$", "$$")
