"""PCI addresses: where a function sits."""

from __future__ import annotations

import re
from dataclasses import dataclass

from wholecard.core import UsageError

_ADDRESS = re.compile(
    r"(?:(?P<domain>[0-9a-f]{4,8}):)?(?P<bus>[0-9a-f]{2}):(?P<slot>[0-9a-f]{2})\.(?P<function>[0-7])",
    re.IGNORECASE,
)


@dataclass(frozen=True, order=True)
class Address:
    """A function's place: domain (up to 32 bits), bus (8 bits), slot (5 bits), function (3 bits).

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
        match = _ADDRESS.fullmatch(text)
        if match is None or int(match["slot"], 16) > 0x1F:
            raise UsageError(
                f"{text!r} is no PCI address",
                resolution="Write it as lspci -D does: 0000:01:00.0",
            )
        return cls(
            int(match["domain"] or "0", 16),
            int(match["bus"], 16),
            int(match["slot"], 16),
            int(match["function"], 16),
        )

    def __str__(self) -> str:
        return f"{self.slot_key}.{self.function:x}"

    @property
    def slot_key(self) -> str:
        """The slot, which all functions of one card share: `0000:01:00`."""
        return f"{self.domain:04x}:{self.bus:02x}:{self.slot:02x}"
