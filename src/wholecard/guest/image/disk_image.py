"""An image file examined: what it is, how large, and whether it may be used at all.

The file's own header is read first (`qcow2.py`); only then qemu-img opens it, with the format
named, so that it neither guesses nor follows the image to another file.
"""

from __future__ import annotations

import json
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wholecard.core import Result, RunError, UsageError
from wholecard.core.units import GIB, TIB, size_text
from wholecard.guest.image import qcow2
from wholecard.guest.image.image_tools import run_tool

# A cloud image has some GiB. More than this is a mistake, or an attack on the disk's space.
MOST_VIRTUAL = 16 * TIB
SECTOR = 512

_TIMEOUT = 600.0
# nova runs `qemu-img info` on images of others within such limits (nova/virt/images.py:
# QEMU_IMG_LIMITS, 30 s of CPU and 1 GiB); checking a large image takes longer.
_LIMITS = ("prlimit", f"--as={2 * GIB}", "--cpu=300", "--")

# What people give in place of a disk image, by its first bytes.
_OTHERS = (
    (b"\x1f\x8b", "a gzip archive", "Unpack it first: gunzip FILE"),
    (b"\xfd7zXZ\x00", "an xz archive", "Unpack it first: unxz FILE"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive", "Unpack it first: unzstd FILE"),
    (b"BZh", "a bzip2 archive", "Unpack it first: bunzip2 FILE"),
    (b"PK\x03\x04", "a zip archive", "Unpack it first: unzip FILE"),
    (b"KDMV", "a VMDK", "Convert it: qemu-img convert -f vmdk -O qcow2 FILE NEW"),
    (b"# Disk DescriptorFile", "a VMDK's description", "Convert it: qemu-img convert -O qcow2"),
    (b"vhdxfile", "a VHDX", "Convert it: qemu-img convert -f vhdx -O qcow2 FILE NEW"),
    (b"<<<", "a VDI", "Convert it: qemu-img convert -f vdi -O qcow2 FILE NEW"),
    (b"QED\x00", "a QED image", "Convert it: qemu-img convert -f qed -O qcow2 FILE NEW"),
    (b"<!DOCTYPE", "a web page", "Give the address of the image itself, not of a page about it."),
    (b"<html", "a web page", "Give the address of the image itself, not of a page about it."),
    (b"<?xml", "an XML text", "Give the address of the image itself."),
    (b"-----BEGIN", "a key or a signature", "Give the address of the image itself."),
)  # fmt: skip


@dataclass(frozen=True)
class DiskImage:
    """An image file that may be used: `format` is `qcow2` or `raw`, sizes are in bytes.

    `allocated` is about how much of the virtual disk has content.
    """

    path: Path
    format: str
    virtual_size: int
    allocated: int


def examine(path: Path, *, thorough: bool = False) -> DiskImage:
    """The image in the file; with `thorough` every table of a qcow2 is checked.

    Raises UsageError where the file cannot be read, is no disk image, is cut off, names other
    files, or is hostile in its sizes; RunError where qemu-img is missing or fails.
    """
    # qemu-img takes what is before a colon for a protocol, but not after a slash.
    path = path.absolute()
    size = _plain_size(path)
    image_format = _format(path)
    virtual = size
    if image_format == "qcow2":
        with path.open("rb") as stream:
            header = _named(path, stream)
        refuse_header(path, header, size)
        virtual = header.virtual_size
    if virtual > MOST_VIRTUAL or virtual < SECTOR:
        raise UsageError(
            f"{path} says that its disk has {size_text(virtual)}",
            resolution=f"At most {size_text(MOST_VIRTUAL)} are accepted. Use another image.",
        )
    if image_format == "qcow2" and thorough:
        _check(path)
    return DiskImage(path, image_format, virtual, _allocated(path, image_format))


def _named(path: Path, stream: Any) -> qcow2.Qcow2Header:
    try:
        return qcow2.read_header(stream)
    except UsageError as error:
        details = f"{error.brief}: {error.details}"
        raise UsageError(f"{path} is not usable", details, error.resolution) from error


def refuse_header(path: Path, header: qcow2.Qcow2Header, size: int) -> None:
    """Raises UsageError for a qcow2 that must not be opened. `size` is the file's, in bytes."""
    for other, what in ((header.backing_file, "backing file"), (header.data_file, "data file")):
        if other is not None:
            raise UsageError(
                f"{path} is refused: it reads from another file",
                f"Its {what} is {other[:200]!r}.",
                "An image has to be complete in itself. If it is your own, make it so: "
                "qemu-img convert -O qcow2 FILE NEW",
            )
    if header.is_encrypted:
        raise UsageError(
            f"{path} is encrypted", resolution="Decrypt it with qemu-img convert first."
        )
    if header.is_corrupt:
        raise UsageError(
            f"{path} is marked as corrupt", resolution="Fetch it again, or see qemu-img check."
        )
    if header.tables_end > size:
        raise _cut_off(path, f"its tables end at byte {header.tables_end}, the file at {size}")


def disk_space_needed(image: DiskImage, room: int | None) -> int:
    """Bytes that a build needs on the cache's disk: the unpacked image, its steps, and the result.

    Twice, because the result is written while the raw image is there; compressed it is smaller.
    """
    return 2 * (image.allocated + (room or 0)) + GIB


def require_disk_space(folder: Path, needed: int) -> None:
    """Raises UsageError where the disk of an existing folder has less free space."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise UsageError(
            f"{folder} has {size_text(free)} free, and the build needs {size_text(needed)}",
            resolution="Free some space there, or let XDG_CACHE_HOME name a folder on another "
            "disk.",
        )


def _plain_size(path: Path) -> int:
    try:
        status = path.stat()
    except OSError as error:
        raise UsageError(
            f"cannot read {path}: {error.strerror}", resolution="Name the image's file."
        ) from error
    if not stat.S_ISREG(status.st_mode):
        raise UsageError(f"{path} is not a plain file", resolution="Name the image's file.")
    return status.st_size


def _format(path: Path) -> str:
    """`qcow2`, or `raw` for a disk with a partition table. Raises UsageError for another file."""
    try:
        with path.open("rb") as stream:
            start = stream.read(SECTOR)
    except OSError as error:
        raise UsageError(
            f"cannot read {path}: {error.strerror}", resolution="Name a file that you may read."
        ) from error
    if start.startswith(qcow2.MAGIC):
        return "qcow2"
    # The last bytes of a partition table's sector, a GPT's protective one included (UEFI 5.2.3).
    if len(start) == SECTOR and start[510:] == b"\x55\xaa":
        return "raw"
    for magic, what, resolution in _OTHERS:
        if start[: len(magic)].lower() == magic.lower():
            raise UsageError(f"{path} is not a disk image but {what}", resolution=resolution)
    raise UsageError(
        f"{path} is not a disk image",
        "It is empty." if not start else "It is neither qcow2 nor a disk with a partition table.",
        "Give a cloud image in the format qcow2 or raw.",
    )


def _allocated(path: Path, image_format: str) -> int:
    if image_format == "raw":
        return path.stat().st_blocks * SECTOR
    answer = _limited("measure", "--output=json", "-f", "qcow2", "-O", "qcow2", str(path))
    required = _json(answer).get("required")
    return required if isinstance(required, int) and required >= 0 else path.stat().st_size


def _check(path: Path) -> None:
    """Raises UsageError where a qcow2's tables name clusters behind its end, or contradict."""
    try:
        result = _limited("check", "--output=json", "-f", "qcow2", str(path))
    except RunError as error:
        result = error.result or Result((), 1, "", error.details)
    # 0 consistent, 3 leaked clusters only, which take space and do no harm (qemu-img(1)).
    if result.status in (0, 3):
        return
    errors = [line for line in result.stderr.splitlines() if line.startswith("ERROR")]
    if any("exceeding the end of the file" in line for line in errors):
        raise _cut_off(path, f"qemu-img check: {errors[0]}")
    details = "\n".join([*errors[:3], *([] if errors else [result.stderr.strip()[:400]])])
    raise UsageError(f"{path} is damaged", details, "Fetch it again, and compare its checksum.")


def _cut_off(path: Path, details: str) -> UsageError:
    return UsageError(
        f"{path} is cut off", details, "Fetch it again, and compare its checksum with its maker's."
    )


def _limited(*arguments: str) -> Result:
    prefix = _LIMITS if shutil.which("prlimit") else ()
    check = arguments[0] != "check"
    return run_tool("qemu-img", *arguments, timeout=_TIMEOUT, check=check, prefix=prefix)


def _json(result: Result) -> dict[str, Any]:
    try:
        answer = json.loads(result.stdout)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise RunError("qemu-img did not answer in JSON", result.stdout[:200], "", result)
    return answer
