"""Huge pages that the kernel reserves at boot, as kernel arguments.

Source: linux, Documentation/admin-guide/mm/hugetlbpage.rst: `hugepagesz` names the size that the
`hugepages` behind it counts; a count without a size before it is of the default size. Pages of
1 GiB are best asked for at boot, while memory is whole.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from wholecard.core import UsageError

# linux: the default size of x86-64 where default_hugepagesz does not say.
_DEFAULT_SIZE = "2M"

_ASKED = re.compile(r"(2M|1G):([0-9]{1,7})", re.IGNORECASE)
_NAMES = frozenset({"default_hugepagesz", "hugepagesz", "hugepages"})


@dataclass(frozen=True)
class HugePages:
    """`count` huge pages of `size` (`2M`, `1G`), reserved when the host boots."""

    size: str
    count: int

    @classmethod
    def parse(cls, text: str) -> HugePages:
        """Read `1G:64`. Raises UsageError on anything else."""
        match = _ASKED.fullmatch(text)
        if match is None:
            raise UsageError(
                f"{text!r} is not a size and a count of huge pages",
                "The sizes of x86-64 are 2M and 1G.",
                "Write it as SIZE:COUNT: --hugepages 1G:64",
            )
        return cls(match[1].upper(), int(match[2]))


def hugepage_group(words: Sequence[str], requested: Sequence[HugePages]) -> tuple[str, ...]:
    """The words for the requested pages, and for those of other sizes that the line has.

    `words` are the command line's. The first requested size becomes the default, which is what
    systemd mounts at /dev/hugepages and libvirt finds without settings of its own.
    """
    default, pools = _read(words)
    counts = {pages.size: str(pages.count) for pages in requested}
    default, pools = next(iter(counts), default), {**pools, **counts}
    present = tuple(word for word in words if word.partition("=")[0] in _NAMES)
    names_default = any(word.startswith("default_hugepagesz=") for word in present)
    if names_default and _read(present) == (default, pools):
        return present
    sizes = dict.fromkeys([*counts, *pools])
    pairs = [word for size in sizes for word in (f"hugepagesz={size}", f"hugepages={pools[size]}")]
    return (f"default_hugepagesz={default}", *pairs)


def _read(words: Sequence[str]) -> tuple[str, dict[str, str]]:
    """The default size, and the count for each size (a number, or one for each NUMA node)."""
    default, size, pools = _DEFAULT_SIZE, "", {}
    for word in words:
        name, _, value = word.partition("=")
        if name == "default_hugepagesz":
            default = _size(value)
    for word in words:
        name, _, value = word.partition("=")
        if name == "hugepagesz":
            size = _size(value)
        elif name == "hugepages":
            pools[size or default] = value
    return default, pools


def _size(text: str) -> str:
    # The kernel takes 1G, 1g and, leaving the last letter unread, 1GB.
    return text.upper().rstrip("B")
