"""What went wrong in a DKMS build: the first error of its make.log, and what to do about it.

dkms(8): the log of a failed build stays in /var/lib/dkms/MODULE/VERSION/build/make.log.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from wholecard.core import Finding, Severity
from wholecard.core.plain_text import plain
from wholecard.core.small_files import listed, read_bytes
from wholecard.guest.drivers.known_drivers import BROKEN_PAIRS
from wholecard.guest.drivers.known_failures import advice
from wholecard.guest.drivers.records import BrokenPair

_TREE = "var/lib/dkms"
_LONGEST = 300
# gcc's `file.c:12:3: error: …`, modpost's `ERROR: modpost: …`, make's own `*** …`, the shell's.
_ERRORS = (
    re.compile(r"^.*?(?P<where>[^\s:]+:\d+(?::\d+)?): (?:fatal )?error: (?P<what>.+)$"),
    re.compile(r"^(?P<where>)(?P<what>(?:ERROR: modpost|/bin/sh|ld): .+)$"),
    re.compile(r"^(?P<where>)make(?:\[\d+\])?: \*\*\* (?P<what>.+)$"),
)
_KERNEL = re.compile(
    r"\bkernel (?:version )?(\d+\.\d+\.[^\s()]+)|for kernel:? (\d+\.\d+\.[^\s()]+)"
)
# gcc quotes with the typographic signs where the locale has them.
_QUOTES = str.maketrans({"\u2018": "'", "\u2019": "'", "`": "'"})


@dataclass(frozen=True)
class BuildError:
    """The first error of a build: `nv-pci.c:237:9`, and the compiler's sentence after `error:`.

    `line` is its number in the log, from 1. `pair` is the row of the table that knows it.
    """

    module: str
    version: str
    kernel: str
    where: str
    what: str
    line: int
    pair: BrokenPair | None

    @property
    def quoted(self) -> str:
        """`nv-pci.c:237:9: error: too few arguments …`."""
        return f"{self.where}: error: {self.what}" if self.where else self.what

    def finding(self) -> Finding:
        """WC428, with the line as it is in the log."""
        fix = "Hold the kernel that the driver was built for, or take another branch of the driver."
        if self.pair:
            fix = f"{self.pair.cause} {advice(self.pair, self.version, self.kernel)}"
        return Finding(
            "WC428", f"{self.module} {self.version}", Severity.ERROR,
            f"it did not build{f' for {self.kernel}' if self.kernel else ''}: {self.quoted}",
            fix,
        )  # fmt: skip


def first_error(text: str, module: str = "", version: str = "") -> BuildError | None:
    """The first error of a make.log's text; None where it has none.

    A compiler's error counts before make's own `***`, which only says that something failed.
    """
    lines = text.splitlines()
    kernel = next((match for match in map(_KERNEL.search, lines[:50]) if match), None)
    release = plain(next(filter(None, kernel.groups()), "")) if kernel else ""
    for pattern in _ERRORS:
        for number, line in enumerate(lines, 1):
            # A compiler's line is short; a linker's list of objects has many kilobytes.
            match = pattern.match(line[:4000])
            if match:
                what = plain(match["what"].strip()[:_LONGEST])
                return BuildError(module, version, release, plain(_short(match["where"])), what,
                                  number, _pair_with(what))  # fmt: skip
    return None


def failed_builds(root: Path) -> tuple[BuildError, ...]:
    """The first error of each DKMS build that failed in the tree of an image.

    A module that was built has its log elsewhere (/var/lib/dkms/…/KERNEL/ARCH/log), so a log in
    `build/` is a failure's.
    """
    errors = []
    tree = root / _TREE
    for module in listed(str(tree)):
        for version in listed(str(tree / module)):
            data = read_bytes(str(tree / module / version / "build/make.log"))
            if data is None:
                continue
            error = first_error(data.decode(errors="replace"), plain(module), plain(version))
            if error:
                errors.append(error)
    return tuple(errors)


def _short(where: str) -> str:
    """The last two parts of a path are enough to find it; the folder before is dkms's own."""
    path, colon, rest = where.partition(":")
    return "/".join(path.split("/")[-2:]) + colon + rest


def _pair_with(what: str) -> BrokenPair | None:
    """The row whose error this is; compilers quote by the locale."""
    straight = what.translate(_QUOTES)
    return next((pair for pair in BROKEN_PAIRS if straight.startswith(pair.error)), None)
