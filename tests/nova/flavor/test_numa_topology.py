"""The guest's NUMA layout, and which words nova-api refuses."""

from __future__ import annotations

import pytest

from support.small_cloud import cloud, request
from wholecard.core.releases import release
from wholecard.explain.explain import explain
from wholecard.nova.flavor.extra_specs import LayoutError
from wholecard.nova.flavor.numa_topology import GuestCell, layout
from wholecard.nova.flavor.resource_request import resource_request

MIXED = {"hw:cpu_policy": "mixed"}
REALTIME = MIXED | {"hw:cpu_realtime": "yes"}
ISOLATE = {"hw:emulator_threads_policy": "isolate"}
IMAGE = {"hw_cpu_realtime_mask": "^0-1"}


@pytest.mark.parametrize(
    ("specs", "properties", "shared", "pinned"),
    [
        (REALTIME, IMAGE, 2, 6),
        (REALTIME | {"hw:cpu_realtime_mask": "^0"}, IMAGE, 2, 6),
        (REALTIME | {"hw:cpu_realtime_mask": "^0"}, {}, 1, 7),
        (REALTIME | ISOLATE, {}, 0, 8),
        (MIXED | {"hw:cpu_dedicated_mask": "^0"}, IMAGE, 1, 7),
        ({"resources:PCPU": "8"}, {}, 0, 8),
        ({"resources:PCPU": "9"} | ISOLATE, {}, 0, 8),
        ({"resources:PCPU": "0", "hw:numa_nodes": "1"}, {}, 8, 0),
        ({"hw:pmem": "4GB"}, {}, 8, 0),
    ],
)
@pytest.mark.parametrize("series", ["2023.1", "2024.2", "2025.2", "2026.2"])
def test_cells(
    series: str, specs: dict[str, str], properties: dict[str, str], shared: int, pinned: int
) -> None:
    """Shared and pinned CPUs as `numa_get_constraints` of those releases gives them.

    Seen of nova 27, 30, 32 and 34, whose functions are the same.
    """
    asked = request(specs=specs, properties=properties)
    emulator = int(bool(ISOLATE.items() <= specs.items()))
    assert layout(asked, release(series)).cells == (GuestCell(shared, pinned, 16384, emulator),)
    if "cpu_policy" in str(specs):
        amounts = resource_request(asked, release(series)).machine.resources
        extra = "hw:emulator_threads_policy" in specs
        assert (amounts.get("VCPU", 0), amounts["PCPU"]) == (shared, pinned + extra)


@pytest.mark.parametrize(
    ("specs", "brief"),
    [
        ({"hw:cpu_thread_policy": "prefer"}, "a policy of CPU threads needs pinned CPUs"),
        ({"trait:HW_CPU_HYPERTHREADING": "required"}, "a policy of CPU threads needs"),
        (ISOLATE, "hw:emulator_threads_policy=isolate needs pinned CPUs"),
        ({"hw:cpu_realtime": "yes", "hw:cpu_realtime_mask": "^0"}, "hw:cpu_realtime needs"),
        ({"hw:cpu_dedicated_mask": "^0"}, "hw:cpu_dedicated_mask needs the CPU policy mixed"),
        ({"hw:cpu_dedicated_mask": "^0", "hw:cpu_policy": "dedicated"}, "needs the CPU policy"),
        (MIXED, "nothing says which CPUs are dedicated"),
        (MIXED | {"hw:cpu_realtime_mask": "^0"}, "nothing says which CPUs are dedicated"),
        (REALTIME | {"hw:cpu_realtime_mask": "^0", "hw:cpu_dedicated_mask": "^0"}, "two masks say"),
        ({"resources:PCPU": "4"}, "resources:PCPU is 4, its CPUs with the emulator's are 8"),
        ({"resources:PCPU": "8"} | ISOLATE, "the emulator's are 9"),
        ({"resources:PCPU": "8", "resources:VCPU": "8"}, "exclude each other"),
        ({"resources:VCPU": "8", "hw:cpu_policy": "shared"}, "exclude each other"),
        ({"trait:HW_CPU_HYPERTHREADING": "required", "hw:cpu_thread_policy": "require",
          "hw:cpu_policy": "dedicated"}, "exclude each other"),
        ({"hw:locked_memory": "true"}, "hw:locked_memory is set, and no page size"),
        ({"hw:emulator_threads_policy": "odd"}, "'odd' is not a value"),
    ],
)  # fmt: skip
def test_refused(specs: dict[str, str], brief: str) -> None:
    """Words that nova-api refuses, all of the installed releases."""
    for series in ("2023.1", "2024.2", "2025.2", "2026.2"):
        with pytest.raises(LayoutError, match=brief):
            layout(request(specs=specs), release(series))


@pytest.mark.parametrize(
    ("series", "specs"),
    [
        ("yoga", {"hw:locked_memory": "true"}),
        ("ussuri", {"hw:cpu_dedicated_mask": "^0"}),
        ("stein", {"hw:cpu_thread_policy": "prefer"}),
        ("stein", {"hw:pmem": "4GB"}),
    ],
)
def test_before_the_release(series: str, specs: dict[str, str]) -> None:
    """Before the release whose code has it, nothing is refused nor made.

    By nova/virt/hardware.py at the tags of those releases.
    """
    assert layout(request(specs=specs), release(series)).cells == ()


@pytest.mark.parametrize(("series", "status"), [("2026.1", 403), ("2026.2", 400)])
def test_status_of_locked_memory(series: str, status: int) -> None:
    """nova-api catches LockMemoryForbidden from 2026.2 on; before, its class makes it a 403."""
    answer = explain(cloud(request=request(specs={"hw:locked_memory": "true"}), series=series))
    assert [each.rule for each in answer.findings] == ["WC302"]
    assert f"(HTTP {status})" in answer.checks[0].says


def test_cpus_that_are_not_known() -> None:
    """Where the flavor's CPUs are not known, no mask is too long for them."""
    asked = request(specs=MIXED | {"hw:cpu_dedicated_mask": "0-99"}, vcpus=None)
    assert layout(asked, release("2026.2")).cells == (GuestCell(0, 0, 16384),)
