"""Processes that carry a lab's marks, as the lab's own do, started without its private root."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from wholecard.lab.base import process

# Its child ignores SIGTERM; both sleep.
STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.fork() or open(sys.argv[1], "w").close()
time.sleep(600)
"""
# Leaves a daemon in a session of its own, as an orphan, and goes on. When the file exists, the
# process between the two is gone and the file is whole.
DAEMONISING = """
import os, sys, time
reading, writing = os.pipe()
if os.fork() == 0:
    os.setsid()
    daemon = os.fork()
    if daemon == 0:
        time.sleep(600)
        os._exit(0)
    os.write(writing, str(daemon).encode())
    os._exit(0)
os.wait()
with open(sys.argv[1] + ".part", "w") as ready:
    ready.write(os.read(reading, 20).decode())
os.rename(sys.argv[1] + ".part", sys.argv[1])
time.sleep(600)
"""


class Marked:
    """Starts processes with a lab's marks and ends what is left of them."""

    def __init__(self) -> None:
        self._started: list[subprocess.Popen[bytes]] = []
        self._folders: set[Path] = set()

    def start(
        self, run_folder: Path, name: str, command: Sequence[str] = ("sleep", "600")
    ) -> subprocess.Popen[bytes]:
        """A service `name` of the lab in `run_folder`; returns when it can be seen."""
        marks = {process.MARK_LAB: str(run_folder), process.MARK_NAME: name}
        self._folders.add(run_folder)
        started = subprocess.Popen(
            command,
            env={"PATH": "/usr/bin:/bin", **marks},
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._started.append(started)
        process.wait_until(
            lambda: name in process.running(run_folder), timeout=20, what=name, every=0.01
        )
        return started

    def start_python(self, run_folder: Path, name: str, script: str, ready: Path) -> None:
        """A Python program that writes the file `ready` (its first argument) when it runs."""
        self.start(run_folder, name, [sys.executable, "-I", "-S", "-c", script, str(ready)])
        process.wait_until(ready.exists, timeout=20, what=name, every=0.01)

    def end(self) -> None:
        """Kill everything that was started and what it left."""
        for run_folder in self._folders:
            process.stop(run_folder)
        for started in self._started:
            started.kill()
            started.wait()
