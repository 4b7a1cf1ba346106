"""Kernel modules for the guest: which, in what order, and as `insmod` takes them.

Source: modules.dep(5), modules.builtin in kbuild's documentation.
"""

from __future__ import annotations

import gzip
import lzma
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from wholecard.core import WholecardError

# For the config drive, which nova attaches as a CD-ROM (SATA on q35; nova,
# virt/libvirt/blockinfo.py) and formats as ISO 9660; first, because the drive is found
# asynchronously. Then drivers for a card's functions in the proof guest: graphics (bochs as an
# example of a DRM driver), sound, NVMe, igb's VFs. Codec drivers come before the sound controller
# that looks for them: the guest has no modprobe that the kernel could call
# (Documentation/admin-guide/sysctl/kernel.rst).
GUEST_MODULES = ("ahci", "sr_mod", "isofs", "bochs", "snd-hda-codec-generic", "snd-hda-codec-hdmi",
                 "snd-hda-intel", "nvme", "igbvf")  # fmt: skip


class ModuleError(WholecardError):
    """The root lacks the kernel or the module, or a module cannot be unpacked."""


@dataclass(frozen=True)
class Module:
    """A module's name with underscores, and its plain ELF content."""

    name: str
    data: bytes


def module_name(path: str) -> str:
    """The kernel's name of a module file: `kernel/sound/snd-hda-intel.ko.xz` is `snd_hda_intel`."""
    return PurePosixPath(path).name.split(".ko")[0].replace("-", "_")


def parse_dep(text: str) -> dict[str, tuple[str, ...]]:
    """modules.dep as a mapping of each module's path to the paths that it needs."""
    lines = (line.partition(":") for line in text.splitlines())
    return {path.strip(): tuple(needs.split()) for path, colon, needs in lines if colon}


def load_order(
    dep: Mapping[str, Sequence[str]], names: Sequence[str], builtin: Collection[str] = ()
) -> tuple[str, ...]:
    """Paths of these modules and of all that they need, each after its needs, none twice.

    `names` have `-` or `_` and are taken in their order; names in `builtin` need no file. Raises
    ModuleError where a module is neither in `dep` nor built in.
    """
    by_name = {module_name(path): path for path in dep}
    builtin_names = {name.replace("-", "_") for name in builtin}
    order: dict[str, None] = {}

    def visit(path: str) -> None:
        if path in order:
            return
        # modules.dep lists the nearest need first, so the last one is loaded first.
        for need in reversed(dep[path]):
            visit(need)
        order[path] = None

    for name in (name.replace("-", "_") for name in names):
        if name in by_name:
            visit(by_name[name])
        elif name not in builtin_names:
            raise ModuleError(
                f"the kernel has no module {name}",
                resolution="Install linux-image-amd64: the cloud kernel has no sound and no DRM.",
            )
    return tuple(order)


def decompressed(path: str, data: bytes) -> bytes:
    """A module's plain ELF content from `.ko`, `.ko.xz` or `.ko.gz`. Raises ModuleError."""
    try:
        if path.endswith(".ko.xz"):
            data = lzma.decompress(data)
        elif path.endswith(".ko.gz"):
            data = gzip.decompress(data)
    except (lzma.LZMAError, OSError, EOFError) as error:
        raise ModuleError(
            f"cannot unpack {path}", str(error), "Install the kernel package again."
        ) from error
    if not data.startswith(b"\x7fELF"):
        raise ModuleError(
            f"{path} is not a kernel module", resolution="Only .ko, .ko.xz and .ko.gz are read."
        )
    return data


def kernel_release(root: Path) -> str:
    """The release (`6.12.107+deb13-amd64`) of a root's one kernel; ModuleError for none or more."""
    releases = sorted(file.parent.name for file in root.glob("lib/modules/*/modules.dep"))
    if len(releases) != 1:
        raise ModuleError(
            f"{root} has {len(releases)} kernels: {', '.join(releases) or 'none'}",
            resolution="Leave one kernel in that root, or name the release.",
        )
    return releases[0]


def read_modules(
    root: Path, release: str, names: Sequence[str] = GUEST_MODULES
) -> tuple[Module, ...]:
    """These modules and all that they need, in the order of loading. Raises ModuleError."""
    base = root / "lib/modules" / release
    try:
        dep = parse_dep((base / "modules.dep").read_text())
        builtin = [module_name(line) for line in (base / "modules.builtin").read_text().split()]
        return tuple(
            Module(module_name(path), decompressed(path, (base / path).read_bytes()))
            for path in load_order(dep, names, builtin)
        )
    except OSError as error:
        raise ModuleError(
            f"cannot read the modules of {release}", str(error), "Install that kernel in the root."
        ) from error
