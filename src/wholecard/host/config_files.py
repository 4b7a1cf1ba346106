"""The texts of the files that a plan may change: facts, so that planning stays pure."""

from __future__ import annotations

import os

from wholecard.core import WholecardError
from wholecard.core.record import dataclass
from wholecard.core.secrets import redacted
from wholecard.core.small_files import inside, is_plain, listed, read_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from wholecard.core.small_files import Root

MODULES_LOAD = "/etc/modules-load.d/wholecard.conf"
MODPROBE = "/etc/modprobe.d/wholecard.conf"
TABLE = "/etc/wholecard/bind"
HOOK = "/etc/initramfs-tools/hooks/wholecard"
BOOT_SCRIPT = "/etc/initramfs-tools/scripts/init-top/00-wholecard"
DRACUT_MODULE = "/usr/lib/dracut/modules.d/90wholecard/module-setup.sh"
DRACUT_HOOK = "/usr/lib/dracut/modules.d/90wholecard/wholecard-claim.sh"
DRACUT_CONF = "/etc/dracut.conf.d/wholecard.conf"
GRUB = "/etc/default/grub"
GRUB_PARTS = "etc/default/grub.d"
# Ours among the parts. grub-mkconfig sources them in the order of their names: it is the last.
GRUB_PART = f"/{GRUB_PARTS}/zzz-wholecard.cfg"

GRUBENV = "/boot/grub2/grubenv"
# On UEFI hosts that began as EL 8 the one above is a link to this.
GRUBENV_EFI = "/boot/efi/EFI/*/grubenv"
ENTRIES = "boot/loader/entries"
KERNEL_CMDLINE = "/etc/kernel/cmdline"
KERNEL_CMDLINE_VENDOR = "/usr/lib/kernel/cmdline"
KERNELSTUB = "/etc/kernelstub/configuration"

# What cards are to be given as, which a unit makes at each boot.
SPLITS = "/etc/wholecard/splits.json"
GIM_OPTIONS = "/etc/modprobe.d/wholecard-gim.conf"

# libvirt runs it before a domain is started: what connects the GPUs of a board with NVSwitches.
NVSWITCH_HOOK = "/etc/libvirt/hooks/qemu.d/50-wholecard-nvswitch"
NVSWITCH_MODULES = "/etc/wholecard/nvswitch.json"
# Where NVIDIA's package has it, and the hook that NVIDIA/libvirt-hooks tells to install.
FABRIC_MANAGER = "/usr/share/nvidia/nvswitch/fabricmanager.cfg"
OTHER_QEMU_HOOK = "/etc/libvirt/hooks/qemu"

UNITS = "/etc/systemd/system"
CDI_SCRIPT = "/usr/local/lib/wholecard/cdi"

# Where the EFI partition, or the extended boot partition, may be mounted: kernel-install(8), $BOOT.
EFI_FOLDERS = ("/efi", "/boot", "/boot/efi")

IN_INITRAMFS = (TABLE, HOOK, BOOT_SCRIPT, DRACUT_MODULE, DRACUT_HOOK, DRACUT_CONF)
OURS = (MODULES_LOAD, MODPROBE, *IN_INITRAMFS)

# Where a person or a tool says which modules are loaded and with which options.
FOREIGN = (
    "etc/modprobe.d/*.conf",
    "etc/modules",
    "etc/modules-load.d/*.conf",
    "etc/initramfs-tools/modules",
    "etc/dracut.conf",
    "etc/dracut.conf.d/*.conf",
    "etc/driverctl.d/*",
    FABRIC_MANAGER[1:],
)
# Where a person or a tool may bind by ids at boot. Of these only the lines with that word are read:
# the rest may have secrets.
FOREIGN_SCRIPTS = ("etc/rc.local", "etc/rc.d/rc.local", "etc/systemd/system/*.service")
_ONLY_LINES = {**dict.fromkeys(FOREIGN_SCRIPTS, "new_id"), OTHER_QEMU_HOOK[1:]: "fmpm"}
# An absolute path that stays below its root.
_PATH = r"(?!.*/\.\.(?:/|$))/[^\0\n]{1,4095}"

_FOREIGN_LIMIT = 1 << 20
# Settings of a host are some kilobytes; what is larger is no settings file, and is not held.
_LIMIT = 4 << 20


@dataclass(frozen=True)
class FileText:
    """One file: absolute path, text (None where there is no file) and permission bits.

    Bytes that are not UTF-8 are surrogate escapes in the text, so nothing is lost.
    """

    path: str
    text: str | None
    mode: int = 0o644


@dataclass(frozen=True)
class Settings:
    """The files a plan may change. GRUB's are in the order in which grub-mkconfig reads them.

    `foreign` are module settings that are not ours: checks read them, no plan writes them.
    """

    files: tuple[FileText, ...] = ()
    foreign: tuple[FileText, ...] = ()

    def file(self, path: str) -> FileText:
        """The file at `path`; one that was not read counts as absent."""
        return next((entry for entry in self.files if entry.path == path), FileText(path, None))

    @property
    def entries(self) -> tuple[FileText, ...]:
        """The boot loader entries of `/boot/loader/entries` that could be read."""
        return self._present(f"/{ENTRIES}/")

    @property
    def grub(self) -> tuple[FileText, ...]:
        """`/etc/default/grub` and its parts, those that exist."""
        return self._present("/etc/default/")

    def _present(self, folder: str) -> tuple[FileText, ...]:
        files = (file for file in self.files if file.path.startswith(folder))
        return tuple(file for file in files if file.text is not None)

    def to_json(self) -> dict[str, Any]:
        """`{"files": [{"path", "text", "mode"}], "foreign": [...]}`."""
        return {
            "files": [dict(entry.__dict__) for entry in self.files],
            "foreign": [dict(entry.__dict__) for entry in self.foreign],
        }

    def without_secrets(self) -> Settings:
        """The files without what `core.secrets` takes out: to be shown, and never to be written."""
        return Settings(
            *(tuple(map(_without_secrets, part)) for part in (self.files, self.foreign))
        )

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Settings:
        """The inverse of `to_json`. Raises ValueError."""
        from wholecard.core.json_records import record_reader

        read = record_reader(FileText, {"path": _PATH})
        return record_reader(cls, kinds={"FileText": read})(data, "settings")


