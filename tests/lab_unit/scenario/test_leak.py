"""The guest that looks for the last one's marks, on files; and what is read of its console."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from support.leak import Sight, is_done, report, sights
from support.script_guests import run_on_files
from support.tree import Leaf, grow
from wholecard.lab.parts.script_image import LEAK_GUEST

SIZE = 1 << 20
FIRST, SECOND = (f"{number}7d2f1c0-1111-4222-8333-444455556666" for number in (1, 2))
SHELLS = [shell for shell in (["sh"], ["dash"], ["busybox", "sh"]) if shutil.which(shell[0])]


def boot(place: Path, boot_id: str, shell: list[str]) -> str:
    """Run the guest's script on the files below `place`; its console."""
    return run_on_files(LEAK_GUEST, place, boot_id, shell, {"GUEST_SIZE": str(SIZE)})


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_two_guests(tmp_path: Path, shell: list[str]) -> None:
    """The first guest finds nothing, the second all marks of the first, both only in the cards."""
    tree: dict[str, Leaf] = {
        "sys/class/graphics/fb0/device/vendor": "0x1234\n",
        "sys/class/graphics/fb1/device/vendor": "0x1002\n",
        "sys/class/graphics/fb2/device/vendor": "0x1002\n",
    }
    grow(tmp_path, tree)
    (tmp_path / "dev").mkdir()
    for name in ("fb0", "fb1", "fb2"):
        (tmp_path / "dev" / name).write_bytes(bytes(SIZE))
    console = boot(tmp_path, FIRST, shell)
    assert is_done(console)
    assert sights(console) == (
        Sight("fb1", SIZE, 0, 0, "", FIRST), Sight("fb2", SIZE, 0, 0, "", FIRST)
    )  # fmt: skip
    # The driver's console has drawn over some of it.
    with (tmp_path / "dev/fb2").open("r+b") as stream:
        stream.write(bytes(65536))
    console = boot(tmp_path, SECOND, shell)
    whole, drawn = sights(console)
    assert (whole.of, whole.marked, whole.leaked_bytes) == (FIRST, SIZE // 64, SIZE)
    assert (drawn.of, drawn.leaked_bytes, drawn.nonzero_bytes) == (
        # The first mark behind what was drawn is not at the beginning of a line.
        FIRST, SIZE - 65536 - 64, SIZE - 65536,
    )  # fmt: skip
    assert (tmp_path / "dev/fb0").read_bytes() == bytes(SIZE)


def test_console() -> None:
    """A line that lost a byte is not read, for it stands there three times."""
    good = f"WHOLECARD-LEAK card=fb0 bytes=64 nonzero=64 marked=1 of={FIRST} mine={SECOND} end"
    done = f"WHOLECARD-LEAK cards=1 mine={SECOND} done"
    text = f"boot\r\n{good[:20]}{good[21:]}\r\n{good}\r\n{done}\r\n"
    assert [sight.leaked_bytes for sight in sights(text)] == [64]
    assert is_done(text)
    assert not is_done(text.replace("cards=1", "cards=2"))


def test_own_marks() -> None:
    """A guest's own marks, after a reboot of it, are no leak."""
    assert Sight("fb0", 64, 64, 1, FIRST, FIRST).leaked_bytes == 0


def test_report() -> None:
    """The report has a line for each hand-over and the sum."""
    found = ((Sight("fb0", 128, 64, 1, FIRST, SECOND),), (Sight("fb0", 128, 0, 0, "", SECOND),))
    assert report("without", found, 61.4) == (
        "without: 2 hand-overs in 61 s\n"
        "   1: fb0 64 of 128 bytes\n"
        "   2: fb0 0 of 128 bytes\n"
        "  the last server's marks were found in 1 of 2: 64 bytes"
    )
