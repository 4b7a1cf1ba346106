"""What the texts of a function's attributes mean; garbled ones mean nothing.

Sources: linux, Documentation/ABI/testing/sysfs-bus-pci; drivers/pci/pci-sysfs.c, `resource_show`;
drivers/pci/pci-driver.c, `pci_uevent`; drivers/pci/probe.c, `pci_speed_string`.
"""

from __future__ import annotations

from wholecard.core.small_files import link_name, read_attribute, text_of
from wholecard.pci.address import Address, parse_numbers

TYPE_CHECKING = False
if TYPE_CHECKING:
    Numbers = tuple[int, int, int, int]

_STANDARD_BARS = 6
_UNUSED_BAR = b"0x0000000000000000 0x0000000000000000 0x0000000000000000"
_RESOURCE_LINE = b"0123456789abcdefABCDEFx "
_HEX = frozenset("0123456789abcdefABCDEF")


def module_behind(drivers: str, driver: str | None) -> str | None:
    """The module behind a driver; None where it is built in."""
    if driver is None or "/" in driver:
        return None
    return link_name(f"{drivers}/{driver}/module")


def override_of(data: bytes | None) -> str | None:
    """The driver that alone may take a function; the kernel prints `(null)` for none."""
    text = text_of(data)
    return text if text not in ("", "(null)") else None


def link_value(data: bytes | None) -> float | int | None:
    """`8.0 GT/s PCIe` is 8.0, `16` is 16; `Unknown`, and 0 for a link that is down, are None."""
    digits, _, unit = text_of(data).partition(" ")
    if not unit:
        return number(digits) or None
    whole, _, part = digits.partition(".")
    fine = number(whole) is not None and (not part or number(part) is not None)
    return float(digits) or None if fine and unit.startswith("GT/s") else None


def above_of(target: str) -> tuple[tuple[Address, ...], str]:
    """Parents and path of slots of what is below a folder of `devices`."""
    parents = []
    steps = []
    for part in target.split("/"):
        numbers = parse_numbers(part)
        if numbers:
            parents.append(Address(*numbers))
            steps.append(f"{numbers[2]:02x}.{numbers[3]:x}")
        elif part.startswith("pci") and parse_numbers(f"{part[3:]}:00.0"):
            # Behind Intel VMD there is a root bus below a function; paths begin at the last.
            steps = [part[3:]]
    return tuple(parents), "/".join(steps) if steps and ":" in steps[0] else ""


def is_whole(said: dict[str, str]) -> bool:
    """Whether `uevent` told all that the kernel writes there for a function without a driver."""
    vendor, _, device = said.get("PCI_ID", "").partition(":")
    sub_vendor, _, sub_device = said.get("PCI_SUBSYS_ID", "").partition(":")
    return all(len(each) == 4 and _HEX.issuperset(each)
               for each in (vendor, device, sub_vendor, sub_device)) and bool(
        said.get("MODALIAS") and hex_digits("0x" + said.get("PCI_CLASS", "").zfill(6), 8)
    )  # fmt: skip


def said_or_read(text: str, digits: int, at: int, name: str) -> str:
    """What `uevent` said, where that is an id, else what the attribute `name` says.

    Zeros are what a class that was not said is filled up with.
    """
    if len(text) == digits and _HEX.issuperset(text) and text.strip("0"):
        return text.lower()
    return hex_digits(text_of(read_attribute(name, at)), digits + 2)


def hex_digits(text: str, length: int) -> str:
    """The digits of `0x10de`, in all `length` characters; empty where it is anything else."""
    fine = len(text) == length and text[:2] == "0x" and _HEX.issuperset(text[2:])
    return text[2:].lower() if fine else ""


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
    return (first, last - first + 1) if last > first else (0, 0)
