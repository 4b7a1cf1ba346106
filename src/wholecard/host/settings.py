"""The texts of the files that a plan may change: facts, so that planning stays pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wholecard.core import WholecardError

MODULES_LOAD = "/etc/modules-load.d/wholecard.conf"
MODPROBE = "/etc/modprobe.d/wholecard.conf"
TABLE = "/etc/wholecard/bind"
HOOK = "/etc/initramfs-tools/hooks/wholecard"
BOOT_SCRIPT = "/etc/initramfs-tools/scripts/init-top/00-wholecard"
GRUB = "/etc/default/grub"
GRUB_PARTS = "etc/default/grub.d"

OURS = (MODULES_LOAD, MODPROBE, TABLE, HOOK, BOOT_SCRIPT)

# Where a person or a tool says which modules are loaded and with which options.
FOREIGN = (
    "etc/modprobe.d/*.conf",
    "etc/modules",
    "etc/modules-load.d/*.conf",
    "etc/initramfs-tools/modules",
    "etc/dracut.conf",
    "etc/dracut.conf.d/*.conf",
)
_FOREIGN_LIMIT = 1 << 20


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
    """The files a plan may change. GRUB's stand in the order in which grub-mkconfig reads them.

    `foreign` are module settings that are not ours: checks read them, no plan writes them.
    """

    files: tuple[FileText, ...] = ()
    foreign: tuple[FileText, ...] = ()

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
        """`{"files": [{"path", "text", "mode"}], "foreign": [...]}`."""
        return {
            "files": [dict(entry.__dict__) for entry in self.files],
            "foreign": [dict(entry.__dict__) for entry in self.foreign],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Settings:
        """The inverse of `to_json`; raises KeyError or TypeError on anything else."""
        return cls(
            tuple(FileText(**entry) for entry in data["files"]),
            tuple(FileText(**entry) for entry in data.get("foreign", ())),
        )


def read_settings(root: Path) -> Settings:
    """The files as they stand under `root`.

    Raises WholecardError where one cannot be read or is no plain file: a symbolic link is somebody
    else's arrangement, which Wholecard does not write through.
    """
    # grub-mkconfig sources /etc/default/grub and then the parts in the shell's order of names.
    parts = sorted("/" + str(part.relative_to(root)) for part in (root / GRUB_PARTS).glob("*.cfg"))
    return Settings(
        tuple(_read(root, path) for path in (*OURS, GRUB, *parts)), tuple(_read_foreign(root))
    )


def _read_foreign(root: Path) -> Iterator[FileText]:
    """Other people's module settings, as far as they can be read; never raises for one of them."""
    for pattern in FOREIGN:
        for place in sorted(root.glob(pattern)):
            path = "/" + str(place.relative_to(root))
            # A link may lead out of the tree that is looked at.
            if path in OURS or place.is_symlink() or not place.is_file():
                continue
            try:
                with place.open("rb") as file:
                    text = file.read(_FOREIGN_LIMIT).decode("utf-8", "surrogateescape")
                yield FileText(path, text, place.stat().st_mode & 0o7777)
            except OSError:
                continue


def _read(root: Path, path: str) -> FileText:
    place = root / path.lstrip("/")
    if place.is_symlink():
        raise WholecardError(
            f"{path} is a symbolic link",
            f"It points to {place.readlink()}.",
            "Put a plain file in its place; Wholecard does not write through links.",
        )
    try:
        text = place.read_bytes().decode("utf-8", "surrogateescape")
        return FileText(path, text, place.stat().st_mode & 0o7777)
    except (FileNotFoundError, NotADirectoryError):
        return FileText(path, None)
    except OSError as error:
        raise WholecardError(
            f"cannot read {path}: {error.strerror}", resolution="Run it as root."
        ) from error
