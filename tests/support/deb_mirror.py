"""A signed repository of Debian packages in a folder, made of nothing but a root's own tools."""

from __future__ import annotations

import hashlib
from pathlib import Path

from support.tree import grow
from wholecard.guest.image.sandbox import Mount, Sandbox

INSIDE = "/srv"
PACKAGE = "wholecard-tiny"
_CONTROL = f"""Package: {PACKAGE}
Version: 1.0
Architecture: all
Maintainer: nobody <nobody@example.org>
Description: a file, and a script that runs when it is installed
"""
_POSTINST = '#!/bin/sh\nset -e\n[ "$1" != configure ] || echo configured >/etc/tiny.state\n'


def deb_mirror(folder: Path, root: Path) -> str:
    """Make the repository in `folder` with the programs of `root`; its key, ASCII-armored.

    apt reads it as `file:/srv`, a flat repository (sources.list(5)), where it is mounted there.
    """
    grow(folder, {
        "tree/DEBIAN/control": _CONTROL,
        "tree/DEBIAN/postinst": (_POSTINST, 0o755),
        "tree/usr/share/tiny/greeting": "hello\n",
    })  # fmt: skip
    for above in ("tree", "tree/DEBIAN", "tree/usr", "tree/usr/share", "tree/usr/share/tiny"):
        (folder / above).chmod(0o755)
    inside = Sandbox(root, (Mount(folder, INSIDE, writable=True),), environment={"HOME": "/tmp"})
    inside.run(["dpkg-deb", "--root-owner-group", "--build", f"{INSIDE}/tree",
                f"{INSIDE}/tiny.deb"], timeout=60)  # fmt: skip
    packages = _CONTROL + _file_fields((folder / "tiny.deb").read_bytes())
    (folder / "Packages").write_text(packages)
    (folder / "Release").write_text(_release(packages.encode()))
    sign = (
        "set -e; gpg --batch --quiet --passphrase '' --quick-gen-key tiny ed25519 sign never; "
        f"gpg --batch --quiet --clearsign -o {INSIDE}/InRelease {INSIDE}/Release; "
        "gpg --armor --export tiny"
    )
    return inside.run(["sh", "-c", sign], timeout=120).stdout


def _file_fields(data: bytes) -> str:
    return (f"Filename: ./tiny.deb\nSize: {len(data)}\n"
            f"SHA256: {hashlib.sha256(data).hexdigest()}\n")  # fmt: skip


def _release(packages: bytes) -> str:
    digest = hashlib.sha256(packages).hexdigest()
    return (
        "Origin: tiny\nDate: Wed, 01 Jan 2020 00:00:00 UTC\nArchitectures: all amd64\n"
        f"SHA256:\n {digest} {len(packages)} Packages\n"
    )
