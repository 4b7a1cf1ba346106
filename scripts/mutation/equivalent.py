"""Mutations that change nothing which anybody could notice, each with the reason."""

from __future__ import annotations

# File -> (the first changed line, what is done to it, why nobody could notice).
_BUFFER = "how much is read at a time"
EQUIVALENT: dict[str, tuple[tuple[str, str, str], ...]] = {
    "transaction/atomic_files.py": (
        ("_CHUNK = 1 << 20", "1 is one more", _BUFFER),
        ("_CHUNK = 1 << 20", "20 is one more", _BUFFER),
    ),
    "cloud/operations/images.py": (
        ("_CHUNK = 1 << 20", "1 is one more", _BUFFER),
        ("_CHUNK = 1 << 20", "20 is one more", _BUFFER),
    ),
    "host/facts/kernel_log.py": (
        ("_RECORD_LIMIT = 65536", "65536 is one more",
         "a record has 8192 bytes at most (linux: CONSOLE_EXT_LOG_MAX)"),
    ),
    "host/facts/module_aliases.py": (
        ("_STRETCH = 20_000", "20_000 is one more", "the rest of the file is searched after it"),
    ),
    "cloud/planning/address_width.py": (
        ("by_size = sorted(functions, key=lambda row: max(row.bars, default=0), reverse=True)",
         "0 is one more", "no BAR is smaller than 16 bytes (PCI 3.0, 6.2.5.1)"),
    ),
}  # fmt: skip
