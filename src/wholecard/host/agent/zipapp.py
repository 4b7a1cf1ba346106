"""The agent as one file that any Python from 3.9 on runs."""

from __future__ import annotations

from pathlib import Path

from wholecard.host.operations.agent_archive import agent_bytes
from wholecard.transaction.atomic_files import write_atomically

__all__ = ["agent_bytes", "build_agent"]


def build_agent(target: Path) -> Path:
    """Write `wholecard-host.pyz` to `target` and return it; run it as `python3 FILE inspect`."""
    write_atomically(target, agent_bytes(), 0o755)
    return target
