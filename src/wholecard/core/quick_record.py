"""Records of which an audit makes some hundred thousand: frozen for type checkers alone.

`dataclasses` makes a frozen record by one `object.__setattr__` for each field. Of PciDevice, with
18 fields, that is 3.6 us where plain assignments are 0.7 us. They compare, hash, print and are
replaced as frozen ones are; mypy refuses who changes one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["quick_record"]

if TYPE_CHECKING:
    from dataclasses import dataclass as quick_record
else:
    from dataclasses import dataclass

    def quick_record(*, frozen, slots):
        """A dataclass with slots whose hash is that of its fields."""
        return dataclass(slots=slots, unsafe_hash=frozen)
