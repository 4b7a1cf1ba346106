"""Commands that run on other hosts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Elsewhere:
    """`--on` and the options that go with it."""

    on: tuple[str, ...]
    sudo: bool
    ssh_config: Path | None
    jobs: int | None
    timeout: float | None
