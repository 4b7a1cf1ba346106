"""Which kernel modules would claim a function if vfio-pci did not.

`modules.alias` has tens of thousands of lines of which a host needs a few: only the PCI patterns of
the host's vendors are searched for and compared. Source: kmod, depmod(8)
and modules.alias(5); linux, scripts/mod/file2alias.c, `do_pci_entry`.
"""

from __future__ import annotations

from wholecard.core.module_names import is_module_name
from wholecard.core.small_files import read_bytes, under
from wholecard.pci.vfio_drivers import NEEDS_VARIANT, module_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from wholecard.core.small_files import Root
    from wholecard.pci.function import Function

# Bytes that are searched for a driver's next alias before the whole file is.
_STRETCH = 20_000
_VFIO_LINE = b"\nalias vfio_pci:"


def matching_modules(data: bytes, modaliases: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """For each modalias the modules that match it, sorted, where there are any.

    `data` is that of `read_aliases`. Variant drivers of VFIO (`vfio_pci:` aliases) are not native
    drivers and are not among them.
    """
    by_name = _by_name(data, modaliases, "pci")
    modules = {name: tuple(sorted({m for _, m in some})) for name, some in by_name.items()}
    return {name: some for name, some in modules.items() if some}


def variant_modules(
    data: bytes, modaliases: Iterable[str], modules: Modules | None
) -> dict[str, str]:
    """For each modalias the module of VFIO's variant driver for it, where this kernel has one.

    The most specific `vfio_pci:` alias counts, that with the fewest wildcards. Where none matches,
    it is the module that the device needs (`NEEDS_VARIANT`), if it is among `modules`.
    """
    by_name = _by_name(_vfio_lines(data), modaliases, "vfio_pci")
    variants = {}
    for name, aliases in by_name.items():
        # vfio_pci's own alias matches everything: only a name that says a vendor is a variant's.
        named = [
            (pattern.count("*"), -len(pattern), module)
            for pattern, module in aliases
            if ":v*" not in pattern
        ]
        needed = NEEDS_VARIANT.get(f"{name[9:13]}:{name[18:22]}".lower(), "")
        if named:
            variants[name] = min(named)[2]
        elif modules is not None and needed in modules:
            variants[name] = needed
    return variants


def _by_name(data: bytes, modaliases: Iterable[str], bus: str) -> dict[str, list[tuple[str, str]]]:
    """For each modalias of PCI the aliases of `bus` that match it, as pattern and module."""
    names = {
        name: f"{bus}{name[3:]}".encode(errors="replace")
        for name in modaliases
        if name[:5] == "pci:v"
    }
    if not names:
        return {}
    length = len(bus)
    devices: dict[bytes, set[bytes]] = {f"{bus}:v*".encode(): set()}
    for text in names.values():
        devices.setdefault(text[: length + 11], set()).add(text[length + 11 : length + 19])
    aliases = [alias for head, ids in devices.items() for alias in _aliases(data, head, ids)]
    return {
        name: [alias for alias in aliases if _matches(text, alias[0])]
        for name, text in ((name, f"{bus}{name[3:]}") for name in names)
    }


def read_aliases(root: Root, release: str) -> bytes:
    """The kernel's `modules.alias`, a megabyte, as it is searched here; empty without one."""
    data = read_bytes(under(root, f"lib/modules/{release}/modules.alias")) or b""
    # Every line is found by the newline before it; depmod's file begins with a comment.
    return data if data.startswith(b"#") else b"\n" + data


def _vfio_lines(data: bytes) -> bytes:
    """The `vfio_pci:` aliases, some dozens: a search of the whole file a vendor costs more."""
    lines = []
    start = data.find(_VFIO_LINE)
    while start >= 0:
        end = data.find(b"\n", start + 1)
        lines.append(data[start : end if end >= 0 else None])
        start = data.find(_VFIO_LINE, end) if end >= 0 else -1
    return b"".join(lines)


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
    modaliases = {function.modalias for function in functions}
    return matching_modules(read_aliases(root, release), modaliases)


def read_builtin(root: Root, release: str) -> frozenset[str]:
    """The modules built into the kernel, by name with underscores (`vfio_pci`)."""
    data = read_bytes(under(root, f"lib/modules/{release}/modules.builtin")) or b""
    lines = data.decode(errors="replace").splitlines()
    return frozenset(module_of(line.rpartition("/")[2].split(".")[0]) for line in lines)


class Modules:
    """The modules that a kernel has, built in or as files: `name in modules`, with underscores."""

    def __init__(self, files: bytes, builtin: frozenset[str]) -> None:
        # A file's name has either sign; the whole file is searched for every module that is asked.
        self._files = files.replace(b"-", b"_")
        self._builtin = builtin

    def __contains__(self, module: str) -> bool:
        name = module_of(module)
        return name in self._builtin or f"/{name}.ko".encode() in self._files


def read_modules(root: Root, release: str, builtin: frozenset[str]) -> Modules | None:
    """The kernel's modules; None where `modules.dep` cannot be read."""
    files = read_bytes(under(root, f"lib/modules/{release}/modules.dep"))
    return None if files is None else Modules(files, builtin)
