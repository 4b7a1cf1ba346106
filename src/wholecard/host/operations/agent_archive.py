"""The agent as one file that any Python from 3.9 on runs, and where a host keeps it."""

from __future__ import annotations

import io
import zipfile
from functools import lru_cache
from pathlib import Path

import wholecard

_ROOMS = ("core", "transaction", "pci", "host")
# Every Python there is reads this file, for only then can it say that it is too old.
_MAIN = """\
import sys

if sys.version_info < (3, 9):
    sys.stderr.write(
        "error: wholecard-host needs Python 3.9 or newer, and %s is %d.%d\\n"
        "Resolution: Install a newer one and run it with that: python3.9 %s\\n"
        % (sys.executable, sys.version_info[0], sys.version_info[1], sys.argv[0])
    )
    sys.exit(3)

from wholecard.host.agent.cli import main

sys.exit(main())
"""

# The earliest time that the zip format can say.
_EPOCH = (1980, 1, 1, 0, 0, 0)


@lru_cache(maxsize=1)
def agent_bytes() -> bytes:
    """The agent as one file. The same sources give the same bytes: sorted names, one fixed time."""
    source = Path(wholecard.__file__).parent
    running = next((path for path in source.parents if path.is_file()), None)
    if running is not None:
        # This is the agent: an archive is no folder to be read file by file.
        return running.read_bytes()
    files = {"__main__.py": _MAIN.encode()}
    rooms = (path for room in _ROOMS for path in (source / room).rglob("*.py"))
    for path in (source / "__init__.py", *rooms):
        files[f"wholecard/{path.relative_to(source)}"] = path.read_bytes()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[name])
    return b"#!/usr/bin/env python3\n" + packed.getvalue()
