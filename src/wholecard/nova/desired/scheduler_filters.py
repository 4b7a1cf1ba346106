"""nova-scheduler's `enabled_filters`: what is set, and what cards need there."""

from __future__ import annotations

import re
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
_OWN_PACKAGE = "nova."
# Another package's class, or a function that returns classes.
_PATH = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+", re.ASCII)

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
# The modules in nova/scheduler/filters/ whose name is not their one filter's in small letters.
_MODULES = {
    "AggregateImagePropertiesIsolation": "aggregate_image_properties_isolation",
    "AggregateInstanceExtraSpecsFilter": "aggregate_instance_extra_specs",
    "AggregateIoOpsFilter": "io_ops_filter",
    "AggregateMultiTenancyIsolation": "aggregate_multitenancy_isolation",
    "AggregateNumInstancesFilter": "num_instances_filter",
    "AggregateTypeAffinityFilter": "type_filter",
    "AggregateCoreFilter": "core_filter",
    "AggregateDiskFilter": "disk_filter",
    "AggregateRamFilter": "ram_filter",
    "ImagePropertiesFilter": "image_props_filter",
    "NUMATopologyFilter": "numa_topology_filter",
    "TypeAffinityFilter": "type_filter",
    **dict.fromkeys(("DifferentHostFilter", "SameHostFilter", "ServerGroupAffinityFilter",
                     "ServerGroupAntiAffinityFilter", "SimpleCIDRAffinityFilter"),
                    "affinity_filter"),
}  # fmt: skip


@dataclass(frozen=True)
class WrongFilter:
    """A name in the list, at `index` from 0, with which nova-scheduler does not start.

    `right` is nova's filter with a near name, `removed_in` the major version that removed it.
    `unavailable` is a filter of nova's that `available_filters` does not name.
    """

    index: int
    name: str
    right: str | None = None
    removed_in: int | None = None
    unavailable: bool = False

    @property
    def resolution(self) -> str:
        """What to do about it."""
        if self.removed_in:
            return "Delete it from the list."
        if self.unavailable:
            return f"Add a line available_filters = {ALL_FILTERS}."
        other = "Name its class in available_filters, or delete it from the list."
        return f"Write {self.right}." if self.right else other

    def problem(self, release: Release) -> str:
        """What is wrong with it in that release."""
        shown = self.name if len(self.name) <= 80 else "of that name"
        if self.removed_in:
            removed_in = releases.release(str(self.removed_in))
            return f"nova of {release} has no filter {shown}, it was removed in {removed_in}"
        if self.unavailable:
            return f"available_filters does not name the class of {shown}"
        return f"nova has no filter {shown}"


@dataclass(frozen=True)
class WrongAvailable:
    """A value of `available_filters`, at `index`, that nova-scheduler cannot import.

    `right` are the values that were meant, each for a line of its own; none where that is not
    known.
    """

    index: int
    text: str
    reason: str
    right: tuple[str, ...] = ()

    @property
    def resolution(self) -> str:
        """What to do about it."""
        if not self.right:
            return f"Write {ALL_FILTERS}, or the path of a class."
        lines = " and ".join(f"available_filters = {path}" for path in self.right)
        return f"Write {lines}{', each on a line of its own' if len(self.right) > 1 else ''}."


def own_filters(major: int) -> tuple[str, ...]:
    """nova's own filters in that release."""
    return tuple(name for name, (since, until) in FILTERS.items() if since <= major < until)


def available_filters(values: Values) -> tuple[str, ...]:
    """What `available_filters` names; empty where it is not set, which means all of nova's own."""
    return values.get(by_name("available_filters")) or ()


def own_path(name: str) -> str:
    """The path of one of nova's own filters, as `available_filters` names it."""
    module = _MODULES.get(name) or re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    return f"nova.scheduler.filters.{module}.{name}"


def wrong_available(values: Iterable[str], major: int) -> Iterator[WrongAvailable]:
    """Those values of `available_filters` with which nova-scheduler does not start.

    nova imports each (nova/loadables.py, `get_matching_classes`): a path of a class or a function.
    Everything below `nova.` is nova's own; what other packages have is not known.
    """
    own = {ALL_FILTERS, *map(own_path, own_filters(major))}
    for index, value in enumerate(values):
        text = value.strip()
        if text in own or "$" in text:
            continue
        if not _PATH.fullmatch(text):
            right = _meant(text, own)
            reason = "it is not the path of one class or function"
        elif text.startswith(_OWN_PACKAGE):
            right = _meant(text, own)
            reason = f"nova {releases.release(str(major))} has nothing of that name"
        else:
            continue
        yield WrongAvailable(index, text, reason, right)


