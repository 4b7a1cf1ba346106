"""nova-scheduler's filters: each release's own, read from files, with the PCI filter appended."""

from __future__ import annotations

from pathlib import Path

import pytest

from wholecard.core import UsageError, WholecardError
from wholecard.core.releases import release
from wholecard.nova.conf.oslo_values import read_values
from wholecard.nova.desired.scheduler_filters import (
    ALL_FILTERS,
    PCI_FILTER_CLASS,
    WrongFilter,
    default_filters,
    missing_class,
    own_path,
    read_enabled_filters,
    refuse_wrong_filters,
    with_pci_filter,
    wrong_available,
    wrong_filters,
)

_LATE = (
    "ComputeFilter", "ComputeCapabilitiesFilter", "ImagePropertiesFilter",
    "ServerGroupAntiAffinityFilter", "ServerGroupAffinityFilter",
)  # fmt: skip
DEFAULTS = [
    (13, ("RetryFilter", "AvailabilityZoneFilter", "RamFilter", "DiskFilter", *_LATE)),
    (15, ("RetryFilter", "AvailabilityZoneFilter", "RamFilter", "DiskFilter", *_LATE)),
    (16, ("RetryFilter", "AvailabilityZoneFilter", *_LATE)),
    (19, ("RetryFilter", "AvailabilityZoneFilter", *_LATE)),
    (20, ("AvailabilityZoneFilter", *_LATE)),
    (23, ("AvailabilityZoneFilter", *_LATE)),
    (24, _LATE),
    (34, _LATE),
]


@pytest.mark.parametrize(("major", "filters"), DEFAULTS)
def test_defaults(major: int, filters: tuple[str, ...]) -> None:
    """nova lost RamFilter and DiskFilter in Pike, RetryFilter in Train, the zone in Xena."""
    assert default_filters(major) == filters


def conf(folder: Path, *texts: str) -> list[Path]:
    """Files with these texts, in this order."""
    files = []
    for number, text in enumerate(texts):
        files.append(folder / f"{number}.conf")
        files[-1].write_text(text)
    return files


def test_default_stands_where_no_file_sets_it(tmp_path: Path) -> None:
    """Without the option in any file the list is nova's own."""
    assert read_enabled_filters(conf(tmp_path, "[DEFAULT]\n")) == default_filters(34)


def test_the_last_file_wins(tmp_path: Path) -> None:
    """Of several files that set the list nova takes the last."""
    files = conf(
        tmp_path,
        "[filter_scheduler]\nenabled_filters = A,B\n",
        "[filter_scheduler]\nenabled_filters = C, D\n",
    )
    assert read_enabled_filters(files) == ("C", "D")


def test_an_old_name_counts_until_wallaby(tmp_path: Path) -> None:
    """scheduler_default_filters is the name in Newton, an old name in Wallaby, nothing in Xena."""
    files = conf(tmp_path, "[DEFAULT]\nscheduler_default_filters = A\n")
    assert read_enabled_filters(files, 14) == ("A",)
    assert read_enabled_filters(files, 23) == ("A",)
    assert read_enabled_filters(files, 24) == default_filters(24)


@pytest.mark.parametrize("text", ["no section\n", "[filter_scheduler\n"])
def test_a_broken_file_is_an_error(tmp_path: Path, text: str) -> None:
    """What oslo.config cannot read is an error that says what to do."""
    with pytest.raises(WholecardError, match="cannot read nova's configuration"):
        read_enabled_filters(conf(tmp_path, text))


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    """A file that is not there is an error, not an empty one."""
    with pytest.raises(WholecardError, match="cannot read nova's configuration"):
        read_enabled_filters([tmp_path / "none.conf"])


def test_the_pci_filter_is_appended_once() -> None:
    """The PCI filter comes last; where it stands already the list stays as it is."""
    assert with_pci_filter(("A", "B")) == ("A", "B", "PciPassthroughFilter")
    assert with_pci_filter(("PciPassthroughFilter", "B")) == ("PciPassthroughFilter", "B")


CLASSES = [
    ("", ()),
    (f"[filter_scheduler]\navailable_filters = {ALL_FILTERS}\navailable_filters = a.B\n", ()),
    (f"[filter_scheduler]\navailable_filters = {PCI_FILTER_CLASS}\n", ()),
    ("[filter_scheduler]\navailable_filters = a.B\n", (PCI_FILTER_CLASS,)),
]


