"""A host as one file: stored by `inspect --save`, read wherever `--root` is.

In it is what `snapshot_paths` names: attributes of PCI functions (with their cards' serial
numbers), the names of block devices and links, the mounts, the processors and memory, the boot
tools' settings, the kernel's log of this boot. Not in it are: the contents of any disk, `config`,
keys, passwords, users, addresses of the network besides the routes. Values of words such as
`rd.iscsi.password=` are taken out of command lines, settings and log; of fstab the root's line
alone is kept.

Reading trusts nothing: what is no whole snapshot, or would leave its folder, is one UsageError
and leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import fnmatch
import io
import os
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Union

from wholecard.core import RunError, UsageError, WholecardError, run, secrets
from wholecard.core.small_files import listed, read_bytes, read_text, under
from wholecard.host.config_files import read_settings
from wholecard.host.facts import snapshot_paths as paths
from wholecard.host.facts.boot import kernel_lines
from wholecard.host.facts.disks import UDEV, UDEV_NAMES
from wholecard.host.facts.kernel_log import LOG, read_log_text
from wholecard.host.facts.libvirt_domains import reduced
from wholecard.host.facts.snapshot_archive import LIMIT, members_into
from wholecard.pci.sysfs import ASLEEP, DEVICES
from wholecard.pci.vpd import read_serial

SUFFIXES = (".tar.zst", ".tar.gz", ".tar.xz", ".tar")

# A file's bytes and mode, a link's target, or None for a folder.
Leaf = Union[tuple[bytes, int], str, None]

# As the kernel does it: path_resolution(7).
_MOST_HOPS = 40
_TIMEOUT = 300.0
_ZSTD = "Install zstd, or use a name that ends in .tar.gz."


def save(root: Path, target: Path) -> None:
    """Store the host under `root` as `target`, whose name says how: `.tar.zst`, `.tar.gz`, ….

    The file is written whole or not at all, readable by its owner. Raises UsageError where it
    exists already or its name has another ending, WholecardError where it cannot be written.
    """
    target = Path(target)
    suffix = _suffix(target)
    if target.exists() or target.is_symlink():
        raise UsageError(f"{target} exists already", resolution="Name a file that does not exist.")
    leaves = _Collection(Path(root)).collect()
    try:
        with tempfile.TemporaryDirectory(
            dir=target.absolute().parent, prefix=".snapshot-"
        ) as folder:
            packed = Path(folder, "packed")
            _write(packed, suffix, leaves)
            os.link(packed, target)
    except FileExistsError as error:
        raise UsageError(f"{target} exists already") from error
    except OSError as error:
        raise WholecardError(
            f"cannot write {target}: {error.strerror}", resolution="Name a file in another folder."
        ) from error


@contextlib.contextmanager
def open_snapshot(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A folder with the snapshot's content, for as long as the context lasts.

    Raises UsageError for a file that is not a snapshot, is cut off, is too large, or has names,
    links or kinds of file that no snapshot has.
    """
    path = Path(path)
    suffix = _suffix(path)
    with tempfile.TemporaryDirectory(prefix="wholecard-snapshot-") as folder:
        root = Path(folder, "root")
        root.mkdir()
        with _unpacked(path, suffix, Path(folder, "tar")) as stream:
            members_into(root, stream, str(path))
        yield root


def _suffix(path: Path) -> str:
    for suffix in SUFFIXES:
        if path.name.endswith(suffix):
            return suffix
    resolution = "Rename the file, or give a folder to --root."
    if path.suffix == ".json":
        resolution = (
            "Facts (inspect --json) do not have all the files. Save a snapshot on the host, and "
            f"name that: inspect --save {path.stem}{SUFFIXES[1]}."
        )
    raise UsageError(
        f"{path}: a snapshot's name ends in {', '.join(SUFFIXES)}", resolution=resolution
    )


