"""Flavors whose disk is smaller than an image: nova refuses such a server. Pure.

nova's API compares the flavor's disk with Glance's `min_disk`, and nova-compute with the image's
virtual size; a disk of 0 is not compared (nova 34, compute/api.py: FlavorDiskSmallerThanMinDisk,
FlavorDiskSmallerThanImage).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from wholecard.nova.desired.unsupported import Unsupported
from wholecard.site.model import Site


def small_disks(site: Site, sizes: Mapping[str, int]) -> Iterator[Unsupported]:
    """A warning for each flavor with a disk that is smaller than images; `sizes` are in GiB."""
    for name, flavor in site.flavors.items():
        larger = {image: size for image, size in sizes.items() if 0 < flavor.disk < size}
        if not larger:
            continue
        images = ", ".join(f"{image} ({size} GiB)" for image, size in larger.items())
        yield Unsupported(
            ("flavors", name, "disk"),
            f"flavors.{name} has a disk of {flavor.disk} GiB, and nova refuses a server with a "
            f"larger image: {images}",
            "",
            f"Give it a disk of {max(larger.values())}, or use another image with it.",
        )