@pytest.mark.parametrize(("text", "missing"), CLASSES)
def test_the_class_is_named_where_only_others_are(
    tmp_path: Path, text: str, missing: tuple[str, ...]
) -> None:
    """Who lists available_filters without nova's own leaves the PCI filter's class out."""
    assert missing_class(read_values(conf(tmp_path, text), 34)) == missing


@pytest.mark.parametrize(
    ("major", "name", "right", "gone"),
    [
        (32, "PciPassThroughFilter", "PciPassthroughFilter", None),
        (32, "pci_passthrough_filter", "PciPassthroughFilter", None),
        (32, "ComputFilter", "ComputeFilter", None),
        (32, "AvailabilityZoneFilter", None, 28),
        (32, "RamFilter", None, 20),
        (22, "RetryFilter", None, 22),
        (32, "OurOwnFilter", None, None),
    ],
)
def test_a_wrong_filter(major: int, name: str, right: str | None, gone: int | None) -> None:
    """What nova does not have is told with its place, what is near, and since when it is gone."""
    assert list(wrong_filters(["ComputeFilter", name], major)) == [
        WrongFilter(1, name, right, gone)
    ]


@pytest.mark.parametrize(
    ("available", "name", "wrong"),
    [
        (["acme.filters.AvailabilityZoneFilter"], "AvailabilityZoneFilter", None),
        ([ALL_FILTERS, "acme.NumInstancesFilters"], "NumInstancesFilters", None),
        (["acme.filters.our_filters"], "PciPassThroughFilter", None),
        (["acme.$name"], "Anything", None),
        (["acme.NumInstancesFilters"], "RamFilter", WrongFilter(0, "RamFilter", removed_in=20)),
        (["acme.MineFilter"], "ComputFilter", WrongFilter(0, "ComputFilter", "ComputeFilter")),
        (["acme.ComputeFilters"], "ComputeFilterz", WrongFilter(0, "ComputeFilterz")),
        ([ALL_FILTERS, "acme.MineFilter"], "OurFilter", WrongFilter(0, "OurFilter")),
    ],
)
def test_a_class_is_known_by_its_name(
    available: list[str], name: str, wrong: WrongFilter | None
) -> None:
    """A class of somebody else's is there by its name; a function may bring any."""
    assert list(wrong_filters([name], 34, available)) == ([wrong] if wrong else [])


@pytest.mark.parametrize("major", range(13, 35))
def test_novas_own_list_is_right(major: int) -> None:
    """nova has every filter of its own default list, and the one for cards."""
    assert list(wrong_filters(with_pci_filter(default_filters(major)), major)) == []


@pytest.mark.parametrize(
    ("available", "said"),
    [
        ("", "nova has no filter OurOwnFilter. Name its class in available_filters"),
        ("available_filters = nova.scheduler.filters.all_filters\n", "nova has no filter OurOwn"),
        (
            "available_filters = nova.scheduler.filters.all_filters\n"
            "available_filters = our.module.OurOwnFilter\n",
            "",
        ),
        ("available_filters = our.module.OurOwnFilter\n", "does not name the class of ComputeF"),
        ("available_filters = our.module.AnotherFilter\n", "nova has no filter OurOwnFilter"),
        ("available_filters = our.module.filters\n", ""),
    ],
)
def test_a_filter_of_somebody_elses(tmp_path: Path, available: str, said: str) -> None:
    """What `available_filters` names beside nova's own may have any name."""
    text = f"[filter_scheduler]\n{available}enabled_filters = ComputeFilter,OurOwnFilter\n"
    files = conf(tmp_path, text)
    values = read_values(files, 32)
    if not said:
        refuse_wrong_filters(files, values, release("2025.2"))
        return
    with pytest.raises(UsageError) as caught:
        refuse_wrong_filters(files, values, release("2025.2"))
    assert said in caught.value.details
    assert caught.value.brief.startswith(f"{files[0]}:{text.count(chr(10))}: nova-scheduler of")


