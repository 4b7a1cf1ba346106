"""What the firmware wants mapped one to one, by its ACPI tables: RMRR in DMAR, IVMD in IVRS.

The kernel shows the same in `reserved_regions` of an IOMMU group, but only once the IOMMU is on;
the tables are there before, for root. Sources: Intel VT-d specification, "Reserved Memory Region
Reporting Structure" and "Device Scope Structure"; AMD I/O virtualization specification (48882),
"I/O Virtualization Memory Definition Block"; linux, include/acpi/actbl1.h and actbl2.h. Which
functions they mean is decided as the kernel does: drivers/iommu/intel/dmar.c, dmar_insert_dev_scope
and dmar_match_pci_path; drivers/iommu/intel/iommu.c, intel_iommu_get_resv_regions,
is_downstream_to_pci_bridge and device_rmrr_is_relaxable; drivers/iommu/amd/init.c,
init_unity_map_range; drivers/iommu/amd/iommu.c, amd_iommu_get_resv_regions.
"""

from __future__ import annotations

from wholecard.core.record import dataclass
from wholecard.host.facts.host import DirectMapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from wholecard.pci import Address, Function

    Mappings = tuple[DirectMapping, ...]

# The common header, and what DMAR and IVRS have before their first structure: 12 bytes each.
_HEAD = 48
# Real ones have some hundred bytes, or some thousand on boards with many sockets.
LIMIT = 64 << 10
_MOST_MAPPINGS = 10_000
# actbl1.h: ACPI_DMAR_TYPE_RESERVED_MEMORY, and the types of a device scope.
_RMRR, _RMRR_HEAD, _SCOPE_HEAD = 1, 24, 6
_ENDPOINT, _BRIDGE = 1, 2
# drivers/iommu/amd/init.c, ACPI_IVMD_TYPE*: all functions, one of them, a range.
_IVMD_ALL, _IVMD_ONE, _IVMD_RANGE, _IVMD_SIZE = 0x20, 0x21, 0x22, 32
# IVMD_FLAG_UNITY_MAP and IVMD_FLAG_EXCL_RANGE: the kernel maps both one to one.
_IVMD_MAPPED = 0x01 | 0x08
_PAGE = 4096
# drivers/iommu/intel/iommu.c, IS_GFX_DEVICE and IS_USB_DEVICE.
_RELAXABLE = ("03", "0c03")


@dataclass(frozen=True)
class Scope:
    """A device that DMAR names: the root bus, and slot and function of each step down from it."""

    kind: int
    bus: int
    path: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Rmrr:
    """Memory, first and last address, that the devices of `scopes` in a segment need."""

    segment: int
    first: int
    last: int
    scopes: tuple[Scope, ...]


@dataclass(frozen=True)
class Ivmd:
    """Memory that the functions from `first_id` to `last_id` (bus, slot, function) need."""

    segment: int
    first: int
    last: int
    first_id: int
    last_id: int


def direct_mappings(kind: str, table: bytes, functions: Iterable[Function]) -> Mappings | None:
    """What each of the functions needs, by the table of this kind of IOMMU; None if it is broken.

    Left out are bridges, which no guest gets, and VFs, which are their PF's matter.
    """
    parse, needs = _READERS[kind]
    try:
        entries = tuple(parse(table))
    except ValueError:
        return None
    endpoints = [f for f in functions if not f.is_bridge and f.physfn is None]
    mappings: list[DirectMapping] = []
    for function, entry in ((f, e) for f in endpoints for e in entries if needs(f, e)):
        if len(mappings) == _MOST_MAPPINGS:
            return None
        mappings.append(_mapping(kind, function, entry))
    return tuple(mappings)


def _mapping(kind: str, function: Function, entry: Rmrr | Ivmd) -> DirectMapping:
    is_relaxable = kind == "vt-d" and function.class_code.startswith(_RELAXABLE)
    return DirectMapping(
        str(function.address),
        f"{entry.first:#018x}",
        f"{entry.last:#018x}",
        "direct-relaxable" if is_relaxable else "direct",
    )


