"""Which kernel modules would claim a function if vfio-pci did not.

`modules.alias` has tens of thousands of lines of which a host needs a few: only the PCI patterns of
the host's vendors are searched for and compared. Source: kmod, depmod(8)
and modules.alias(5); linux, scripts/mod/file2alias.c, `do_pci_entry`.
"""

from __future__ import annotations

from wholecard.core.small_files import read_bytes, under
from wholecard.pci.attributes import is_module_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from wholecard.core.small_files import Root
    from wholecard.pci.function import Function

# Bytes that are searched for a driver's next alias before the whole file is.
_STRETCH = 20_000


def matching_modules(
    root: Root, release: str, modaliases: Iterable[str]
) -> dict[str, tuple[str, ...]]:
    """For each modalias the modules that match it, sorted, where there are any.

    A missing file gives none. Variant drivers of VFIO (`vfio_pci:` aliases) are not native drivers
    and are not among them.
    """
    names = {name: name.encode(errors="replace") for name in modaliases if name[:5] == "pci:v"}
    if not names:
        return {}
    devices: dict[bytes, set[bytes]] = {b"pci:v*": set()}
    for text in names.values():
        devices.setdefault(text[:14], set()).add(text[14:22])
    data = _alias_data(root, release)
    aliases = [alias for head, ids in devices.items() for alias in _aliases(data, head, ids)]
    by_name = {name: _modules_of(name, aliases) for name in names}
    return {name: modules for name, modules in by_name.items() if modules}


def _alias_data(root: Root, release: str) -> bytes:
    data = read_bytes(under(root, f"lib/modules/{release}/modules.alias")) or b""
    # Every line is found by the newline before it; depmod's file begins with a comment.
    return data if data.startswith(b"#") else b"\n" + data


def _modules_of(modalias: str, aliases: list[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(sorted({module for pattern, module in aliases if _matches(modalias, pattern)}))


def _aliases(data: bytes, head: bytes, devices: set[bytes]) -> list[tuple[str, str]]:
    """Pattern and module of each alias that begins with `head` and may be for one of `devices`."""
    aliases = []
    marker = b"\nalias " + head
    position = data.find(marker)
    while position >= 0:
        start = position + len(marker)
        device = data[start : start + 8]
        # Nearly all of a vendor's patterns name another device.
        if device in devices or device[:1] == b"*" or head.endswith(b"*"):
            end = data.find(b"\n", start)
            line = data[position + len(b"\nalias ") : end if end >= 0 else None]
            pattern, _, module = line.decode(errors="replace").partition(" ")
            if is_module_name(module.strip()):
                aliases.append((pattern, module.strip()))
        # A driver's aliases follow each other, and a search of a short stretch costs far less to
        # begin than one of the whole file.
        near = data.find(marker, start, start + _STRETCH)
        position = near if near >= 0 else data.find(marker, start)
    return aliases


def _matches(text: str, pattern: str) -> bool:
    """Whether a shell glob matches. depmod writes stars alone; what has more is left to fnmatch."""
    if "[" in pattern or "?" in pattern:
        # Imports `re`, which a host's aliases do not need.
        import fnmatch

        return fnmatch.fnmatchcase(text, pattern)
    first, *others = pattern.split("*")
    if not others:
        return text == pattern
    if not text.startswith(first):
        return False
    position = len(first)
    for part in others[:-1]:
        position = text.find(part, position)
        if position < 0:
            return False
        position += len(part)
    return len(text) - position >= len(others[-1]) and text.endswith(others[-1])


def native_modules(
    root: Root, release: str, functions: Iterable[Function]
) -> dict[str, tuple[str, ...]]:
    """For each `modalias` of `functions` the modules that match it, where there are any."""
    return matching_modules(root, release, {function.modalias for function in functions})


def read_builtin(root: Root, release: str) -> frozenset[str]:
    """The modules built into the kernel, by name with underscores (`vfio_pci`)."""
    data = read_bytes(under(root, f"lib/modules/{release}/modules.builtin")) or b""
    lines = data.decode(errors="replace").splitlines()
    return frozenset(module_name(line.rpartition("/")[2].split(".")[0]) for line in lines)


def module_name(driver: str) -> str:
    """A module's name as the kernel spells it: `vfio-pci` is `vfio_pci`."""
    return driver.replace("-", "_")
