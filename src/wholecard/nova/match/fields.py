"""The fields of an address, and how nova reads them."""

from __future__ import annotations

import string
from typing import NamedTuple

from wholecard.nova.match.words import ANY
from wholecard.pci.address import NOVA_MAX_DOMAIN

_HEX = frozenset(string.hexdigits)


class UnreadableAddressError(Exception):
    """nova cannot read a device's address: its domain has more than 16 bits."""


class Fields(NamedTuple):
    """The four fields of an address as text: digits, `*`, or regular expressions."""

    domain: str
    bus: str
    slot: str
    function: str

    def __str__(self) -> str:
        return f"{self.domain}:{self.bus}:{self.slot}.{self.function}"

    @property
    def is_single(self) -> bool:
        """Whether nova takes it for one function's address: nothing but hexadecimal digits."""
        return all(_HEX.issuperset(field) for field in self)


# nova/pci/devspec.py: the largest value of each field, and how many digits it is written with.
ADDRESS_BOUNDS = {
    "domain": (NOVA_MAX_DOMAIN, 4),
    "bus": (0xFF, 2),
    "slot": (0x1F, 2),
    "function": (7, 1),
}


def hex_word(word: str, largest: int, digits: int) -> str:
    """A number in hexadecimal, written with `digits`; `*` stays.

    Raises ValueError for what is none and OverflowError above `largest`. As in nova a sign, `0x`
    and blanks are allowed, so that a negative number passes and matches nothing.
    """
    if word == ANY:
        return word
    value = int(word, 16)
    if value > largest:
        raise OverflowError(word)
    return f"{value:0{digits}x}"


def device_fields(address: str) -> Fields:
    """The fields of a device's own address. Raises UnreadableAddressError where nova could not."""
    left, _, function = address.partition(".")
    try:
        words = zip((*left.split(":"), function), ADDRESS_BOUNDS.values(), strict=True)
        return Fields(*(hex_word(word, *bounds) for word, bounds in words))
    except (ValueError, OverflowError):
        raise UnreadableAddressError(address) from None
