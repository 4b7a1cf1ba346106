"""Names for ids, from the pci.ids file that pciutils or hwdata installs.

Source: the format described at the head of https://pci-ids.ucw.cz/v2.2/pci.ids.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path

from wholecard.pci.function import Function

PLACES = (Path("usr/share/misc/pci.ids"), Path("usr/share/hwdata/pci.ids"))

# A key is the ids from the outermost level in: ("10de",), ("10de", "1eb8"), ("C 03",), ...
Names = dict[tuple[str, ...], str]


def find_ids_file(root: Path) -> Path | None:
    """The names file of `root`, else this machine's own, else None."""
    for base in (root, Path("/")):
        for place in PLACES:
            if (base / place).is_file():
                return base / place
    return None


def read_names(path: Path, wanted: Iterable[tuple[str, ...]]) -> Names:
    """Names for `wanted` keys, read line by line: the whole file is over a megabyte of text.

    Keys are `(vendor,)`, `(vendor, device)`, `("C bb",)` and `("C bb", "ss")` in lower-case hex.
    A key without a name is left out. Raises OSError where the file cannot be read.
    """
    open_keys = set(wanted)
    names: Names = {}
    outer = ""
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if not open_keys:
                break
            if line.startswith(("#", "\t\t", "\n")):
                continue
            head, _, name = line.strip().partition("  ")
            if not line.startswith("\t"):
                outer = head
            key = (outer, head) if line.startswith("\t") else (outer,)
            if key in open_keys:
                open_keys.remove(key)
                names[key] = name.strip()
    return names


def name_functions(root: Path, functions: Iterable[Function]) -> tuple[Function, ...]:
    """The functions with their vendor's, device's and class's names; empty where none is known."""
    functions = tuple(functions)
    path = find_ids_file(root)
    wanted = {key for function in functions for key in _keys(function)}
    try:
        names = read_names(path, wanted) if path else {}
    except OSError:
        names = {}
    return tuple(_named(function, names) for function in functions)


def _keys(function: Function) -> tuple[tuple[str, ...], ...]:
    base = f"C {function.class_code[:2]}"
    return (
        (function.vendor,),
        (function.vendor, function.device),
        (base,),
        (base, function.class_code[2:4]),
    )


def _named(function: Function, names: Names) -> Function:
    vendor, device, base, subclass = (names.get(key, "") for key in _keys(function))
    return dataclasses.replace(
        function, vendor_name=vendor, device_name=device, class_name=subclass or base
    )
