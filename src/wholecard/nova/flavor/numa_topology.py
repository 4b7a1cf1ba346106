"""The guest's NUMA layout, as nova makes it of a flavor and an image.

Source: nova, nova/virt/hardware.py, `numa_get_constraints` and what it calls.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from wholecard.core.capabilities import Capability, has
from wholecard.core.releases import Release
from wholecard.nova.flavor.cpus import cpu_set, emulator_policy, pinned_cpus
from wholecard.nova.flavor.extra_specs import ExtraSpecs, LayoutError
from wholecard.nova.flavor.server_request import ServerRequest
from wholecard.nova.options import numa_policies

Page = Literal["small", "large", "any"] | int

_KIB = {"K": 1, "M": 1 << 10, "G": 1 << 20, "T": 1 << 30}
# oslo.utils, strutils.string_to_bytes: the unit ends with b, bit or B, and 2MB is 2 MiB.
_SIZE = re.compile(r"(\d{1,12})([KMGT])i?B")
# nova/objects/image_meta.py, NUMA_NODES_MAX.
_MOST_NODES = 128
_MOST_CPUS = 4096


@dataclass(frozen=True)
class GuestCell:
    """A NUMA node of the guest: CPUs that float, CPUs that are pinned, RAM in MiB.

    `emulator` is how many more pinned CPUs QEMU's own threads have beside it.
    """

    shared: int
    pinned: int
    ram_mb: int
    emulator: int = 0

    @property
    def host_pinned(self) -> int:
        """How many CPUs of a host's node are pinned for it."""
        return self.pinned + self.emulator


@dataclass(frozen=True)
class GuestLayout:
    """The guest's NUMA nodes, none where it has no NUMA topology; page size (an int is KiB).

    `policy` is the flavor's or image's own for its cards, before which the alias's goes.
    """

    cells: tuple[GuestCell, ...] = ()
    page: Page | None = None
    policy: str | None = None

    @property
    def pinned(self) -> bool:
        """Whether it has CPUs of its own."""
        return any(cell.pinned for cell in self.cells)


def pci_policy(request: ServerRequest, release: Release) -> str | None:
    """The NUMA policy that the flavor or the image asks for, None where neither does.

    Raises LayoutError where the two differ or it is none.
    """
    if not has(release, Capability.FLAVOR_NUMA_POLICY):
        return None
    policy = ExtraSpecs(request).either("pci_numa_affinity_policy")
    known = numa_policies(release.nova)
    if policy and policy not in known:
        raise LayoutError(
            f"nova {release} has no NUMA policy {policy!r}",
            resolution=f"Choose one of {', '.join(known)}.",
        )
    return policy


def layout(request: ServerRequest, release: Release) -> GuestLayout:
    """The guest's layout. CPUs and RAM that are not known count as none.

    Raises LayoutError where nova refuses the flavor with this image.
    """
    extra_specs, properties = request.extra_specs, request.properties
    policy = pci_policy(request, release)
    pinned = pinned_cpus(ExtraSpecs(request), release)
    page = _page(extra_specs, properties)
    if has(release, Capability.LOCKED_MEMORY):
        _check_locked(ExtraSpecs(request), page, release)
    nodes = _node_count(extra_specs, properties)
    memory = has(release, Capability.PERSISTENT_MEMORY) and pmem(extra_specs)
    # Any of these gives the guest a NUMA topology, of one node where no number is set.
    if not (nodes or memory) and page is None and pinned is None:
        return GuestLayout(policy=policy)
    cells = _cells(request, nodes or 1, pinned or frozenset())
    return GuestLayout(_with_emulator(cells, request, release), page, policy)


def _cells(request: ServerRequest, nodes: int, pinned: frozenset[int]) -> tuple[GuestCell, ...]:
    cells = _manual(request, nodes) or _even(request, nodes)
    return tuple(GuestCell(len(cpus - pinned), len(cpus & pinned), mb) for cpus, mb in cells)


def _with_emulator(
    cells: tuple[GuestCell, ...], request: ServerRequest, release: Release
) -> tuple[GuestCell, ...]:
    """Isolated emulator threads have a CPU beside the guest's first node.

    nova, nova/virt/hardware.py, `numa_fit_instance_to_host`, cpuset_reserved.
    """
    if not (has(release, Capability.EMULATOR_THREADS) and any(cell.pinned for cell in cells)):
        return cells
    if emulator_policy(ExtraSpecs(request)) != "isolate":
        return cells
    return (dataclasses.replace(cells[0], emulator=1), *cells[1:])


def pmem(extra_specs: Mapping[str, str]) -> list[str]:
    """The names of the persistent memory that the flavor asks for; any makes a NUMA node."""
    names = (name.strip() for name in extra_specs.get("hw:pmem", "").split(","))
    return [name for name in names if name]