def _meant(text: str, own: set[str]) -> tuple[str, ...]:
    """The paths that a value means: without quotes and brackets, split, or by the last name."""
    bare = text.strip().strip("[]()")
    parts = [part.strip("'\"") for part in re.split(r"[\s,;]+", bare) if part.strip("'\"")]
    paths = [_foreign(part) or _own(part, own) for part in parts]
    known = tuple(path for path in paths if path)
    if len(known) == len(parts):
        return tuple(dict.fromkeys(known))
    # A path that a blank tore apart is one.
    whole = _own("".join(parts), own)
    return (whole,) if whole else ()


def _foreign(path: str) -> str | None:
    """The path itself, where it may be another package's."""
    return path if _PATH.fullmatch(path) and not path.startswith(_OWN_PACKAGE) else None


def _own(path: str, own: set[str]) -> str | None:
    """The path of nova's own that was meant: by all of it, or by its last name."""
    names = {one.rpartition(".")[2]: one for one in own}
    last = path.rpartition(".")[2]
    near = path if path in own else NearNames(own).near(path)
    return near or names.get(last) or names.get(NearNames(names).near(last) or "")


def classes_named(available: Iterable[str], major: int) -> frozenset[str] | None:
    """The names of the classes among `available_filters`, None where it may have others.

    An entry is a class or a function that returns classes (nova/loadables.py,
    `get_matching_classes`), and only importing it would show which. A name that begins with a
    capital counts as a class; any other may be a function, except for nova's own. A value that
    nova cannot import names nothing.
    """
    values = [value.strip() for value in available]
    wrong = {one.index for one in wrong_available(values, major)}
    names: set[str] = set()
    for index, value in enumerate(values):
        if value == ALL_FILTERS:
            names.update(own_filters(major))
        elif index not in wrong:
            name = value.rpartition(".")[2]
            if not name[:1].isupper():
                return None
            names.add(name)
    return frozenset(names)


def wrong_filters(
    names: Iterable[str], major: int, available: Iterable[str] = ()
) -> Iterator[WrongFilter]:
    """Those names of a list with which nova-scheduler of that release does not start.

    `available` is what `available_filters` names; nothing means all of nova's own. nova knows a
    filter by the name of its class alone (nova/scheduler/host_manager.py: `filter_cls_map`, and
    `_choose_host_filters`, which raises SchedulerHostFilterNotFound). Where `available` may have
    any class, no name is wrong.
    """
    values = [*available]
    # Where each line is wrong, the lines are what has to be corrected.
    sound = len(values) > len([*wrong_available(values, major)])
    classes = classes_named(values if sound else [ALL_FILTERS], major)
    if classes is None:
        return
    own = own_filters(major)
    known = NearNames(own)
    for index, name in enumerate(names):
        if not name or name in classes:
            continue
        if name in own:
            yield WrongFilter(index, name, unavailable=True)
            continue
        removed_in = FILTERS[name][1] if name in FILTERS else None
        right = None if removed_in else known.near(name)
        # A class of somebody else's may be as near.
        is_sure = right is not None and NearNames(classes - {*own}).near(name) is None
        yield WrongFilter(index, name, right if is_sure else None, removed_in)


def refuse_wrong_filters(files: Sequence[Path], values: Values, release: Release) -> None:
    """Raises UsageError where nova-scheduler of that release does not start with the files' list.

    `values` is what the files set.
    """
    available = available_filters(values)
    lines = [
        f"{wrong.text}: {wrong.reason}. {wrong.resolution}"
        for wrong in wrong_available(available, release.nova)
    ]
    option = by_name("available_filters" if lines else "enabled_filters")
    if not lines:
        # The class of the filter for cards is added where it is missing.
        named = (*available, PCI_FILTER_CLASS) if available else ()
        wrong = wrong_filters(values.get(option) or (), release.nova, named)
        lines = [f"{name.problem(release)}. {name.resolution}" for name in wrong]
    if not lines:
        return
    entries = NovaConf.read(files).effective(option, release.nova).entries
    where = f"{entries[-1].path}:{entries[-1].line}: " if entries else ""
    raise UsageError(
        f"{where}nova-scheduler of {release} does not start with these {option.name}",
        "\n".join(lines),
        "Correct them there first; render keeps them as they are and adds the filter for cards.",
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
