"""What a failed test of the lab leaves: the logs of its services and of its nodes."""

from __future__ import annotations

import contextlib
import re
import shutil
from pathlib import Path

from support import clouds
from support.commands import NAME
from wholecard.core import WholecardError
from wholecard.lab import lab as labs
from wholecard.lab.base.folder import LabFolder, default_folder

COMPUTE_LOG = "/var/log/nova/nova-compute.log"


def keep_logs(test: str) -> None:
    """Copy every log of the tests' labs to `failed-TEST`; nothing that fails here is raised."""
    top = default_folder().top
    name = re.sub(r"[^\w.-]+", "-", test)[:100]
    for lab_folder in (LabFolder(top, NAME), LabFolder(top, clouds.NAME)):
        kept = top / f"failed-{name}" / lab_folder.name
        with contextlib.suppress(OSError, shutil.Error):
            if lab_folder.logs.is_dir():
                shutil.copytree(lab_folder.logs, kept / "log", dirs_exist_ok=True)
        with contextlib.suppress(OSError, shutil.Error):
            for log in lab_folder.run.glob("gpu-*/*.log"):
                (kept / log.parent.name).mkdir(parents=True, exist_ok=True)
                shutil.copy2(log, kept / log.parent.name)
        with contextlib.suppress(OSError, WholecardError):
            _keep_computes(lab_folder, kept)


def _keep_computes(lab_folder: LabFolder, kept: Path) -> None:
    """nova-compute's log from each node that runs and answers."""
    lab, _ = labs.current(lab_folder) or (None, "")
    for spec in lab.nodes if lab else ():
        if lab and lab.node(spec.name).is_running():
            answer = lab.node(spec.name).ssh(["tail", "-n", "3000", COMPUTE_LOG], timeout=600)
            (kept / spec.name).mkdir(parents=True, exist_ok=True)
            (kept / spec.name / "nova-compute.log").write_text(answer.stdout)
