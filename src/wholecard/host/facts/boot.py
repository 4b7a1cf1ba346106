"""What the next boot may start: the installed kernels, on a root that can be changed or not."""

from __future__ import annotations

from wholecard.core.small_files import (
    has_all,
    has_any,
    link_target,
    listed,
    read_bytes,
    read_text,
    under,
)

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


# Programs that copy images after update-initramfs has made them: initramfs-tools(7).
IMAGE_HOOKS = "etc/initramfs/post-update.d"


def find_image_hooks(root: Root) -> tuple[str, ...]:
    """The names of the hooks that copy initramfs images elsewhere."""
    return tuple(name for name in listed(under(root, IMAGE_HOOKS)) if "." not in name)


def find_grub_menu(root: Root, firmware: str | None) -> str:
    """The grub.cfg that GRUB 2 of EL and SUSE reads, as an absolute path.

    EL has a link to it for each kind of firmware: on EL 7 and 8 with UEFI it is on the EFI
    partition. Without a link it is /boot/grub2/grub.cfg, but where only the partition has one.
    """
    link = "etc/grub2-efi.cfg" if firmware == "uefi" else "etc/grub2.cfg"
    target = link_target(under(root, link))
    if target:
        parts: list[str] = []
        for part in ([] if target.startswith("/") else ["etc"]) + target.split("/"):
            if part == "..":
                parts = parts[:-1]
            elif part not in ("", "."):
                parts.append(part)
        return "/" + "/".join(parts)
    if not has_all(root, "boot/grub2/grub.cfg"):
        for vendor in listed(under(root, "boot/efi/EFI")):
            if has_all(root, f"boot/efi/EFI/{vendor}/grub.cfg"):
                return f"/boot/efi/EFI/{vendor}/grub.cfg"
    return "/boot/grub2/grub.cfg"


def kernel_lines(menu: bytes) -> list[bytes]:
    """The lines of a grub.cfg that load a kernel: all that anybody reads of it."""
    commands = (b"linux", b"linux16", b"linuxefi")
    lines = (line.strip() for line in menu.splitlines())
    return [
        line for line in lines if line.split(None, 1)[:1] and line.split(None, 1)[0] in commands
    ]


def menu_command_line(root: Root, menu: str) -> str | None:
    """What the first kernel in a grub.cfg gets, without `root=`, up to `--`; None without one.

    For settings that are more than plain values. Another entry may be the default; its arguments
    come from the same settings.
    """
    lines = kernel_lines(read_bytes(under(root, menu[1:])) or b"")
    if not lines:
        return None
    words = lines[0].decode(errors="replace").split()[2:]
    words = words[: words.index("--")] if "--" in words else words
    return " ".join(word for word in words if not word.startswith("root="))


def find_image_kind(root: Root, running: str) -> str:
    """What replaces this system as a whole, empty where its files are changed in place.

    `rpm-ostree`, `bootc` and `ostree` say which tool an ostree system has, `transactional-update`
    is SUSE's, `read-only` any other system with a read-only `/`, and `read-only /usr` one whose
    `/etc` can be written. `running` is the kernel's command line. Source: ostree(1),
    ostree-prepare-root(1); rpm-ostree(1); bootc(8); transactional-update(8).
    """
    if _is_ostree(root, running):
        tools = [tool for tool in ("rpm-ostree", "bootc") if has_any(root, f"usr/bin/{tool}")]
        return tools[0] if tools else "ostree"
    read_only = _read_only_mounts(root)
    if "/" not in read_only:
        return "read-only /usr" if "/usr" in read_only else ""
    tools = [f"usr/{folder}/transactional-update" for folder in ("sbin", "bin")]
    return "transactional-update" if has_any(root, *tools) else "read-only"


def _is_ostree(root: Root, running: str) -> bool:
    words = running.split()
    return has_any(root, "run/ostree-booted") or any(word.startswith("ostree=") for word in words)


def _read_only_mounts(root: Root) -> set[str]:
    mounts = read_text(under(root, "proc/mounts")) or read_text(under(root, "etc/fstab"))
    rows = [line.split() for line in mounts.splitlines() if not line.startswith("#")]
    # Of several mounts in one place the last one is on top.
    options = {row[1]: row[3].split(",") for row in rows if len(row) > 3}
    return {place for place in options if "ro" in options[place]}