class _Collection:
    """What a snapshot stores, by its path; links on the way to a file are stored with it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._leaves: dict[str, Leaf] = {}
        self._folders: dict[str, str | None] = {}

    def collect(self) -> dict[str, Leaf]:
        """Everything that the tables name."""
        self._functions()
        for pattern in paths.LINKS:
            for path in self._matching(pattern):
                self._real_path(path, follow=False)
        for pattern in paths.FILES:
            for path in self._matching(pattern):
                self._file(path)
        for pattern in paths.NAMES:
            for path in self._matching(pattern):
                self._name(path)
        self._domains()
        self._settings()
        self._log()
        self._disk_contents()
        self._menus()
        self._root_line()
        return self._leaves

    def _matching(self, pattern: str) -> list[str]:
        """The paths that match, also links to nowhere, which `Path.glob` passes over."""
        paths = [""]
        for step in pattern.split("/"):
            if "*" in step:
                names = ((path, fnmatch.filter(listed(self._at(path)), step)) for path in paths)
                paths = [f"{path}/{name}" for path, matching in names for name in matching]
            else:
                paths = [f"{path}/{step}" for path in paths]
                paths = [path for path in paths if os.path.lexists(self._at(path))]
        return [path.lstrip("/") for path in paths]

    def _at(self, path: str) -> str:
        return under(self._root, path.lstrip("/"))

    def _functions(self) -> None:
        for function in self._matching(f"{DEVICES}/*"):
            self._name(function)
            asleep = read_text(under(self._root, f"{function}/power/runtime_status")) in ASLEEP
            for name in paths.ATTRIBUTES if asleep else (*paths.ATTRIBUTES, *paths.WAKING):
                self._file(f"{function}/{name}")
            folder = listed(under(self._root, function))
            vfs = (name for name in folder if name.startswith("virtfn"))
            for name in (*paths.FUNCTION_LINKS, *vfs):
                self._real_path(f"{function}/{name}", follow=False)
            if not asleep:
                self._serial(function)

    def _serial(self, function: str) -> None:
        with contextlib.suppress(PermissionError):
            serial = read_serial(under(self._root, f"{function}/vpd")).encode()
            path = self._real_path(f"{function}/vpd")
            if serial and path is not None and len(serial) < 256:
                value = b"SN" + bytes([len(serial)]) + serial
                packed = b"\x90" + len(value).to_bytes(2, "little") + value + b"\x78"
                self._leaves[path] = (packed, 0o600)

    def _domains(self) -> None:
        for pattern in paths.DOMAINS:
            for path in self._matching(pattern):
                real = self._real_path(path)
                data = None if real is None else read_bytes(self._at(real))
                if real is not None:
                    # One that cannot be read is stored as empty, so that it stays unreadable.
                    with contextlib.suppress(ValueError):
                        data = reduced(data or b"")
                        self._leaves[real] = (data, 0o600)
                    self._leaves.setdefault(real, (b"", 0o600))

    def _settings(self) -> None:
        settings = read_settings(self._root)
        for entry in (*settings.files, *settings.foreign):
            if entry.text is not None:
                data = entry.text.encode("utf-8", "surrogateescape")
                self._leaves[entry.path.lstrip("/")] = (redacted(data), entry.mode)

    def _log(self) -> None:
        log = read_log_text(self._root)
        if log is not None:
            self._leaves[LOG] = (redacted(log.encode()), 0o600)

    def _disk_contents(self) -> None:
        """Of udev's database only what is on a disk."""
        for path in self._matching(f"{UDEV}/b*"):
            lines = read_text(under(self._root, path)).splitlines()
            kept = [line for line in lines if line.startswith(UDEV_NAMES)]
            if kept:
                self._leaves[path] = ("\n".join(kept).encode(), 0o644)

    def _menus(self) -> None:
        """Of a boot loader's menu only the lines that load a kernel."""
        for path in paths.MENUS:
            for menu in self._matching(path):
                real = self._real_path(menu)
                if real is not None:
                    # Passwords of the menu are elsewhere in it.
                    loading = kernel_lines(read_bytes(self._at(real)) or b"")
                    self._leaves[real] = (redacted(b"\n".join(loading)), 0o600)

    def _root_line(self) -> None:
        """Of fstab only the line of the root file system."""
        fstab = read_text(under(self._root, "etc/fstab")).splitlines()
        lines = [line for line in fstab if line.split()[1:2] == ["/"]]
        if lines:
            self._leaves["etc/fstab"] = (redacted("\n".join(lines).encode()), 0o644)

    def _file(self, path: str) -> None:
        real = self._real_path(path)
        if real is None:
            return
        source = self._root / real
        data = read_bytes(str(source)) if source.is_file() else None
        if data is not None:
            mode = source.stat().st_mode & 0o7777
            self._leaves[real] = (redacted(data), mode)

    def _name(self, path: str) -> None:
        real = self._real_path(path)
        if real is not None:
            is_folder = (self._root / real).is_dir()
            self._leaves.setdefault(real, None if is_folder else (b"", 0o644))
            return
        above, _, name = path.rpartition("/")
        folder = self._real_folder(above, 0)
        if folder is not None and (self._root / folder / name).is_symlink():
            # A link out of the tree: only its existence is ever read.
            self._leaves.setdefault(f"{folder}/{name}".lstrip("/"), (b"", 0o644))

    def _real_path(self, path: str, follow: bool = True, hops: int = 0) -> str | None:
        """`path` without links, storing those on the way; None where it is not in the tree."""
        if not path:
            return ""
        above, _, name = path.rpartition("/")
        folder = self._real_folder(above, hops)
        if folder is None or name == "..":
            return folder and os.path.dirname(folder)
        real = f"{folder}/{name}".lstrip("/")
        try:
            target = os.readlink(self._at(real))
        except OSError:
            return real if os.path.lexists(self._at(real)) else None
        if not _stays_inside(real, target) or hops > _MOST_HOPS:
            return None
        self._leaves[real] = target
        return self._real_path(f"{folder}/{target}".strip("/"), hops=hops + 1) if follow else real

    def _real_folder(self, path: str, hops: int) -> str | None:
        if path not in self._folders:
            self._folders[path] = self._real_path(path, hops=hops)
        return self._folders[path]


