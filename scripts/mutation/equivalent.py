"""Mutations that change nothing which anybody could notice, each with the reason."""

from __future__ import annotations

# File -> (the first changed line, what is done to it, why nobody could notice).
EQUIVALENT: dict[str, tuple[tuple[str, str, str], ...]] = {
    "cloud/planning/address_width.py": (
        ("by_size = sorted(functions, key=lambda row: max(row.bars, default=0), reverse=True)",
         "0 is one more", "no BAR is smaller than 16 bytes (PCI 3.0, 6.2.5.1)"),
    ),
}  # fmt: skip