def parse_dmar(table: bytes) -> Iterator[Rmrr]:
    """The RMRRs of the table DMAR. Raises ValueError for what is no such table."""
    for entry in _structures(table, b"DMAR", 2):
        if _number(entry, 0, 2) == _RMRR:
            if len(entry) < _RMRR_HEAD:
                raise ValueError("an RMRR is too short")
            yield Rmrr(
                _number(entry, 6, 2),
                _number(entry, 8, 8),
                _number(entry, 16, 8),
                tuple(_scopes(entry[_RMRR_HEAD:])),
            )


def parse_ivrs(table: bytes) -> Iterator[Ivmd]:
    """The IVMDs of the table IVRS that are mapped one to one. Raises ValueError as above."""
    for entry in _structures(table, b"IVRS", 1):
        kind, flags = entry[0], entry[1]
        if kind not in (_IVMD_ALL, _IVMD_ONE, _IVMD_RANGE):
            continue
        if len(entry) < _IVMD_SIZE:
            raise ValueError("an IVMD is too short")
        if flags & _IVMD_MAPPED:
            first_id, last_id = _number(entry, 4, 2), _number(entry, 6, 2)
            start = _page_end(_number(entry, 16, 8))
            yield Ivmd(
                _number(entry, 8, 2),
                start,
                start + _page_end(_number(entry, 24, 8)) - 1,
                0 if kind == _IVMD_ALL else first_id,
                {_IVMD_ALL: 0xFFFF, _IVMD_ONE: first_id}.get(kind, last_id),
            )


def _structures(table: bytes, signature: bytes, type_size: int) -> Iterator[bytes]:
    """The structures of a table: a type of `type_size` bytes, and a length in bytes 2 and 3."""
    length = _number(table, 4, 4)
    if table[:4] != signature or not _HEAD <= length <= len(table):
        raise ValueError("no such table")
    position = _HEAD
    while position < length:
        size = _number(table, position + 2, 2)
        if size < max(4, type_size) or position + size > length:
            raise ValueError("a structure does not fit")
        yield table[position : position + size]
        position += size


def _scopes(data: bytes) -> Iterator[Scope]:
    position = 0
    while position < len(data):
        size = data[position + 1] if position + 1 < len(data) else 0
        if size < _SCOPE_HEAD or position + size > len(data):
            raise ValueError("a device scope does not fit")
        steps = data[position + _SCOPE_HEAD : position + size]
        path = tuple(zip(steps[::2], steps[1::2]))
        yield Scope(data[position], data[position + 5], path)
        position += size


def _number(data: bytes, position: int, size: int) -> int:
    return int.from_bytes(data[position : position + size], "little")


def _page_end(address: int) -> int:
    """linux: PAGE_ALIGN, the next page's begin but for what begins a page."""
    return -(-address // _PAGE) * _PAGE


def _is_in_scopes(function: Function, rmrr: Rmrr) -> bool:
    """Whether an RMRR is for the function: a scope names it, or a bridge above it."""
    address = function.address
    if address.domain != rmrr.segment:
        return False
    chain = [*(parent for parent in function.parents if parent.domain == address.domain), address]
    # A bridge's scope may name what has a bridge's class and is none, such as an NTB.
    own = {_ENDPOINT, _BRIDGE} if function.class_code.startswith("06") else {_ENDPOINT}
    return any(
        scope.kind in (own if depth == len(chain) else {_BRIDGE})
        and _is_path_of(chain[:depth], scope)
        for scope in rmrr.scopes
        for depth in range(1, len(chain) + 1)
    )


def _is_path_of(chain: list[Address], scope: Scope) -> bool:
    """The kernel's dmar_match_pci_path, `chain` from the root bus down to a device.

    Firmware that gives the device's own bus in place of the path from the root is understood too.
    """
    steps = tuple((step.slot, step.function) for step in chain)
    return (scope.bus, scope.path) in ((chain[0].bus, steps), (chain[-1].bus, steps[-1:]))


def _is_in_range(function: Function, ivmd: Ivmd) -> bool:
    address = function.address
    number = address.bus << 8 | address.slot << 3 | address.function
    return address.domain == ivmd.segment and ivmd.first_id <= number <= ivmd.last_id


_READERS: dict[str, tuple[Callable[..., Iterator[Rmrr | Ivmd]], Callable[..., bool]]] = {
    "vt-d": (parse_dmar, _is_in_scopes),
    "amd-vi": (parse_ivrs, _is_in_range),
}
