"""How large a part of a card is: by its type, and as the guest sees it. Pure.

A type's size is known from the driver's description of it (`framebuffer=4096M`) or from NVIDIA's
name for it. Not run on hardware: which share of it a guest's driver reports was not measured, so
that only another size is told, not a few percent.
"""

from __future__ import annotations

from collections.abc import Iterator

from wholecard.core import Finding, Severity
from wholecard.core.units import size_text
from wholecard.guest.proof.record import Proof, ProofFunction
from wholecard.nova.desired.slice_classes import slice_classes
from wholecard.pci.splitting.nvidia import type_memory_mib
from wholecard.site.give import Slice
from wholecard.site.load import SiteFile

# What drivers keep for themselves is below a quarter; the next type is half or double.
_LEAST, _MOST = 0.75, 1.25
# QEMU's and the kernel's emulated displays (linux: samples/vfio-mdev/mbochs.c): BAR 0 is the video
# memory. On other cards a BAR is a window into it.
_MEMORY_IS_BAR = "1234:1111"


def slice_sizes(site: SiteFile) -> dict[str, int]:
    """The video memory in MiB of the site's parts of cards, by their alias and resource class.

    Raises SiteError where a host's facts cannot be read.
    """
    sizes: dict[str, int] = {}
    classes = slice_classes(site.site, site.release)
    for name, part in site.site.slices.items():
        size = type_memory_mib(part.type) or next(_described(site, part), None)
        if size:
            sizes |= dict.fromkeys(filter(None, (name, classes[name])), size)
    return sizes


def _described(site: SiteFile, part: Slice) -> Iterator[int]:
    """What drivers of the site's hosts say of the type."""
    for host in site.facts().values():
        for row in host.slices.mdev_types if host.slices else ():
            size = row.memory_mib or type_memory_mib(row.name)
            if row.type_id == part.type and size:
                yield size


def seen_memory_mib(function: ProofFunction, proof: Proof) -> int | None:
    """The video memory that the guest sees of a device; None where nothing in it says that."""
    for gpu in proof.gpus:
        if gpu.address == function.address and gpu.memory_mib:
            return gpu.memory_mib
    largest = max(function.bars, default=0) >> 20
    return largest or None if function.id == _MEMORY_IS_BAR else None


def size_finding(name: str, asked: int | None, function: ProofFunction, proof: Proof
                 ) -> Finding | None:  # fmt: skip
    """WC438 where the guest sees a part of another size than its type has."""
    seen = seen_memory_mib(function, proof)
    if not asked or not seen or _LEAST * asked <= seen <= _MOST * asked:
        return None
    return Finding(
        "WC438", name, Severity.ERROR,
        f"{name} ({function.id} at {function.address}) has {size_text(seen << 20)} of video memory "
        f"in the guest, and its type has {size_text(asked << 20)}",
        "Compare the type on the host with the site file: wholecard-host check names a VF or a "
        "mediated device of another type, nova lint a type in the wrong resource class.",
    )  # fmt: skip
