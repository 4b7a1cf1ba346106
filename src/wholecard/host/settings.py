"""The texts of the files that a plan may change: facts, so that planning stays pure."""

from __future__ import annotations

import os

from wholecard.core import WholecardError
from wholecard.core.record import dataclass
from wholecard.pci.files import listed, under

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wholecard.pci.files import Root

MODULES_LOAD = "/etc/modules-load.d/wholecard.conf"
MODPROBE = "/etc/modprobe.d/wholecard.conf"
TABLE = "/etc/wholecard/bind"
HOOK = "/etc/initramfs-tools/hooks/wholecard"
BOOT_SCRIPT = "/etc/initramfs-tools/scripts/init-top/00-wholecard"
GRUB = "/etc/default/grub"
GRUB_PARTS = "etc/default/grub.d"

OURS = (MODULES_LOAD, MODPROBE, TABLE, HOOK, BOOT_SCRIPT)


@dataclass(frozen=True)
class FileText:
    """One file: absolute path, text (None where there is no file) and permission bits.

    Bytes that are no UTF-8 stand in the text as surrogate escapes, so nothing is lost.
    """

    path: str
    text: str | None
    mode: int = 0o644


@dataclass(frozen=True)
class Settings:
    """The files a plan may change. GRUB's stand in the order in which grub-mkconfig reads them."""

    files: tuple[FileText, ...] = ()

    def file(self, path: str) -> FileText:
        """The file at `path`; one that was not read counts as absent."""
        return next((entry for entry in self.files if entry.path == path), FileText(path, None))

    @property
    def grub(self) -> tuple[FileText, ...]:
        """`/etc/default/grub` and its parts, those that are there."""
        return tuple(
            entry
            for entry in self.files
            if entry.text is not None and entry.path.startswith("/etc/default/")
        )

    def to_json(self) -> dict[str, Any]:
        """`{"files": [{"path", "text", "mode"}]}`."""
        return {"files": [dict(entry.__dict__) for entry in self.files]}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Settings:
        """The inverse of `to_json`; raises KeyError or TypeError on anything else."""
        return cls(tuple(FileText(**entry) for entry in data["files"]))


def read_settings(root: Root) -> Settings:
    """The files as they stand under `root`.

    Raises WholecardError where one cannot be read or is no plain file: a symbolic link is somebody
    else's arrangement, which Wholecard does not write through.
    """
    # grub-mkconfig sources /etc/default/grub and then the parts in the shell's order of names.
    names = listed(under(root, GRUB_PARTS))
    parts = [f"/{GRUB_PARTS}/{name}" for name in names if name.endswith(".cfg")]
    return Settings(tuple(_read(root, path) for path in (*OURS, GRUB, *parts)))


def _read(root: Root, path: str) -> FileText:
    place = under(root, path.lstrip("/"))
    try:
        target = os.readlink(place)
    except OSError:
        pass
    else:
        raise WholecardError(
            f"{path} is a symbolic link",
            f"It points to {target}.",
            "Put a plain file in its place; Wholecard does not write through links.",
        )
    try:
        with open(place, "rb") as file:
            text = file.read().decode("utf-8", "surrogateescape")
            return FileText(path, text, os.fstat(file.fileno()).st_mode & 0o7777)
    except (FileNotFoundError, NotADirectoryError):
        return FileText(path, None)
    except OSError as error:
        raise WholecardError(
            f"cannot read {path}: {error.strerror}", resolution="Run it as root."
        ) from error