def _stays_inside(path: str, target: str) -> bool:
    joined = os.path.normpath(os.path.join(os.path.dirname(path), target))
    return not target.startswith("/") and joined != ".." and not joined.startswith("../")


def redacted(data: bytes) -> bytes:
    """The text without the values of words that name a secret."""
    if b"=" not in data and b"@" not in data:
        return data
    text = data.decode("utf-8", "surrogateescape")
    return secrets.redacted(text).encode("utf-8", "surrogateescape")


def _write(packed: Path, suffix: str, leaves: dict[str, Leaf]) -> None:
    plain = packed.with_name("plain") if suffix == ".tar.zst" else packed
    mode = {".tar.gz": "w:gz", ".tar.xz": "w:xz"}.get(suffix, "w")
    # The mode is one of a few literals, which the type of tarfile.open cannot see.
    with tarfile.open(plain, mode) as archive:  # type: ignore[call-overload]
        for path in sorted(leaves):
            archive.addfile(*_member(path, leaves[path]))
        # The last member has the number of those before it, so a cut-off archive is noticed.
        archive.addfile(*_member("wholecard-snapshot", (f"1 {len(leaves)}\n".encode(), 0o644)))
    if plain != packed:
        argv = ["zstd", "--quiet", "-o", str(packed), str(plain)]
        run(argv, timeout=_TIMEOUT, resolution=_ZSTD)
    packed.chmod(0o600)


def _member(path: str, leaf: Leaf) -> tuple[tarfile.TarInfo, IO[bytes] | None]:
    entry = tarfile.TarInfo(path)
    if leaf is None:
        entry.type, entry.mode = tarfile.DIRTYPE, 0o755
        return entry, None
    if isinstance(leaf, str):
        entry.type, entry.linkname = tarfile.SYMTYPE, leaf
        return entry, None
    entry.size, entry.mode = len(leaf[0]), leaf[1]
    return entry, io.BytesIO(leaf[0])


@contextlib.contextmanager
def _unpacked(path: Path, suffix: str, scratch: Path) -> Iterator[IO[bytes]]:
    """The tar file's bytes as they are unpacked."""
    import gzip
    import lzma

    if path.exists() and not path.is_file():
        # Opening a pipe waits until somebody writes to it.
        raise UsageError(f"{path} is not a file", resolution="Name a folder or a snapshot.")
    try:
        if suffix == ".tar.zst":
            # The kernel enforces the limit: an archive that unpacks to more than that stops zstd.
            argv = ["prlimit", f"--fsize={LIMIT}", "zstd", "--decompress", "--quiet", "-o"]
            run([*argv, str(scratch), str(path)], timeout=_TIMEOUT, resolution=_ZSTD)
        openers: dict[str, Any] = {".tar.gz": gzip.open, ".tar.xz": lzma.open}
        opened = openers.get(suffix, open)(scratch if suffix == ".tar.zst" else path, "rb")
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except RunError as error:
        if error.result is None:
            raise
        raise UsageError(
            f"{path} is not a complete snapshot",
            error.result.stderr.strip(),
            "Make it again: inspect --save.",
        ) from error
    with opened:
        yield opened
