"""PCI addresses: where a function sits."""

from __future__ import annotations

from wholecard.core.errors import UsageError
from wholecard.core.record import dataclass

_HEX = frozenset("0123456789abcdefABCDEF")

# nova/pci/devspec.py, MAX_DOMAIN: nova reads no address in a domain above.
NOVA_MAX_DOMAIN = 0xFFFF


@dataclass(frozen=True, order=True)
class Address:
    """Where a function is: domain (up to 32 bits), bus (8), slot (5) and function (3 bits).

    Addresses sort as `lspci` lists them. A domain has more than 16 bits behind Intel VMD
    (`10000:01:00.0`); the kernel prints at least four digits.
    """

    domain: int
    bus: int
    slot: int
    function: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read `0000:01:00.0`, `10000:01:00.0` or, in domain 0, `01:00.0`.

        Raises UsageError on anything else.
        """
        numbers = parse_numbers(text)
        if numbers is None:
            raise UsageError(
                f"{text!r} is not a PCI address",
                resolution="Write it as lspci -D does: 0000:01:00.0",
            )
        return cls(*numbers)

    def __str__(self) -> str:
        return f"{self.domain:04x}:{self.bus:02x}:{self.slot:02x}.{self.function:x}"

    @property
    def in_wide_domain(self) -> bool:
        """Whether its domain has more than 16 bits, so that nova cannot read the address."""
        return self.domain > NOVA_MAX_DOMAIN

    @property
    def slot_key(self) -> str:
        """The slot, which all functions of one card share: `0000:01:00`."""
        return f"{self.domain:04x}:{self.bus:02x}:{self.slot:02x}"


def parse_numbers(text: str) -> tuple[int, int, int, int] | None:
    """The four numbers of an address as text, None for any other text.

    Written without `re`, whose import takes as long as reading a hundred functions.
    """
    domain, rest = text[:-7], text[-7:]
    if len(rest) != 7 or rest[2::3] != ":.":
        return None
    if domain and not (domain[-1] == ":" and 4 <= len(domain) - 1 <= 8):
        return None
    if not _HEX.issuperset(domain[:-1] + rest[:2] + rest[3:5] + rest[6]):
        return None
    slot, function = int(rest[3:5], 16), int(rest[6], 16)
    if slot > 0x1F or function > 7:
        return None
    return int(domain[:-1] or "0", 16), int(rest[:2], 16), slot, function
