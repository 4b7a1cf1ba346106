"""Console framebuffers of the firmware that still hold a part of a card's memory.

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
    """One for each function whose memory a console of the firmware holds.

    `/proc/iomem` shows what lies in a function's BAR: by its addresses to root, and to everybody
    by its indentation. Where it has no framebuffer, `/proc/fb` names one that can only be on the
    boot display.
    """
    functions = tuple(functions)
    found: dict[str, str] = {}
    for name, start, above in _regions(read_text(under(root, "proc/iomem"))):
        for function in functions:
            if str(function.address) in above or _holds(function, start):
                found.setdefault(str(function.address), name)
    if not found:
        names = [_IN_FB[each] for each in _consoles(root) if each in _IN_FB]
        boot = [function for function in functions if function.boot_vga]
        found = {str(function.address): names[0] for function in boot if names}
    return tuple(Framebuffer(name, address) for address, name in sorted(found.items()))


def _regions(text: str) -> Iterator[tuple[str, int, tuple[str, ...]]]:
    """Each framebuffer in iomem: name, first address (0 where hidden) and the regions around it."""
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


def _consoles(root: Root) -> list[str]:
    lines = read_text(under(root, "proc/fb")).splitlines()
    return [line.partition(" ")[2].strip() for line in lines]
