"""nova-scheduler's `enabled_filters`: what is set, and what cards need there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from wholecard.core import UsageError, releases
from wholecard.core.near_names import NearNames
from wholecard.core.releases import Release
from wholecard.nova.conf.oslo_values import Values, read_values
from wholecard.nova.conf.service_conf import NovaConf
from wholecard.nova.options import by_name

PCI_FILTER = "PciPassthroughFilter"
PCI_FILTER_CLASS = "nova.scheduler.filters.pci_passthrough_filter.PciPassthroughFilter"
ALL_FILTERS = "nova.scheduler.filters.all_filters"
# nova's own functions that `available_filters` can name: they return nova's own filters.
OWN_FUNCTIONS = frozenset({ALL_FILTERS, "nova.scheduler.filters.standard_filters"})

# nova/conf/scheduler.py: the option's default, and what left it since which release. It never had
# the PCI filter.
_OLDEST = (
    "RetryFilter", "AvailabilityZoneFilter", "RamFilter", "DiskFilter", "ComputeFilter",
    "ComputeCapabilitiesFilter", "ImagePropertiesFilter", "ServerGroupAntiAffinityFilter",
    "ServerGroupAffinityFilter",
)  # fmt: skip
_REMOVED: tuple[tuple[int, frozenset[str]], ...] = (
    (16, frozenset({"RamFilter", "DiskFilter"})),
    (20, frozenset({"RetryFilter"})),
    (24, frozenset({"AvailabilityZoneFilter"})),
)

# nova/scheduler/filters/ at the last tag of each release: since when, and until before when.
FILTERS: dict[str, tuple[int, int]] = {
    **dict.fromkeys((
        "AggregateImagePropertiesIsolation", "AggregateInstanceExtraSpecsFilter",
        "AggregateIoOpsFilter", "AggregateMultiTenancyIsolation", "AggregateNumInstancesFilter",
        "AggregateTypeAffinityFilter", "AllHostsFilter", "ComputeCapabilitiesFilter",
        "ComputeFilter", "DifferentHostFilter", "ImagePropertiesFilter", "IoOpsFilter",
        "IsolatedHostsFilter", "JsonFilter", "MetricsFilter", "NUMATopologyFilter",
        "NumInstancesFilter", PCI_FILTER, "SameHostFilter", "ServerGroupAffinityFilter",
        "ServerGroupAntiAffinityFilter", "SimpleCIDRAffinityFilter",
    ), (13, 99)),
    **dict.fromkeys(("ExactCoreFilter", "ExactDiskFilter", "ExactRamFilter"), (13, 18)),
    **dict.fromkeys(("CoreFilter", "DiskFilter", "RamFilter"), (13, 20)),
    **dict.fromkeys(("AggregateCoreFilter", "AggregateDiskFilter", "AggregateRamFilter"), (13, 22)),
    "TrustedFilter": (13, 17),
    "TypeAffinityFilter": (13, 17),
    "RetryFilter": (13, 22),
    "AvailabilityZoneFilter": (13, 28),
}  # fmt: skip


@dataclass(frozen=True)
class WrongFilter:
    """A name in the list, at `index` from 0, that is not a filter of the release.

    `right` is nova's filter with a near name, `removed_in` the major version that removed it.
    """

    index: int
    name: str
    right: str | None = None
    removed_in: int | None = None

    @property
    def resolution(self) -> str:
        """What to do about it."""
        if self.removed_in:
            return "Delete it from the list."
        other = "Name its class in available_filters, or delete it from the list."
        return f"Write {self.right}." if self.right else other

    def problem(self, release: Release) -> str:
        """What is wrong with it in that release."""
        shown = self.name if len(self.name) <= 80 else "of that name"
        if self.removed_in:
            removed_in = releases.release(str(self.removed_in))
            return f"nova of {release} has no filter {shown}, it was removed in {removed_in}"
        return f"nova has no filter {shown}"


def own_filters(major: int) -> tuple[str, ...]:
    """nova's own filters in that release."""
    return tuple(name for name, (since, until) in FILTERS.items() if since <= major < until)


