"""Which module the image's kernel would bind to a card, and whether modules fit that kernel.

Everything is read from the tree of an image, without kmod and without the card: the files are those
that depmod(8) writes, and the modules' own `.modinfo` and `__versions`. Tests compare it with
`modprobe --resolve-alias`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from wholecard.core import Finding, Severity
from wholecard.core.plain_text import plain
from wholecard.core.small_files import inside, listed, read_bytes, read_text
from wholecard.guest.image.kernel_modules import ModuleError, decompressed, module_name, parse_dep

# modprobe.d(5), in the order of kmod's config_paths.
_CONFIG_FOLDERS = ("etc/modprobe.d", "run/modprobe.d", "usr/local/lib/modprobe.d",
                   "usr/lib/modprobe.d", "lib/modprobe.d")  # fmt: skip
# struct modversion_info on 64 bits: an unsigned long and the name (linux: include/linux/module.h).
_VERSION_ENTRY = 64
# The classes that cards have: 3D, VGA, another display controller, processing accelerator (PCI Code
# and ID Assignment, base classes 03 and 12). A card's ids do not tell which of them it has.
_CLASSES = ("030200", "030000", "038000", "120000")


@dataclass(frozen=True)
class ModuleFacts:
    """What a module's file says: `vermagic`, its signer (empty where unsigned), symbol CRCs."""

    name: str
    vermagic: str
    version: str
    is_signed: bool
    crcs: Mapping[str, int]


def card_alias(ids: str, class_code: str = "030200") -> str:
    """The alias that the kernel gives a function: `pci:v000010DEd00002330sv…sd…bc03sc02i00`.

    `ids` is `10de:2330`, `class_code` six hex digits; subsystems are zeros, which no driver for
    GPUs asks for. Source: linux, drivers/pci/pci-sysfs.c, modalias_show.
    """
    vendor, device = ids.upper().split(":")
    base, sub, interface = class_code[:2], class_code[2:4], class_code[4:6]
    return (
        f"pci:v0000{vendor}d0000{device}sv00000000sd00000000"
        f"bc{base.upper()}sc{sub.upper()}i{interface.upper()}"
    )


def would_bind(root: Path, kernel: str, modalias: str) -> tuple[str, ...]:
    """The modules that udev would load for an alias in this image, without blacklisted ones.

    Names have underscores; those of modprobe.d's aliases, or else of modules.alias, in their order.
    Empty where none matches. This is what `modprobe --use-blacklist --resolve-alias` prints.
    Raises ModuleError where the kernel has no modules.alias.
    """
    return _bound(_configuration(root), _table(root, kernel), modalias)


def card_modules(root: Path, kernel: str, ids: str) -> tuple[tuple[str, ...], ...]:
    """`would_bind` for each class that a card with these ids may have, where any module would."""
    config = _configuration(root)
    # Of 20,000 aliases a hundred are of the vendor or of all vendors.
    other, own = "pci:v0000", f"pci:v0000{ids[:4].upper()}"
    table = [row for row in _table(root, kernel) if row[0].startswith(own) or other not in row[0]]
    by_class = (_bound(config, table, card_alias(ids, code)) for code in _CLASSES)
    return tuple(dict.fromkeys(names for names in by_class if names))


def _table(root: Path, kernel: str) -> Iterator[tuple[str, str]]:
    """The patterns and names of the kernel's modules.alias."""
    base = root / "lib/modules" / kernel
    data = read_bytes(str(base / "modules.alias"))
    if data is None:
        raise ModuleError(
            f"{base} has no modules.alias", resolution="Install that kernel, or run depmod."
        )
    return _aliases(data)


def _bound(
    config: _Configuration, table: Iterable[tuple[str, str]], modalias: str
) -> tuple[str, ...]:
    # kmod asks modprobe.d first, and modules.alias only where nothing there matches.
    for aliases in (config.aliases, table):
        names = {name: None for pattern, name in aliases if _matches(modalias, pattern)}
        if names:
            return tuple(name for name in names if name not in config.blacklist)
    return ()


