"""Who makes the next boot: boot loader, initramfs tool, kernels; found in the tree, never run."""

from __future__ import annotations

from wholecard.core.small_files import listed, read_text, under
from wholecard.host.bootloaders.registry import has_all, has_any

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wholecard.core.small_files import Root

# What reads a loader's settings is imported where that loader is: it needs `re`, and inspect's
# start is measured.

INITRAMFS = ("initramfs-tools", "dracut")


def find_initramfs(root: Root) -> tuple[str, ...]:
    """The initramfs tools under `root`, the one to be used first.

    Debian's dracut brings an update-initramfs of its own, and initramfs-tools leaves its settings
    behind when it is removed: mkinitramfs tells the two apart.
    """
    dracut = has_any(root, "usr/bin/dracut", "usr/sbin/dracut")
    tools = has_all(root, "etc/initramfs-tools", "usr/sbin/update-initramfs") and (
        not dracut or has_all(root, "usr/sbin/mkinitramfs")
    )
    there = {"initramfs-tools": tools, "dracut": dracut}
    return tuple(name for name in INITRAMFS if there[name])


def find_kernels(root: Root) -> tuple[tuple[str, str], ...]:
    """The installed kernels with modules: version, and the image's absolute path."""
    found = []
    for modules in listed(under(root, "lib/modules")):
        for image in (f"lib/modules/{modules}/vmlinuz", f"boot/vmlinuz-{modules}"):
            if has_all(root, image):
                found.append((modules, f"/{image}"))
                break
    return tuple(found)


def is_transactional(root: Root) -> bool:
    """Whether `/` is read-only and changed through transactional-update (SUSE)."""
    if not has_any(root, "usr/sbin/transactional-update", "usr/bin/transactional-update"):
        return False
    mounts = read_text(under(root, "proc/mounts")) or read_text(under(root, "etc/fstab"))
    rows = [line.split() for line in mounts.splitlines() if not line.startswith("#")]
    # The last one is on top.
    options = [row[3].split(",") for row in rows if len(row) > 3 and row[1] == "/"]
    return bool(options) and "ro" in options[-1]
