"""The guest that is moved live, on files: a FIFO for its slice, a file for its card's memory."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from support.script_guests import run_on_files
from support.tree import grow
from wholecard.lab.parts.script_image import MOVING_GUEST
from wholecard.lab.scenario.moving_guest import GuestStep, steps

SIZE = 1 << 20
BOOT = "17d2f1c0-1111-4222-8333-444455556666"
# `read -t` is no POSIX: busybox has it, which the guest has, and bash.
SHELL = next(
    shell for shell in (["busybox", "sh"], ["bash", "--posix"]) if shutil.which(shell[0])
)  # fmt: skip


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A slice at ttyS4 and a card at fb1, beside a framebuffer of another maker."""
    grow(tmp_path, {
        "sys/bus/pci/devices/0000:00:03.0/vendor": "0x8086\n",
        "sys/bus/pci/devices/0000:00:04.0/vendor": "0x4348\n",
        "sys/bus/pci/devices/0000:00:04.0/tty/ttyS4/dev": "4:68\n",
        "sys/class/graphics/fb0/device/vendor": "0x1234\n",
        "sys/class/graphics/fb1/device/vendor": "0x1002\n",
    })  # fmt: skip
    (tmp_path / "dev").mkdir()
    os.mkfifo(tmp_path / "dev/ttyS4")
    for name in ("fb0", "fb1"):
        (tmp_path / "dev" / name).write_bytes(bytes(SIZE))
    return tmp_path


def walk(place: Path, count: int) -> tuple[GuestStep, ...]:
    """What the guest says in so many steps."""
    settings = {"GUEST_SIZE": str(SIZE), "GUEST_STEPS": str(count)}
    return steps(run_on_files(MOVING_GUEST, place, BOOT, SHELL, settings))


def test_each_step_uses_slice_and_card(place: Path) -> None:
    """At each step its slice answers and its card keeps its marks; fb0 is left alone."""
    assert walk(place, 2) == tuple(
        GuestStep(number, number, number, "ttyS4", "fb1", BOOT) for number in (1, 2)
    )
    assert (place / "dev/fb0").read_bytes() == bytes(SIZE)


def test_memory_that_is_lost_shows(place: Path) -> None:
    """A card that keeps nothing of what was written to it is not counted as kept."""
    (place / "dev/fb1").unlink()
    (place / "dev/fb1").symlink_to("/dev/zero")
    (step,) = walk(place, 1)
    assert (step.answered, step.kept) == (1, 0)


def test_without_devices(place: Path) -> None:
    """A server without slice and card counts all the same."""
    shutil.rmtree(place / "sys/class")
    shutil.rmtree(place / "sys/bus/pci/devices/0000:00:04.0")
    assert walk(place, 1) == (GuestStep(1, 0, 0, "", "", BOOT),)
