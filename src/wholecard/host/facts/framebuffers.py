"""Console framebuffers of the firmware that still use a part of a card's memory.

Sources: linux, drivers/firmware/sysfb_simplefb.c (`BOOTFB`), drivers/video/fbdev/{efifb,vesafb,
simplefb}.c and drivers/gpu/drm/sysfb for the names in `/proc/iomem` and `/proc/fb`.
"""

from __future__ import annotations

from wholecard.core.small_files import read_text, under
from wholecard.host.facts.host import Framebuffer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from wholecard.core.small_files import Root
    from wholecard.pci.function import Function

_IN_IOMEM = frozenset({"BOOTFB", "efifb", "vesafb", "simplefb", "simple-framebuffer",
                       "efi-framebuffer", "vesa-framebuffer"})  # fmt: skip
_IN_FB = {
    "EFI VGA": "efifb",
    "VESA VGA": "vesafb",
    "simple": "simplefb",
    "simpledrmdrmfb": "simpledrm",
    "efidrmdrmfb": "efidrm",
    "vesadrmdrmfb": "vesadrm",
}


def read_framebuffers(root: Root, functions: Iterable[Function]) -> tuple[Framebuffer, ...]:
    """One for each function whose memory a console of the firmware uses.

    `/proc/iomem` shows what is in a function's BAR: by its addresses to root, and to everybody by
    its indentation. Where it has no framebuffer, `/proc/fb` names one that can only be on the boot
    display.
    """
    functions = tuple(functions)
    in_iomem: dict[str, str] = {}
    for name, start, around in _regions(read_text(under(root, "proc/iomem"))):
        for function in functions:
            if str(function.address) in around or _holds(function, start):
                in_iomem.setdefault(str(function.address), name)
    names = in_iomem or _on_boot_display(root, functions)
    return tuple(Framebuffer(name, address) for address, name in sorted(names.items()))


def _on_boot_display(root: Root, functions: Iterable[Function]) -> dict[str, str]:
    """The first framebuffer of the firmware in `/proc/fb`, by the boot display's address."""
    lines = read_text(under(root, "proc/fb")).splitlines()
    consoles = (line.partition(" ")[2].strip() for line in lines)
    name = next((_IN_FB[console] for console in consoles if console in _IN_FB), None)
    return {str(function.address): name for function in functions if function.boot_vga and name}


def _regions(text: str) -> Iterator[tuple[str, int, tuple[str, ...]]]:
    """Each framebuffer in iomem: name, first address (0 if hidden) and the regions around it."""
    around: list[str] = []
    for line in text.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        span, _, name = line.partition(" : ")
        around[depth:] = [name.strip()]
        if name.strip() in _IN_IOMEM:
            try:
                start = int(span.partition("-")[0], 16)
            except ValueError:
                continue
            yield name.strip(), start, tuple(around[:-1])


def _holds(function: Function, address: int) -> bool:
    return address > 0 and any(
        start <= address < start + size for start, size in zip(function.bar_starts, function.bars)
    )
