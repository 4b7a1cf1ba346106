"""What goes into the lab's Debian guest."""

from __future__ import annotations

from fnmatch import fnmatch

import pytest

from wholecard.guest.agent.files import AGENT_PATH, agent_text
from wholecard.guest.image.recipe import RunInGuest, WriteGuestFile
from wholecard.lab.parts.guest_image import IN_GUEST, NOT_UNPACKED, lab_guest


def files() -> dict[str, WriteGuestFile]:
    """The files of its recipe by their paths."""
    return {
        step.path: step for step in lab_guest().recipe.steps if isinstance(step, WriteGuestFile)
    }


# Paths of Debian's linux-image-amd64 6.12: the guest's disk, its config drive, its cards.
@pytest.mark.parametrize(
    "module",
    ["drivers/block/virtio_blk", "drivers/virtio/virtio_pci", "fs/ext4/ext4", "drivers/ata/ahci",
     "drivers/scsi/sr_mod", "drivers/cdrom/cdrom", "fs/isofs/isofs",
     "drivers/video/fbdev/aty/aty128fb"],
)  # fmt: skip
def test_needed_modules_are_unpacked(module: str) -> None:
    """What is left out for the image's size is nothing that the guest needs."""
    path = f"/usr/lib/modules/6.12.118+deb13-amd64/kernel/{module}.ko.xz"
    assert [pattern for pattern in NOT_UNPACKED if fnmatch(path, pattern)] == []


def test_the_agent_starts_at_boot() -> None:
    """It has the agent of this very checkout, and its unit is enabled."""
    assert files()[AGENT_PATH].content == agent_text("linux").encode()
    enabled = RunInGuest(("systemctl", "enable", "wholecard-agent.service"), "")
    assert enabled.argv in [getattr(step, "argv", ()) for step in lab_guest().recipe.steps]


def test_the_whole_benchmark_is_in_it() -> None:
    """Sources and kernels of packages/bench, and the command; nothing compiled here."""
    names = {path.removeprefix(f"{IN_GUEST}/") for path in files() if path.startswith(IN_GUEST)}
    assert {"cli.py", "nbody/numba_backend.py", "nbody/kernel/nbody.cu"} <= names
    assert not [name for name in names if "__pycache__" in name]
    assert files()["/usr/local/bin/wholecard-bench"].mode == 0o755