def _without_secrets(file: FileText) -> FileText:
    return file if file.text is None else FileText(file.path, redacted(file.text), file.mode)


def read_settings(root: Root) -> Settings:
    """The present files under `root`.

    Raises WholecardError where one cannot be read or is not a plain file: a symbolic link belongs
    to somebody else, and Wholecard does not write through it.
    """
    # grub-mkconfig sources /etc/default/grub and then the parts in the shell's order of names.
    parts = _matching(root, f"{GRUB_PARTS}/*.cfg")
    units = _matching(root, f"{UNITS[1:]}/wholecard-*.service")
    # Like a unit, it is listed only where it exists.
    for ours in (CDI_SCRIPT, SPLITS, GIM_OPTIONS, NVSWITCH_HOOK, NVSWITCH_MODULES):
        units += [path for path in _matching(root, f"{ours[1:]}*") if path == ours]
    written = (_read(root, path) for path in (*OURS, GRUB, *parts, KERNEL_CMDLINE, *units))
    only_read = (GRUBENV, KERNEL_CMDLINE_VENDOR, KERNELSTUB, *_matching(root, f"{ENTRIES}/*.conf"))
    return Settings(
        (*written, *(_read_if_possible(root, path) for path in only_read)),
        tuple(_read_foreign(root)),
    )


def _matching(root: Root, pattern: str) -> list[str]:
    """The absolute paths of a folder's files, in order: `folder/prefix*suffix`, or one file."""
    folder, _, name = pattern.rpartition("/")
    prefix, star, suffix = name.partition("*")
    if not star:
        return [f"/{pattern}"]
    names = listed(_source(root, f"/{folder}/."))
    return [f"/{folder}/{n}" for n in names if n.startswith(prefix) and n.endswith(suffix)]


def _read_if_possible(root: Root, path: str) -> FileText:
    """A file that is read and never written by us: one that cannot be read counts as absent."""
    data = read_bytes(_source(root, path))
    return FileText(path, None if data is None else data.decode("utf-8", "surrogateescape"))


def _read_foreign(root: Root) -> Iterator[FileText]:
    """Other people's module settings, as far as they can be read; never raises for one of them."""
    for pattern in (*FOREIGN, *_ONLY_LINES):
        for path in _matching(root, pattern):
            entry = None if path in (*OURS, GIM_OPTIONS) else _foreign_file(root, path)
            if entry is not None and pattern in _ONLY_LINES:
                entry = _lines_with(_ONLY_LINES[pattern], entry)
            if entry is not None:
                yield entry


def _foreign_file(root: Root, path: str) -> FileText | None:
    """A plain file of somebody else's; None for a link, and for what cannot be read."""
    source = _source(root, path)
    if os.path.islink(source) or not os.path.isfile(source):
        return None
    try:
        return _file_text(source, path, _FOREIGN_LIMIT)
    except (OSError, WholecardError):
        return None


def _lines_with(word: str, script: FileText) -> FileText | None:
    """A script's lines that have the word, which are all that is read of it; None without any."""
    lines = [line for line in (script.text or "").splitlines() if word in line]
    if not lines:
        return None
    return FileText(script.path, "".join(f"{line}\n" for line in lines), script.mode)


def _source(root: Root, path: str) -> str:
    """Where a file is read: in an image its links lead to the image's own files."""
    if os.fspath(root) == "/":
        return path
    try:
        # Of a folder, `/.`, the link itself is followed too.
        return inside(root, path, follow=path.endswith("/."))
    except OSError:
        return ""


def _file_text(source: str, path: str, limit: int) -> FileText:
    # Opening a pipe must not wait for a writer, and a device is never read to its end.
    with open(os.open(source, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        status = os.fstat(file.fileno())
        if not is_plain(status.st_mode):
            raise WholecardError(
                f"{path} is not a plain file",
                resolution="Replace it by a plain file, or remove it.",
            )
        text = file.read(limit).decode("utf-8", "surrogateescape")
        return FileText(path, text, status.st_mode & 0o7777)


def _read(root: Root, path: str) -> FileText:
    source = _source(root, path)
    if not source:
        raise WholecardError(
            f"{path} points outside {os.fspath(root)}",
            "A symbolic link in this path leads to nothing below the root.",
            "Make the link lead to a folder below the root, or make a folder in its place.",
        )
    if os.path.islink(source):
        raise WholecardError(
            f"{path} is a symbolic link",
            f"It points to {os.readlink(source)}.",
            "Replace it by a plain file; Wholecard does not write through links.",
        )
    try:
        file = _file_text(source, path, _LIMIT + 1)
    except (FileNotFoundError, NotADirectoryError):
        return FileText(path, None)
    except OSError as error:
        raise WholecardError(
            f"cannot read {path}: {error.strerror}", resolution="Run it as root."
        ) from error
    if len(file.text or "") > _LIMIT:
        raise WholecardError(
            f"{path} is larger than {_LIMIT >> 20} MiB",
            "Wholecard does not read larger files.",
            "Look at its content, and make it smaller.",
        )
    return file