FILTERS_PACKAGE = "nova.scheduler.filters"
# The modules of nova's own tree, from the last tag of each release (nova/scheduler/filters/).
PATHS = [
    "affinity_filter.DifferentHostFilter", "affinity_filter.ServerGroupAntiAffinityFilter",
    "aggregate_image_properties_isolation.AggregateImagePropertiesIsolation",
    "aggregate_instance_extra_specs.AggregateInstanceExtraSpecsFilter",
    "aggregate_multitenancy_isolation.AggregateMultiTenancyIsolation",
    "all_hosts_filter.AllHostsFilter", "compute_capabilities_filter.ComputeCapabilitiesFilter",
    "image_props_filter.ImagePropertiesFilter", "io_ops_filter.AggregateIoOpsFilter",
    "isolated_hosts_filter.IsolatedHostsFilter", "json_filter.JsonFilter",
    "num_instances_filter.AggregateNumInstancesFilter", "numa_topology_filter.NUMATopologyFilter",
    "pci_passthrough_filter.PciPassthroughFilter", "ram_filter.RamFilter",
    "type_filter.AggregateTypeAffinityFilter", "exact_core_filter.ExactCoreFilter",
    "core_filter.AggregateCoreFilter", "disk_filter.DiskFilter",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_paths_of_novas_own(path: str) -> None:
    """The path of each own filter is where nova has it."""
    assert own_path(path.rpartition(".")[2]) == f"{FILTERS_PACKAGE}.{path}"
    assert not list(wrong_available([f"{FILTERS_PACKAGE}.{path}"], 13))


AVAILABLE = [
    (ALL_FILTERS, None),
    (PCI_FILTER_CLASS, None),
    ("blazarnova.scheduler.filters.blazar_filter.BlazarFilter", None),
    ("mine.filters.all_of_mine", None),
    (f"{FILTERS_PACKAGE}.pci_passthrough_filter.PciPassThroughFilter", (PCI_FILTER_CLASS,)),
    (f"{FILTERS_PACKAGE}.pci_passthrough_filter.PciPass throughFilter", (PCI_FILTER_CLASS,)),
    (f"{FILTERS_PACKAGE}.PciPassthroughFilter", (PCI_FILTER_CLASS,)),
    (f"{FILTERS_PACKAGE}.all_filter", (ALL_FILTERS,)),
    (f"{FILTERS_PACKAGE}.standard_filters", ()),
    ("nova.filters.all_filters", (ALL_FILTERS,)),
    ("all_filters", (ALL_FILTERS,)),
    ("PciPassthroughFilter", (PCI_FILTER_CLASS,)),
    (f"{ALL_FILTERS},{PCI_FILTER_CLASS}", (ALL_FILTERS, PCI_FILTER_CLASS)),
    (f"{ALL_FILTERS} {PCI_FILTER_CLASS}", (ALL_FILTERS, PCI_FILTER_CLASS)),
    (f'["{ALL_FILTERS}"]', (ALL_FILTERS,)),
    (f"'{ALL_FILTERS}'", (ALL_FILTERS,)),
    (f"{ALL_FILTERS},mine.filters.Mine", (ALL_FILTERS, "mine.filters.Mine")),
    (f"{FILTERS_PACKAGE}.retry_filter.RetryFilter", ()),
]  # fmt: skip


@pytest.mark.parametrize(("value", "right"), AVAILABLE)
def test_lines_of_available_filters(value: str, right: tuple[str, ...] | None) -> None:
    """`nova.` is a closed world; what is meant is said (nova-scheduler: ImportError, run)."""
    for values in ([value], [ALL_FILTERS, value]):
        found = list(wrong_available(values, 31))
        assert [one.right for one in found] == ([] if right is None else [right])


def test_a_wrong_line_does_not_hide_wrong_names() -> None:
    """Beside a line that cannot be loaded the names of the list are still checked."""
    for line in ("all_filters", f"{FILTERS_PACKAGE}.all_filter", "a b"):
        names = [one.name for one in wrong_filters(["Ra mFilter"], 13, [ALL_FILTERS, line])]
        assert names == ["Ra mFilter"]


def test_own_filters_that_are_not_available() -> None:
    """Where available_filters names classes alone, nova knows no other filter, its own neither."""
    found = list(wrong_filters(["ComputeFilter", "PciPassthroughFilter"], 34, [PCI_FILTER_CLASS]))
    assert found == [WrongFilter(0, "ComputeFilter", unavailable=True)]
    assert found[0].resolution == f"Add a line available_filters = {ALL_FILTERS}."
