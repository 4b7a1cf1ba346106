"""Disk images for tests: a partition table and ext4 with files in it, made without root."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from support.tree import Leaf
from support.tree import grow as grow_tree

SECTOR = 512
# Where the root's partition begins; real cloud images begin it at 1 MiB to 1 GiB.
ROOT_START = 16384
LINUX = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
BIOS_BOOT = "21686148-6449-6E6F-744E-656564454649"
TOOLS = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}


def call(*argv: str | Path, stdin: str = "") -> str:
    """Run a program to its end; what it printed."""
    done = subprocess.run([str(word) for word in argv], input=stdin, env=TOOLS, check=True,
                          capture_output=True, text=True)  # fmt: skip
    return done.stdout


def raw_disk(
    folder: Path, tree: Mapping[str, Leaf], mib: int = 48, label: str = "gpt", behind: str = ""
) -> Path:
    """A raw disk whose second partition (the first with `dos`) is ext4 with the tree in it.

    `behind` is sfdisk's line for a partition after the root's.
    """
    disk = folder / "disk.raw"
    with disk.open("wb") as stream:
        stream.truncate(mib << 20)
    size = f"size={(mib << 11) - ROOT_START - 8192}, " if behind else ""
    boot = f"start=2048, size=2048, type={BIOS_BOOT}\n" if label == "gpt" else ""
    kind = LINUX if label == "gpt" else "83"
    lines = f"label: {label}\n{boot}start={ROOT_START}, {size}type={kind}\n{behind}"
    call("sfdisk", "--quiet", disk, stdin=lines)
    root = grow_tree(folder / "root", tree)
    parts = json.loads(call("sfdisk", "--json", disk))["partitiontable"]["partitions"]
    sectors = next(part["size"] for part in parts if part["start"] == ROOT_START)
    call("mke2fs", "-q", "-t", "ext4", "-b", "1024", "-E", f"offset={ROOT_START * SECTOR}",
         "-d", root, disk, f"{sectors // 2}k")  # fmt: skip
    return disk


def as_qcow2(raw: Path, *options: str) -> Path:
    """A qcow2 of a raw disk, beside it."""
    qcow2 = raw.with_suffix(".qcow2")
    call("qemu-img", "convert", *options, "-f", "raw", "-O", "qcow2", raw, qcow2)
    return qcow2


def file_in(disk: Path, path: str, offset: int = ROOT_START * SECTOR) -> bytes:
    """A file in the ext4 file system of a disk of either format."""
    raw = disk
    if disk.suffix == ".qcow2":
        raw = disk.with_suffix(".read")
        call("qemu-img", "convert", "-f", "qcow2", "-O", "raw", disk, raw)
    target = disk.with_suffix(".file")
    call("debugfs", "-R", f"dump {path} {target}", f"{raw}?offset={offset}")
    return target.read_bytes()


def is_sound(raw: Path, offset: int = ROOT_START * SECTOR) -> bool:
    """Whether e2fsck finds nothing wrong with the file system of a raw disk."""
    done = subprocess.run(["e2fsck", "-fn", f"{raw}?offset={offset}"], env=TOOLS, check=False,
                          capture_output=True)  # fmt: skip
    return done.returncode == 0