def available_filters(values: Values) -> tuple[str, ...]:
    """What `available_filters` names; empty where it is not set, which means all of nova's own."""
    return values.get(by_name("available_filters")) or ()


def classes_named(available: Iterable[str]) -> frozenset[str] | None:
    """The names of the classes among `available_filters`, None where it may have others.

    An entry is a class or a function that returns classes (nova/loadables.py,
    `get_matching_classes`), and only importing it would show which. A name that begins with a
    capital counts as a class; any other may be a function, except for nova's own.
    """
    names = set()
    for entry in available:
        if entry in OWN_FUNCTIONS:
            continue
        name = entry.rpartition(".")[2]
        if not name.isidentifier() or not name[0].isupper():
            return None
        names.add(name)
    return frozenset(names)


def wrong_filters(
    names: Iterable[str], major: int, available: Iterable[str] = ()
) -> Iterator[WrongFilter]:
    """Those names of a list with which nova-scheduler of that release does not start.

    `available` is what `available_filters` names. nova knows a filter by the name of its class
    alone (nova/scheduler/host_manager.py: `filter_cls_map`, and `_choose_host_filters`, which
    raises SchedulerHostFilterNotFound). Where `available` may have any class, no name is wrong.
    """
    classes = classes_named(available)
    if classes is None:
        return
    own = own_filters(major)
    known = NearNames(own)
    for index, name in enumerate(names):
        if name and name not in own and name not in classes:
            removed_in = FILTERS[name][1] if name in FILTERS else None
            right = None if removed_in else known.near(name)
            # A class of somebody else's may be as near.
            is_sure = right is not None and NearNames(classes).near(name) is None
            yield WrongFilter(index, name, right if is_sure else None, removed_in)


def refuse_wrong_filters(files: Sequence[Path], values: Values, release: Release) -> None:
    """Raises UsageError where nova-scheduler of that release does not start with the files' list.

    `values` is what the files set.
    """
    option = by_name("enabled_filters")
    wrong = list(wrong_filters(values.get(option) or (), release.nova, available_filters(values)))
    if not wrong:
        return
    entries = NovaConf.read(files).effective(option, release.nova).entries
    where = f"{entries[-1].path}:{entries[-1].line}: " if entries else ""
    raise UsageError(
        f"{where}nova-scheduler of {release} does not start with these enabled_filters",
        "\n".join(f"{name.problem(release)}. {name.resolution}" for name in wrong),
        "Correct the list there first; render keeps it as it is and adds the filter for cards.",
    )


def default_filters(major: int) -> tuple[str, ...]:
    """nova's own `enabled_filters` in that release."""
    removed = {name for since, names in _REMOVED if major >= since for name in names}
    return tuple(name for name in _OLDEST if name not in removed)


def read_enabled_filters(files: Sequence[Path], major: int = 34) -> tuple[str, ...]:
    """The `enabled_filters` that nova of that release would read from these files, in nova's order.

    The last file that sets the option counts, and nova's default where none does. Raises
    WholecardError when a file is missing, unreadable or not in oslo.config's format.
    """
    return filters_of(read_values(files, major), major)


def filters_of(values: Values, major: int) -> tuple[str, ...]:
    """The filters that nova of that release uses with these values."""
    enabled = values.get(by_name("enabled_filters"))
    return default_filters(major) if enabled is None else enabled


def with_pci_filter(current: Sequence[str]) -> tuple[str, ...]:
    """The same filters in the same order, with the PCI filter at the end where it is missing."""
    return (*current,) if PCI_FILTER in current else (*current, PCI_FILTER)


def missing_class(values: Values) -> tuple[str, ...]:
    """What `available_filters` lacks so that nova finds the PCI filter: its class, or nothing.

    nova's default is all of its own filters, so the class can be missing only where the option is
    set. A drop-in's value is added to those of other files.
    """
    available = values.get(by_name("available_filters"))
    if available is None or {ALL_FILTERS, PCI_FILTER_CLASS} & set(available):
        return ()
    return (PCI_FILTER_CLASS,)
