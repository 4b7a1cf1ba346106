"""What the next boot may start: the installed kernels, on a root that can be changed or not."""

from __future__ import annotations

from wholecard.core.small_files import has_all, has_any, listed, read_text, under

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wholecard.core.small_files import Root


def find_kernels(root: Root) -> tuple[tuple[str, str], ...]:
    """The installed kernels with modules: version, and the image's absolute path."""
    kernels = []
    for release in listed(under(root, "lib/modules")):
        for image in (f"lib/modules/{release}/vmlinuz", f"boot/vmlinuz-{release}"):
            if has_all(root, image):
                kernels.append((release, f"/{image}"))
                break
    return tuple(kernels)


def is_transactional(root: Root) -> bool:
    """Whether `/` is read-only and changed through transactional-update (SUSE)."""
    if not has_any(root, "usr/sbin/transactional-update", "usr/bin/transactional-update"):
        return False
    mounts = read_text(under(root, "proc/mounts")) or read_text(under(root, "etc/fstab"))
    rows = [line.split() for line in mounts.splitlines() if not line.startswith("#")]
    # Of several mounts on / the last one is on top.
    options = [row[3].split(",") for row in rows if len(row) > 3 and row[1] == "/"]
    return bool(options) and "ro" in options[-1]
