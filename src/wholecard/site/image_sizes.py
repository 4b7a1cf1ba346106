"""The disks that a site's images have: as they are to be built, or as their files have them."""

from __future__ import annotations

from collections.abc import Mapping

from wholecard.core.units import GIB
from wholecard.guest.image.qcow2 import disk_size
from wholecard.site.build_requests import built_name
from wholecard.site.load import SiteFile


def image_sizes(file: SiteFile) -> Mapping[str, int]:
    """The size in GiB, rounded up, of each image whose size is known."""
    sizes = {}
    for name, image in file.site.images.items():
        if image.build is not None and image.build.size != "auto":
            sizes[name] = image.build.size
            continue
        if image.build is None and image.file is None:
            continue
        path = file.path.parent / built_name(name, image)
        size = disk_size(path) if path.is_file() else None
        if size is not None:
            sizes[name] = -(-size // GIB)
    return sizes
