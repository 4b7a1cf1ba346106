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
# What comes before a vendor's number in a native driver's alias and in a variant of VFIO's.
_BUSES = (b"\nalias pci:v", b"\nalias vfio_pci:v")
_MARK = b"pci:v"


class ModuleAliases:
    """The aliases of a kernel that match the modaliases of a host's functions.

    `data` is that of `read_aliases`; each vendor's patterns are searched for once.
    """

    def __init__(self, data: bytes, modaliases: Iterable[str]) -> None:
        self._names = [name for name in modaliases if name[:5] == "pci:v"]
        devices: dict[bytes, set[bytes]] = {b"*": set()} if self._names else {}
        for name in self._names:
            text = name.encode(errors="replace")
            devices.setdefault(text[5:13], set()).add(text[13:22])
        self._native: list[tuple[str, str]] = []
        self._vfio: list[tuple[str, str]] = []
        for vendor, own in devices.items():
            self._search(data, vendor, own)

    def native(self) -> dict[str, tuple[str, ...]]:
        """For each modalias the modules that match it, sorted, where there are any.

        Variant drivers of VFIO (`vfio_pci:` aliases) are not native drivers and not among them.
        """
        found = {
            name: tuple(sorted({module for pattern, module in self._native
                                if _matches(name, pattern)}))
            for name in self._names
        }  # fmt: skip
        return {name: modules for name, modules in found.items() if modules}

    def variants(self, modules: Modules | None) -> dict[str, str]:
        """For each modalias the module of VFIO's variant driver, where this kernel has one.

        The most specific `vfio_pci:` alias counts, that with the fewest wildcards. Where none
        matches, it is the module that the device needs (`NEEDS_VARIANT`), if among `modules`.
        """
        variants = {}
        for name in self._names:
            matching = (alias for alias in self._vfio if _matches(f"vfio_{name}", alias[0]))
            named = [(pattern.count("*"), -len(pattern), module) for pattern, module in matching]
            needed = NEEDS_VARIANT.get(f"{name[9:13]}:{name[18:22]}".lower(), "")
            if named:
                variants[name] = min(named)[2]
            elif modules is not None and needed in modules:
                variants[name] = needed
        return variants

    def _search(self, data: bytes, vendor: bytes, devices: set[bytes]) -> None:
        """Keep the aliases of one vendor, or of `*`, that may be for one of `devices`.

        vfio_pci's own alias matches everything: only one that names a vendor is a variant's.
        """
        is_any = vendor == b"*"
        mark = _MARK + vendor
        # The short one is rare, and what has few letters in common with most lines is found fast.
        wanted = b":v*" if is_any else mark
        skip = len(mark) - len(wanted)
        position = data.find(wanted)
        while position >= 0:
            start = position + len(wanted)
            device = data[start : start + 9]
            # Nearly all of a vendor's patterns name another device.
            if is_any or device in devices or device[:2] == b"d*":
                self._keep(data, position - skip, is_any)
            # A driver's aliases follow each other, and a search of a short stretch costs far less
            # to begin than one of the whole file.
            near = data.find(wanted, start, start + _STRETCH)
            position = near if near >= 0 else data.find(wanted, start)

    def _keep(self, data: bytes, mark: int, is_any: bool) -> None:
        """Keep the alias whose `pci:v` is at `mark`, if it is one of ours."""
        head = mark + len(_MARK)
        for bus, aliases in zip(_BUSES, (self._native, self._vfio)):
            begin = head - len(bus)
            if begin >= 0 and data.startswith(bus, begin) and not (is_any and bus is _BUSES[1]):
                end = data.find(b"\n", head)
                line = data[begin + len(b"\nalias ") : end if end >= 0 else None]
                pattern, _, module = line.decode(errors="replace").partition(" ")
                if is_module_name(module.strip()):
                    aliases.append((pattern, module.strip()))


def read_aliases(root: Root, release: str) -> bytes:
    """The kernel's `modules.alias`, a megabyte, as it is searched here; empty without one."""
    data = read_bytes(under(root, f"lib/modules/{release}/modules.alias")) or b""
    # Every line is found by the newline before it; depmod's file begins with a comment.
    return data if data.startswith(b"#") else b"\n" + data


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
    return ModuleAliases(read_aliases(root, release), modaliases).native()


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
