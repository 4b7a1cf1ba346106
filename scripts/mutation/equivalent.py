"""Mutations that change nothing which anybody could notice, each with the reason."""

from __future__ import annotations

# File -> (the first changed line, what is done to it, why nobody could notice).
EQUIVALENT: dict[str, tuple[tuple[str, str, str], ...]] = {}
