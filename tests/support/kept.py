"""What a failed test of the lab leaves: the logs of its services and of its node."""

from __future__ import annotations

import contextlib
import re
import shutil
from pathlib import Path

from support import clouds
from support.commands import NAME
from wholecard.core import WholecardError
from wholecard.lab import lab as labs
from wholecard.lab.base import process
from wholecard.lab.base.folder import LabFolder, default_place

COMPUTE_LOG = "/var/log/nova/nova-compute.log"


def keep_logs(test: str) -> None:
    """Copy every log of the tests' labs to `failed-TEST`; nothing that fails here is raised."""
    top = default_place().top
    name = re.sub(r"[^\w.-]+", "-", test)[:100]
    for place in (LabFolder(top, NAME), LabFolder(top, clouds.NAME)):
        kept = top / f"failed-{name}" / place.name
        with contextlib.suppress(OSError, shutil.Error):
            if place.logs.is_dir():
                shutil.copytree(place.logs, kept / "log", dirs_exist_ok=True)
        with contextlib.suppress(OSError, shutil.Error):
            for log in (place.run / "node").glob("*.log"):
                shutil.copy2(log, kept)
        with contextlib.suppress(OSError, WholecardError):
            _keep_compute(place, kept)


def _keep_compute(place: LabFolder, kept: Path) -> None:
    """nova-compute's log from the node, where it runs and answers."""
    found = labs.current(place)
    if found is None or "node" not in process.running(place.run):
        return
    answer = found[0].node().ssh(["tail", "-n", "3000", COMPUTE_LOG], timeout=30)
    kept.mkdir(parents=True, exist_ok=True)
    (kept / "nova-compute.log").write_text(answer.stdout)
