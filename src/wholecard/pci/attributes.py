"""What the texts of a function's attributes mean; a garbled one counts as absent.

Sources: linux, Documentation/ABI/testing/sysfs-bus-pci; drivers/pci/pci-sysfs.c, `resource_show`;
drivers/pci/pci-driver.c, `pci_uevent`; drivers/pci/probe.c, `pci_speed_string`.
"""

from __future__ import annotations

from wholecard.core.module_names import NAME_LIMIT, is_module_name
from wholecard.core.small_files import link_name, read_attribute, text_of
from wholecard.pci.address import Address, parse_numbers

TYPE_CHECKING = False
if TYPE_CHECKING:
    Numbers = tuple[int, int, int, int]

_STANDARD_BARS = 6
_LAST_ADDRESS = (1 << 64) - 1
_UNUSED_BAR = b"0x0000000000000000 0x0000000000000000 0x0000000000000000"
_RESOURCE_LINE = b"0123456789abcdefABCDEFx "
_HEX = frozenset("0123456789abcdefABCDEF")


def driver_name(text: str | None) -> str | None:
    """A driver's name; None where it is no name. A few old ones have spaces (`Intel ICH`)."""
    if not text or len(text) > NAME_LIMIT or "/" in text:
        return None
    return text if text.isascii() and text.isprintable() else None


def driver_module(drivers: str, driver: str | None) -> str | None:
    """The module that has a driver; None where it is built in."""
    if driver is None or "/" in driver:
        return None
    name = link_name(f"{drivers}/{driver}/module")
    return name if name and is_module_name(name) else None


def driver_override(data: bytes | None) -> str | None:
    """The only driver that may bind a function; the kernel prints `(null)` for none."""
    text = text_of(data)
    return driver_name(text) if text != "(null)" else None


def link_value(data: bytes | None) -> float | int | None:
    """`8.0 GT/s PCIe` is 8.0, `16` is 16; `Unknown`, and 0 for a link that is down, are None."""
    digits, _, unit = text_of(data).partition(" ")
    if not unit:
        return number(digits) or None
    whole, _, decimals = digits.partition(".")
    decimal = number(whole) is not None and (not decimals or number(decimals) is not None)
    return float(digits) or None if decimal and unit.startswith("GT/s") else None


def parents_and_path(target: str) -> tuple[tuple[Address, ...], str]:
    """The bridges above a function and its path of slots, by its folder below `/sys/devices`."""
    parents = []
    slots = []
    for step in target.split("/"):
        numbers = parse_numbers(step)
        if numbers:
            parents.append(Address(*numbers))
            slots.append(f"{numbers[2]:02x}.{numbers[3]:x}")
        elif step.startswith("pci") and parse_numbers(f"{step[3:]}:00.0"):
            # Behind Intel VMD there is a root bus below a function; a path begins at the last.
            slots = [step[3:]]
    return tuple(parents), "/".join(slots) if slots and ":" in slots[0] else ""


def is_complete(uevent: dict[str, str]) -> bool:
    """Whether `uevent` has all that the kernel writes there for a function without a driver."""
    ids = f"{uevent.get('PCI_ID', '')}:{uevent.get('PCI_SUBSYS_ID', '')}".split(":")
    if len(ids) != 4 or not all(len(part) == 4 and _HEX.issuperset(part) for part in ids):
        return False
    class_code = hex_digits("0x" + uevent.get("PCI_CLASS", "").zfill(6), 8)
    return bool(uevent.get("MODALIAS") and class_code)


def id_or_attribute(text: str, digits: int, folder: int, name: str) -> str:
    """The id that `uevent` has as `text`, else that of the attribute `name` in the open folder.

    A class that `uevent` lacks comes here as zeros alone.
    """
    if len(text) == digits and _HEX.issuperset(text) and text.strip("0"):
        return text.lower()
    return hex_digits(text_of(read_attribute(name, folder)), digits + 2)


def hex_digits(text: str, length: int) -> str:
    """The digits of `0x10de`, in all `length` characters; empty where it is anything else."""
    is_hex = len(text) == length and text[:2] == "0x" and _HEX.issuperset(text[2:])
    return text[2:].lower() if is_hex else ""


def numbers_of(address: Address) -> Numbers:
    """Domain, bus, slot and function."""
    return address.domain, address.bus, address.slot, address.function


def address_of(text: str | None) -> Address | None:
    """The address that a link names; None for anything else."""
    numbers = parse_numbers(text) if text else None
    return Address(*numbers) if numbers else None


def number(text: str) -> int | None:
    """A number of at most nine decimal digits; None for anything else, also a negative one."""
    return int(text) if text.isdigit() and text.isascii() and len(text) < 10 else None


def bars_of(data: bytes) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Sizes and starts from `resource`: a line of first address, last address and flags each."""
    sizes = []
    starts = []
    for line in data.split(b"\n", _STANDARD_BARS)[:_STANDARD_BARS]:
        size = start = 0
        if line != _UNUSED_BAR:
            if not line:
                break
            start, size = _bar(line)
        sizes.append(size)
        starts.append(start)
    return tuple(sizes), tuple(starts)


def _bar(line: bytes) -> tuple[int, int]:
    words = line.split()
    if len(words) != 3 or line.translate(None, _RESOURCE_LINE) or len(line) > 60:
        return 0, 0
    try:
        first, last = int(words[0], 16), int(words[1], 16)
    except ValueError:
        return 0, 0
    return (first, last - first + 1) if _LAST_ADDRESS >= last > first else (0, 0)
