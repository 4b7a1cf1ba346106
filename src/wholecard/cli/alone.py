"""The agent's commands that have no group before them."""

from __future__ import annotations

# The agent's commands that stand for themselves; the others stand below `wholecard host`.
ALONE = ("inspect", "check")
