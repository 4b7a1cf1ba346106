"""MIG of one card, as `nvidia-smi` prints it.

Source: NVIDIA MIG User Guide, "Getting Started with MIG": `nvidia-smi -i ADDRESS
--query-gpu=mig.mode.current` and `nvidia-smi mig -lgi`, whose table has a row for each instance:
`|   0  MIG 3g.20gb       9        1          4:4     |`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from wholecard.core import WholecardError, run

TOOL = "nvidia-smi"
_TIMEOUT = 60.0
_PROFILE = r"[1-9]g\.[1-9][0-9]{0,3}gb(?:\+me\.all|\+me|\+gfx|-me)?"
_ROW = re.compile(rf"^\|\s+\d+\s+MIG ({_PROFILE})\s+\d+\s+\d+\s+\d+:\d+\s+\|", re.MULTILINE)


@dataclass(frozen=True)
class MigState:
    """A card's MIG: `mode` is None where it could not be asked, `unread` says why.

    `instances` are how many GPU instances of each profile it has.
    """

    card: str
    mode: bool | None = None
    instances: tuple[tuple[str, int], ...] = ()
    unread: str = ""


def read_mig(root: Path, card: str) -> MigState:
    """Ask `nvidia-smi` of the host. Raises nothing: a driver that is not ready is `unread`."""
    try:
        mode = _ask(root, "-i", card, "--query-gpu=mig.mode.current", "--format=csv,noheader")
        if mode.strip() != "Enabled":
            return MigState(card, False if mode.strip() == "Disabled" else None, (), mode.strip())
        return MigState(card, True, instances(_ask(root, "mig", "-i", card, "-lgi", check=False)))
    except WholecardError as error:
        return MigState(card, unread=error.brief)


def instances(table: str) -> tuple[tuple[str, int], ...]:
    """How many instances of each profile a table of `nvidia-smi mig -lgi` has, by profile."""
    return tuple(sorted(Counter(_ROW.findall(table)).items()))


def geometry_text(geometry: Iterable[tuple[str, int]] | None) -> str:
    """`1g.10gb 3, 2g.20gb 2`; None is MIG switched off."""
    if geometry is None:
        return "off"
    return ", ".join(f"{name} {count}" for name, count in sorted(geometry)) or "no instance"


def is_profile(name: str) -> bool:
    """Whether it is the name of a MIG profile."""
    return re.fullmatch(_PROFILE, name) is not None


def _ask(root: Path, *arguments: str, check: bool = True) -> str:
    argv = (TOOL, *arguments)
    inside = argv if root == Path("/") else ("chroot", str(root), *argv)
    # Without an instance -lgi ends with another status than 0, and its table is empty.
    return run(inside, timeout=_TIMEOUT, env={"LC_ALL": "C"}, check=check).stdout
