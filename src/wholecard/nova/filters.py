"""nova-scheduler's `enabled_filters`: what stands there, and what has to stand there for cards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wholecard.nova.effective import Values, read_values
from wholecard.nova.options import by_name

PCI_FILTER = "PciPassthroughFilter"
PCI_FILTER_CLASS = "nova.scheduler.filters.pci_passthrough_filter.PciPassthroughFilter"
ALL_FILTERS = "nova.scheduler.filters.all_filters"

# nova/conf/scheduler.py, the option's own default from each release on; the PCI filter is in none.
_OLDEST = (
    "RetryFilter", "AvailabilityZoneFilter", "RamFilter", "DiskFilter", "ComputeFilter",
    "ComputeCapabilitiesFilter", "ImagePropertiesFilter", "ServerGroupAntiAffinityFilter",
    "ServerGroupAffinityFilter",
)  # fmt: skip
_DROPPED: tuple[tuple[int, frozenset[str]], ...] = (
    (16, frozenset({"RamFilter", "DiskFilter"})),
    (20, frozenset({"RetryFilter"})),
    (24, frozenset({"AvailabilityZoneFilter"})),
)


def default_filters(major: int) -> tuple[str, ...]:
    """nova's own `enabled_filters` in that release."""
    gone = {name for since, names in _DROPPED if major >= since for name in names}
    return tuple(name for name in _OLDEST if name not in gone)


NOVA_DEFAULT_FILTERS = default_filters(34)


def read_enabled_filters(files: Sequence[Path], major: int = 34) -> tuple[str, ...]:
    """The `enabled_filters` that nova of that release would read from these files.

    `files` stand in the order in which nova reads them: the last one that sets the option wins,
    nova's own default stands where none does. Parsed by oslo.config, as nova does.

    Raises WholecardError when a file is missing, unreadable or not in oslo.config's format.
    """
    return filters_of(read_values(files, major), major)


def filters_of(values: Values, major: int) -> tuple[str, ...]:
    """The filters that nova of that release runs, where these values stand."""
    given = values.get(by_name("enabled_filters"))
    return default_filters(major) if given is None else given


def with_pci_filter(current: Sequence[str]) -> tuple[str, ...]:
    """The same filters in the same order, the PCI filter at the end unless it is there already."""
    return (*current,) if PCI_FILTER in current else (*current, PCI_FILTER)


def missing_class(values: Values) -> tuple[str, ...]:
    """What `available_filters` lacks for the PCI filter to be found: its class, or nothing.

    nova's default is all of its own filters, so only who set the option can have left it out. A
    drop-in's value comes on top of what stands in other files.
    """
    given = values.get(by_name("available_filters"))
    if given is None or {ALL_FILTERS, PCI_FILTER_CLASS} & set(given):
        return ()
    return (PCI_FILTER_CLASS,)
