"""All checks of the audit: the views that each needs, and the rules that it reports."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from wholecard.audit.checks import (
    allocations,
    cards,
    devices,
    drivers,
    holders,
    libvirt,
    mdevs,
    numa,
    providers,
)
from wholecard.audit.checks.host_case import HostCase
from wholecard.audit.record import Disagreement, View

_SYSFS, _LIBVIRT, _NOVA, _PLACEMENT = View.SYSFS, View.LIBVIRT, View.NOVA, View.PLACEMENT


@dataclass(frozen=True)
class Check:
    """A check of one host: it runs where the views that it needs were read."""

    views: tuple[View, ...]
    rules: tuple[str, ...]
    run: Callable[[HostCase], Iterator[Disagreement]]


CHECKS = (
    Check((_SYSFS, _NOVA), ("WC510",), devices.gone),
    Check((_SYSFS, _NOVA), ("WC533",), devices.other_device),
    Check((_SYSFS, _NOVA), ("WC531",), numa.numa_node),
    Check((_NOVA,), ("WC516",), devices.contradictions),
    Check((_NOVA,), ("WC517",), devices.unselected),
    Check((_NOVA,), ("WC511", "WC515", "WC519"), holders.holders),
    Check((_NOVA,), ("WC518",), cards.split),
    Check((_LIBVIRT, _NOVA), ("WC512",), libvirt.domains_without_device),
    Check((_LIBVIRT, _NOVA), ("WC513", "WC514", "WC542"), libvirt.devices_of_domains),
    Check((_LIBVIRT,), ("WC541",), libvirt.mdevs_missing),
    Check((_PLACEMENT,), ("WC520", "WC521", "WC522"), allocations.consumers),
    Check((_NOVA, _PLACEMENT), ("WC514", "WC523", "WC524"), allocations.devices),
    Check((_LIBVIRT, _PLACEMENT), ("WC523",), allocations.vgpus),
    Check((_LIBVIRT, _PLACEMENT), ("WC523",), allocations.domains_without_rows),
    Check((_LIBVIRT, _PLACEMENT), ("WC523", "WC534"), mdevs.parents),
    Check((_SYSFS, _PLACEMENT), ("WC535",), mdevs.without_parent),
    Check((_NOVA, _PLACEMENT), ("WC525", "WC526"), providers.without_row),
    Check((_NOVA, _PLACEMENT), ("WC527",), providers.without_provider),
    Check((_NOVA, _PLACEMENT), ("WC528", "WC529", "WC530", "WC532"), providers.wrong),
    Check((_SYSFS, _NOVA), ("WC540",), drivers.drivers),
)