def _check_locked(specs: ExtraSpecs, page: Page | None, release: Release) -> None:
    """Locked memory is refused without a page size.

    nova/api/openstack/compute/servers.py catches neither error before 2026.2: the missing page size
    is a 403 by its class. That flavor and image differ it does not catch in 2026.2 either.
    """
    try:
        locked = specs.flag("locked_memory")
    except LayoutError as error:
        raise LayoutError(error.brief, resolution=error.resolution, http=500) from None
    if locked and page is None:
        raise LayoutError(
            "hw:locked_memory is set, and no page size",
            resolution="Set hw:mem_page_size on the flavor, or remove hw:locked_memory.",
            http=400 if has(release, Capability.LOCKED_MEMORY_CAUGHT) else 403,
        )


def _page(extra_specs: Mapping[str, str], properties: Mapping[str, str]) -> Page | None:
    flavor, image = extra_specs.get("hw:mem_page_size"), properties.get("hw_mem_page_size")
    if not flavor and image:
        raise LayoutError(
            "the image requests a page size, but the flavor does not",
            resolution="Set hw:mem_page_size=large or any on the flavor, or remove "
            "hw_mem_page_size from the image.",
        )
    if not flavor:
        return None
    page = _page_size(flavor)
    if not image:
        return page
    # The image chooses where the flavor leaves a choice (`_numa_get_pagesize_constraints`).
    if page in ("any", "large"):
        return _page_size(image)
    raise LayoutError(
        f"the flavor's hw:mem_page_size is {flavor!r}, the image's {image!r}",
        resolution="Remove hw_mem_page_size from the image.",
    )


def _page_size(text: str) -> Page:
    if text in ("any", "large", "small"):
        return text  # type: ignore[return-value]  # one of the three
    if re.fullmatch(r"\d{1,15}", text, re.ASCII):
        return int(text)
    match = _SIZE.fullmatch(text)
    if match is None:
        raise LayoutError(
            f"{text!r} is not a page size",
            resolution="Write small, large, any, or a size as 2MB or 1GB; a bare number is KiB.",
        )
    return int(match[1]) * _KIB[match[2]]


def _node_count(extra_specs: Mapping[str, str], properties: Mapping[str, str]) -> int | None:
    flavor, image = extra_specs.get("hw:numa_nodes"), properties.get("hw_numa_nodes")
    if flavor and image:
        raise LayoutError(
            "flavor and image both set the number of the guest's NUMA nodes",
            resolution="Remove hw_numa_nodes from the image.",
        )
    text = flavor or image
    if not text:
        return None
    if not re.fullmatch(r"[1-9]\d{0,4}", str(text).strip(), re.ASCII) or int(text) > _MOST_NODES:
        raise LayoutError(f"{text!r} is not a number of NUMA nodes", resolution="Write 1 or more.")
    return int(text)


def _manual(request: ServerRequest, nodes: int) -> list[tuple[frozenset[int], int]]:
    """CPUs and RAM (MiB) of each node by `hw:numa_cpus.N` and `hw:numa_mem.N`, empty without them.

    The first node tells whether they are set at all.
    """
    every = frozenset(range(request.vcpus or _MOST_CPUS))
    cells = []
    for node in range(nodes):
        cpus = _of_node(request, "numa_cpus", node)
        memory = _of_node(request, "numa_mem", node)
        if cpus is None and memory is None and node == 0:
            return []
        if cpus is None or memory is None or not memory.strip().isdecimal():
            raise LayoutError(
                f"the guest's NUMA node {node} does not have both CPUs and memory",
                resolution="Set hw:numa_cpus.N and hw:numa_mem.N for each node, or for none.",
            )
        cells.append((cpu_set(cpus, every), int(memory)))
    total = sum(memory for _, memory in cells)
    if request.ram_mb and total != request.ram_mb:
        raise LayoutError(
            f"the guest's NUMA nodes have {total} MiB in all, the flavor {request.ram_mb} MiB",
            resolution="Let hw:numa_mem.N add up to the flavor's RAM.",
        )
    return cells


def _of_node(request: ServerRequest, key: str, node: int) -> str | None:
    image = request.properties.get(f"hw_{key}.{node}")
    value = request.extra_specs.get(f"hw:{key}.{node}") or image
    return None if value is None else str(value)


def _even(request: ServerRequest, nodes: int) -> list[tuple[frozenset[int], int]]:
    """CPUs and RAM (MiB) of each node where they are divided evenly."""
    vcpus, ram = request.vcpus or 0, request.ram_mb or 0
    if vcpus % nodes or ram % nodes:
        raise LayoutError(
            f"{vcpus} CPUs and {ram} MiB do not divide evenly over {nodes} NUMA nodes",
            resolution="Let both be multiples of hw:numa_nodes, or set hw:numa_cpus.N and "
            "hw:numa_mem.N.",
        )
    share = vcpus // nodes
    return [
        (frozenset(range(node * share, (node + 1) * share)), ram // nodes) for node in range(nodes)
    ]