def installed_kernels(root: Path) -> tuple[str, ...]:
    """The releases that have modules in the tree, sorted as text."""
    return tuple(
        name
        for name in listed(str(root / "lib/modules"))
        if (root / "lib/modules" / name / "modules.dep").is_file()
    )


def module_facts(name: str, data: bytes) -> ModuleFacts:
    """What a plain ELF module says of itself. Raises ModuleError where it is no such file."""
    sections = _sections(name, data)
    info: dict[str, str] = {}
    for entry in sections.get(".modinfo", b"").split(b"\0"):
        key, sign, value = entry.partition(b"=")
        if sign:
            info.setdefault(key.decode(errors="replace"), value.decode(errors="replace"))
    versions = sections.get("__versions", b"")
    crcs = {}
    for start in range(0, len(versions) - _VERSION_ENTRY + 1, _VERSION_ENTRY):
        entry = versions[start : start + _VERSION_ENTRY]
        symbol = entry[8:].split(b"\0")[0].decode(errors="replace")
        crcs[symbol] = struct.unpack_from("<Q", entry)[0]
    # linux: include/linux/module_signature.h: the mark is the file's end.
    signed = data.endswith(b"~Module signature appended~\n")
    return ModuleFacts(name, info.get("vermagic", ""), info.get("version", ""), signed, crcs)


def module_findings(root: Path, kernel: str, name: str) -> tuple[Finding, ...]:
    """WC426 where the module is not there, was built for another kernel or misses a symbol.

    Symbols are compared by their CRCs with Module.symvers of the kernel's headers, where the tree
    has them. Raises ModuleError for a file that is no module.
    """
    wanted = name.replace("-", "_")
    # Debian's `nvidia` is no module but `install nvidia modprobe -i nvidia-current-open`.
    wanted = _configuration(root).installs.get(wanted, wanted)
    base = root / "lib/modules" / kernel
    dep = parse_dep(read_text(base / "modules.dep"))
    path = next((path for path in dep if module_name(path) == wanted), None)
    if path is None:
        return (_unfit(name, kernel, "it is not installed for this kernel"),)
    data = read_bytes(str(base / path))
    if data is None:
        return (_unfit(name, kernel, f"{PurePosixPath(path).name} cannot be read"),)
    problem = _problem(module_facts(wanted, decompressed(path, data)), root, kernel)
    return (_unfit(name, kernel, problem),) if problem else ()


def _problem(facts: ModuleFacts, root: Path, kernel: str) -> str:
    """Why the kernel would not load the module; empty where nothing speaks against it."""
    built_for = plain(facts.vermagic.split(" ")[0])
    if built_for != kernel:
        return f"it was built for {built_for or 'no kernel'}"
    exported = _symvers(root, kernel) or {}
    wrong = sorted(
        symbol for symbol, crc in facts.crcs.items()
        if symbol in exported and exported[symbol] != crc & 0xFFFFFFFF
    )  # fmt: skip
    names = ", ".join(map(plain, wrong[:3]))
    return f"its symbols do not fit the kernel's: {names}" if wrong else ""


def binding_findings(root: Path, kernel: str, ids: str, expected: str) -> tuple[Finding, ...]:
    """WC427 where another module than the expected one would bind the card, or none."""
    by_class = card_modules(root, kernel, ids)
    if any(names[0] == expected.replace("-", "_") for names in by_class):
        return ()
    names = by_class[0] if by_class else ()
    what = f"{names[0]} would bind it" if names else "no module would bind it"
    return (
        Finding(
            "WC427", f"card {ids}", Severity.ERROR,
            f"in the kernel {kernel} of the image {what}, not {expected}.",
            f"Blacklist {names[0]} in /etc/modprobe.d." if names else
            f"Install {expected} for this kernel, and run depmod.",
        ),
    )  # fmt: skip


