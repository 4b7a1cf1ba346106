"""nova-scheduler's `enabled_filters`: what stands there, and what has to stand there for cards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from wholecard.core import UsageError
from wholecard.core.near_names import NearNames
from wholecard.core.releases import Release, release
from wholecard.nova.conf.oslo_values import Values, read_values
from wholecard.nova.conf.service_conf import NovaConf
from wholecard.nova.options import by_name

PCI_FILTER = "PciPassthroughFilter"
PCI_FILTER_CLASS = "nova.scheduler.filters.pci_passthrough_filter.PciPassthroughFilter"
ALL_FILTERS = "nova.scheduler.filters.all_filters"
# The functions of nova's own that `available_filters` can name: they bring nova's own filters.
OWN_FUNCTIONS = frozenset({ALL_FILTERS, "nova.scheduler.filters.standard_filters"})

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

# nova/scheduler/filters/ at the last tag of each release: from, and gone from.
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
    """A name that is no filter there, at `place` of the list, from 0.

    `right` is the name of nova's that it is near to, `gone` the major version that no longer has
    it.
    """

    place: int
    name: str
    right: str | None = None
    gone: int | None = None

    @property
    def mend(self) -> str:
        """What to do about it."""
        if self.gone:
            return "Delete it from the list."
        return (
            f"Write {self.right}."
            if self.right
            else "Name its class in available_filters, or delete it here."
        )

    def says(self, of: object) -> str:
        """What is wrong with it in the release `of`."""
        shown = self.name if len(self.name) <= 80 else "this"
        if self.gone:
            return f"{of} has no {shown} any more, gone since {release(str(self.gone))}"
        return f"nova has no filter {shown}"


def filters_there(major: int) -> tuple[str, ...]:
    """The filters that nova itself has in that release."""
    return tuple(name for name, (since, gone) in FILTERS.items() if since <= major < gone)


def available_filters(values: Values) -> tuple[str, ...]:
    """What `available_filters` names, empty where it is not set: all of nova's own."""
    return values.get(by_name("available_filters")) or ()


def classes_named(available: Iterable[str]) -> frozenset[str] | None:
    """The names of the classes among `available_filters`, None where it may bring any others.

    An entry is a class or a function that gives classes (nova/loadables.py,
    `get_matching_classes`), and one cannot tell which without importing it. A name that begins
    with a capital is taken for a class; any other, but for nova's own functions, may be a function.
    """
    found = set()
    for entry in available:
        if entry in OWN_FUNCTIONS:
            continue
        name = entry.rpartition(".")[2]
        if not name.isidentifier() or not name[0].isupper():
            return None
        found.add(name)
    return frozenset(found)


def wrong_filters(
    names: Iterable[str], major: int, available: Iterable[str] = ()
) -> Iterator[WrongFilter]:
    """Those of a list that keep nova-scheduler of that release from starting.

    `available` is what `available_filters` names. nova knows a filter by its class's name alone,
    whoever brings it (nova/scheduler/host_manager.py: `filter_cls_map`, and `_choose_host_filters`,
    which raises SchedulerHostFilterNotFound). Where any may be brought, none is wrong.
    """
    classes = classes_named(available)
    if classes is None:
        return
    own = filters_there(major)
    known = NearNames(own)
    for place, name in enumerate(names):
        if name and name not in own and name not in classes:
            gone = FILTERS[name][1] if name in FILTERS else None
            right = None if gone else known.near(name)
            # One of somebody else's may be as near.
            sure = right is not None and NearNames(classes).near(name) is None
            yield WrongFilter(place, name, right if sure else None, gone)


def refuse_wrong_filters(files: Sequence[Path], values: Values, of: Release) -> None:
    """Raises UsageError where the files' own list keeps nova-scheduler of `of` from starting.

    `values` are what the files set.
    """
    option = by_name("enabled_filters")
    wrong = list(wrong_filters(values.get(option) or (), of.nova, available_filters(values)))
    if not wrong:
        return
    entries = NovaConf.read(files).effective(option, of.nova).entries
    where = f"{entries[-1].path}:{entries[-1].line}: " if entries else ""
    raise UsageError(
        f"{where}nova-scheduler of {of} does not start with these enabled_filters",
        "\n".join(f"{each.says(of)}. {each.mend}" for each in wrong),
        "Mend the list there first; it is kept as it is, with the filter for cards at its end.",
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
