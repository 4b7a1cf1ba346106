"""What a cleaning changes for its own duration, kept so that it is put back after any end.

The file is in `/run`: a reboot undoes all of it. It is written before the first change and removed
after the last value is back, so a cleaning that was killed is cleaned up by the next one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from wholecard.core import WholecardError
from wholecard.transaction import syscalls
from wholecard.transaction.atomic_files import (
    make_directories,
    remove,
    under,
    write_atomically,
)
from wholecard.transaction.checksummed import read_plain

FOLDER = "run/wholecard"


@dataclass(frozen=True)
class FormerValues:
    """The former values of one function, by its address.

    `command` is its command register, None where nothing is changed there; `power_control` and
    `reset_method` are the texts of these attributes, empty where the function has none.
    """

    address: str
    command: int | None
    power_control: str
    reset_method: str


class UndoFile:
    """The file of one card."""

    def __init__(self, root: Path, slot: str) -> None:
        self.path = under(root, f"{FOLDER}/clean-card-{slot}.json")

    def write(self, former: tuple[FormerValues, ...]) -> None:
        """Keep the values."""
        make_directories(self.path.parent)
        rows = [row.__dict__ for row in former]
        write_atomically(self.path, json.dumps(rows).encode(), 0o600)

    def read(self) -> tuple[FormerValues, ...]:
        """The values that a killed cleaning left; empty without any. Raises WholecardError."""
        try:
            return tuple(FormerValues(**row) for row in json.loads(read_plain(self.path)))
        except FileNotFoundError:
            return ()
        except (OSError, ValueError, TypeError) as error:
            raise WholecardError(
                f"cannot read {self.path}",
                str(error),
                "It has the values that an interrupted cleaning changed. Reboot the host, which "
                "undoes them, or remove the file.",
            ) from error

    def remove(self) -> None:
        """All values are back."""
        remove(self.path)


def write_attribute(folder: Path, name: str, text: str) -> None:
    """Write one attribute of a function. Raises WholecardError with what the kernel says."""
    try:
        syscalls.write_sysfs(folder / name, f"{text}\n")
    except OSError as error:
        raise WholecardError(
            f"the kernel refuses {text!r} for {folder / name}: {error.strerror}",
            resolution="See what the kernel says (dmesg).",
        ) from error
