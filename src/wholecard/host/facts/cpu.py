"""The processors, from `/proc/cpuinfo` and the NUMA nodes.

Source: linux, arch/x86/kernel/cpu/proc.c and Documentation/admin-guide/cputopology.rst.
"""

from __future__ import annotations

from wholecard.core.small_files import listed, read_text, under
from wholecard.host.facts.host import Cpu

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wholecard.core.small_files import Root

NODES = "sys/devices/system/node"


def read_cpu(root: Root) -> Cpu:
    """The processors of the host; what a processor does not show stays empty."""
    blocks = [_fields(block) for block in read_text(under(root, "proc/cpuinfo")).split("\n\n")]
    threads = [block for block in blocks if "processor" in block]
    first = threads[0] if threads else {}
    flags = first.get("flags", "").split()
    # Virtual machines may have no topology: then each processor is a core of one socket.
    cores = {
        (thread.get("physical id", "0"), thread.get("core id", thread["processor"]))
        for thread in threads
    }
    return Cpu(
        vendor=first.get("vendor_id", ""),
        model=first.get("model name", ""),
        sockets=len({socket for socket, _ in cores}),
        cores=len(cores),
        threads=len(threads),
        physical_bits=_physical_bits(first.get("address sizes", "")),
        virtualization=next((flag for flag in ("vmx", "svm") if flag in flags), None),
        nodes=tuple(
            (node, read_text(under(root, f"{NODES}/node{node}/cpulist"))) for node in nodes(root)
        ),
        isolated=read_text(under(root, "sys/devices/system/cpu/isolated")),
        architecture=_architecture(blocks),
    )


def _architecture(blocks: list[dict[str, str]]) -> str:
    """By the names that only one architecture's /proc/cpuinfo has.

    Sources: linux, arch/arm64/kernel/cpuinfo.c, arch/powerpc/kernel/setup-common.c.
    """
    names = {name for block in blocks for name in block}
    if "CPU implementer" in names:
        return "arm64"
    if "cpu" in names and ("timebase" in names or "platform" in names):
        return "power"
    return "x86" if {"vendor_id", "flags"} <= names else ""


def _physical_bits(text: str) -> int | None:
    """46, from `46 bits physical, 48 bits virtual`."""
    bits = text.partition(" bits physical")[0]
    return int(bits) if bits.isascii() and bits.isdigit() and len(bits) < 4 else None


def nodes(root: Root) -> tuple[int, ...]:
    """The numbers of the NUMA nodes, ascending; none where the kernel has no NUMA."""
    names = (name[4:] for name in listed(under(root, NODES)) if name.startswith("node"))
    return tuple(sorted(int(name) for name in names if name.isascii() and name.isdigit()))


def _fields(block: str) -> dict[str, str]:
    parts = (line.partition(":") for line in block.splitlines())
    return {name.strip(): value.strip() for name, _, value in parts}