def _unfit(name: str, kernel: str, what: str) -> Finding:
    return Finding(
        "WC426", f"module {name}", Severity.ERROR,
        f"the kernel {kernel} would not load it: {what}.",
        "Build it for the kernel that will boot: install that kernel's headers, then "
        f"`dkms autoinstall -k {kernel}`.",
    )  # fmt: skip


@dataclass(frozen=True)
class _Configuration:
    blacklist: frozenset[str]
    aliases: tuple[tuple[str, str], ...]
    installs: Mapping[str, str]


def _configuration(root: Path) -> _Configuration:
    """What modprobe.d has of three directives."""
    blacklist, aliases, installs = set(), [], {}
    for path in _configuration_files(root):
        for line in _text_inside(root, path).splitlines():
            words = line.split()
            if len(words) >= 2 and words[0] == "blacklist":
                blacklist.add(words[1].replace("-", "_"))
            elif len(words) >= 3 and words[0] == "alias":
                aliases.append((words[1], words[2].replace("-", "_")))
            elif words[:1] == ["install"] and words[2:4] == ["modprobe", "-i"] and words[4:]:
                installs[words[1].replace("-", "_")] = words[4].replace("-", "_")
    return _Configuration(frozenset(blacklist), tuple(aliases), installs)


def _configuration_files(root: Path) -> list[str]:
    """The files of modprobe.d in the order of their names, relative to the root."""
    files: dict[str, str] = {}
    for folder in _CONFIG_FOLDERS:
        for name in listed(str(root / folder)):
            if name.endswith(".conf"):
                files.setdefault(name, f"{folder}/{name}")
    return [path for _, path in sorted(files.items())]


def _text_inside(root: Path, path: str) -> str:
    """A file's text; a link leads as it does in the image (Debian's lead to /etc/alternatives)."""
    try:
        return read_text(inside(root, path, follow=True))
    except OSError:
        return ""


def _aliases(data: bytes) -> Iterator[tuple[str, str]]:
    for line in data.decode(errors="replace").splitlines():
        words = line.split()
        if len(words) == 3 and words[0] == "alias":
            yield words[1], words[2].replace("-", "_")


def _matches(modalias: str, pattern: str) -> bool:
    """fnmatch(3); 23,000 patterns are told apart by their beginnings, and few are compiled."""
    start = pattern.partition("*")[0]
    if "?" not in start and "[" not in start and not modalias.startswith(start):
        return False
    return fnmatchcase(modalias, pattern)


def _symvers(root: Path, kernel: str) -> dict[str, int] | None:
    """Module.symvers of the kernel's headers, in Debian's or the kernel's own place."""
    for path in (f"usr/src/linux-headers-{kernel}/Module.symvers",
                 f"usr/src/kernels/{kernel}/Module.symvers"):  # fmt: skip
        text = read_text(root / path)
        if text:
            lines = (line.split("\t") for line in text.splitlines())
            return {words[1]: int(words[0], 16) for words in lines if len(words) > 1}
    return None


def _sections(name: str, data: bytes) -> dict[str, bytes]:
    """The sections of a 64-bit little-endian ELF file that are read here (elf(5))."""
    try:
        if data[:6] != b"\x7fELF\x02\x01":
            raise ModuleError(f"{name} is not a 64-bit little-endian module", resolution="")
        start = struct.unpack_from("<Q", data, 40)[0]
        size, count, names = struct.unpack_from("<HHH", data, 58)
        headers = [struct.unpack_from("<IIQQQQ", data, start + n * size) for n in range(count)]
        texts = data[headers[names][4] :]
        wanted = {}
        for head, _type, _flags, _address, offset, length in headers:
            title = texts[head : texts.index(b"\0", head)].decode(errors="replace")
            if title in (".modinfo", "__versions"):
                wanted[title] = data[offset : offset + length]
    except (struct.error, IndexError, ValueError) as error:
        raise ModuleError(
            f"{name} is damaged", str(error), "Install the package of the module again."
        ) from error
    return wanted
