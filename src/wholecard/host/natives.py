"""Which kernel modules would claim a function if vfio-pci did not."""

from __future__ import annotations

import fnmatch
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from wholecard.pci import Function


def native_modules(
    root: Path, release: str, functions: Iterable[Function]
) -> dict[str, tuple[str, ...]]:
    """For each `modalias` of `functions` the modules that match it, sorted.

    Read line by line from `lib/modules/RELEASE/modules.alias`, where patterns are shell globs
    (kmod: modules.alias(5), depmod writes it). A missing file gives no modules. Variant drivers
    of VFIO (`vfio_pci:` aliases) are no native drivers and are not among them.
    """
    wanted = {function.modalias for function in functions if function.modalias}
    found: dict[str, set[str]] = defaultdict(set)
    try:
        with (root / "lib/modules" / release / "modules.alias").open(errors="replace") as lines:
            for line in lines:
                if line.startswith("alias pci:"):
                    _, pattern, module = [*line.split(), "", ""][:3]
                    # A glob is compiled once and costs milliseconds on a slow host: most of the
                    # 27 000 patterns differ before their first star (vendor and device).
                    head = pattern.partition("*")[0].partition("[")[0].partition("?")[0]
                    for modalias in wanted:
                        if modalias.startswith(head) and fnmatch.fnmatchcase(modalias, pattern):
                            found[modalias].add(module)
    except OSError:
        pass
    return {modalias: tuple(sorted(modules - {""})) for modalias, modules in found.items()}


def read_builtin(root: Path, release: str) -> frozenset[str]:
    """The modules built into the kernel, by name with underscores (`vfio_pci`)."""
    try:
        text = (root / "lib/modules" / release / "modules.builtin").read_text(errors="replace")
    except OSError:
        return frozenset()
    return frozenset(module_name(Path(line).name.split(".")[0]) for line in text.splitlines())


def module_name(driver: str) -> str:
    """A module's name as the kernel spells it: `vfio-pci` is `vfio_pci`."""
    return driver.replace("-", "_")
