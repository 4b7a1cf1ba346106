"""The agent as one file that any Python from 3.9 on runs."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import wholecard

_ROOMS = ("core", "pci", "host")
_MAIN = """\
import sys

from wholecard.host.agent import main

sys.exit(main())
"""

# The earliest time that the zip format can say.
_EPOCH = (1980, 1, 1, 0, 0, 0)


def build_agent(target: Path) -> Path:
    """Write `wholecard-host.pyz` to `target` and return it.

    The same sources give the same bytes: sorted names, one fixed time. Run it as
    `python3 wholecard-host.pyz inspect`.
    """
    source = Path(wholecard.__file__).parent
    files = {"__main__.py": _MAIN.encode(), "wholecard/__init__.py": _bytes(source / "__init__.py")}
    for room in _ROOMS:
        for path in (source / room).glob("*.py"):
            files[f"wholecard/{room}/{path.name}"] = _bytes(path)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[name])
    target.write_bytes(b"#!/usr/bin/env python3\n" + packed.getvalue())
    target.chmod(0o755)
    return target


def _bytes(path: Path) -> bytes:
    return path.read_bytes()
