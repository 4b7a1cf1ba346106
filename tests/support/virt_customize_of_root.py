"""A stand-in for virt-customize that works on a root's folder: its operations in their order.

The "image" is a file with the folder's path. Source: virt-customize(1).
"""

from __future__ import annotations

import sys
from pathlib import Path

from support.tree import grow

_PROGRAM = """#!{python}
import pathlib, shutil, subprocess, sys
arguments = iter(sys.argv[1:])
root = None
def inside(command):
    argv = ["bwrap", "--bind", root, "/", "--dev", "/dev", "--proc", "/proc", "--perms", "1777",
            "--tmpfs", "/tmp", "--tmpfs", "/run", *{mounts}, "--", "sh", "-c", command]
    subprocess.run(argv, check=True, env={{"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}})
for option in arguments:
    if option in ("--quiet", "--selinux-relabel"):
        continue
    value = next(arguments)
    if option == "-a":
        root = pathlib.Path(value).read_text()
    elif option == "--run-command":
        inside(value)
    elif option == "--run":
        inside(pathlib.Path(value).read_text())
    elif option == "--mkdir":
        inside(f"mkdir -p '{{value}}'")
    elif option == "--upload":
        local, _, path = value.partition(":")
        shutil.copy(local, root + path)
    elif option == "--chmod":
        mode, _, path = value.partition(":")
        pathlib.Path(root + path).chmod(int(mode, 8))
    elif option == "--truncate":
        pathlib.Path(root + value).write_bytes(b"")
    elif option not in ("--format", "--memsize"):
        sys.exit(f"virt-customize: unknown option {{option}}")
"""


def stand_in(folder: Path, *mounts: str) -> Path:
    """A folder with the program; `mounts` are further arguments of bwrap."""
    text = _PROGRAM.format(python=sys.executable, mounts=list(mounts))
    return grow(folder, {"virt-customize": (text, 0o755)})
