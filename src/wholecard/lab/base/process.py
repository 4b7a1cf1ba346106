"""The lab's processes: started in the private root, known by a mark in their environment."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from wholecard.core import RunError, waiting
from wholecard.lab.base.errors import LabError, log_tail
from wholecard.lab.base.sandbox import Sandbox

# Every process of a lab carries these: a lab can be ended though its starter was killed before
# it could write anything down.
MARK_LAB = "WHOLECARD_LAB_RUN"
MARK_NAME = "WHOLECARD_SERVICE"


@dataclass(frozen=True)
class Running:
    """One service of the lab: its name and its processes, the outermost first."""

    name: str
    processes: tuple[psutil.Process, ...]

    def memory(self) -> int:
        """Bytes of memory that are its own (PSS where the kernel tells, else resident)."""
        total = 0
        for process in self.processes:
            try:
                full = process.memory_full_info()
                total += getattr(full, "pss", full.rss)
            except psutil.Error:
                continue
        return total


def start(
    inside: Sandbox,
    run_folder: Path,
    name: str,
    command: Sequence[str],
    log: Path,
    *,
    workdir: str = "/",
) -> subprocess.Popen[bytes]:
    """Start a service that outlives this process; what it prints goes to `log`."""
    marks = {MARK_LAB: str(run_folder), MARK_NAME: name}
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        return subprocess.Popen(
            inside.argv(command, workdir=workdir),
            env=inside.env() | marks,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def running(run_folder: Path) -> dict[str, Running]:
    """The lab's services that have living processes, by name."""
    found: dict[str, dict[int, psutil.Process]] = {}
    for process in psutil.process_iter():
        try:
            environment = process.environ()
            if process.status() == psutil.STATUS_ZOMBIE or environment.get(MARK_LAB) != str(
                run_folder
            ):
                continue
            # A program that sets its own title writes over its environment, and so its mark.
            family = [process, *process.children(recursive=True)]
        except (psutil.Error, OSError):
            continue
        service = found.setdefault(environment.get(MARK_NAME, "?"), {})
        service.update({member.pid: member for member in family})
    return {
        name: Running(name, tuple(sorted(members.values(), key=_age)))
        for name, members in sorted(found.items())
    }


def _age(process: psutil.Process) -> tuple[float, int]:
    try:
        return (process.create_time(), process.pid)
    except psutil.Error:
        return (float("inf"), process.pid)


def stop(run_folder: Path, names: Sequence[str] | None = None, timeout: float = 20) -> list[str]:
    """Kill the processes of these services (all where None) and wait until none is left.

    Nothing in a running lab outlives it, so nothing needs time to put its things in order.
    Returns the names of those that ran; raises LabError where one stays after `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    ended: list[str] = []
    while True:
        left = {
            name: service
            for name, service in running(run_folder).items()
            if names is None or name in names
        }
        if not left:
            return ended
        if time.monotonic() > deadline:
            raise LabError(
                f"did not end: {', '.join(left)}",
                resolution="Look at them with `ps`; end them by their id.",
            )
        ended += [name for name in left if name not in ended]
        for service in left.values():
            for process in service.processes:
                _kill(process)
        time.sleep(0.05)


def _kill(process: psutil.Process) -> None:
    try:
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=0)
    except (psutil.Error, OSError):
        pass


def wait_until(
    condition: Callable[[], bool],
    *,
    timeout: float,
    what: str,
    service: subprocess.Popen[bytes] | None = None,
    log: Path | None = None,
    every: float = 0.1,
) -> None:
    """Wait until `condition()` holds; it is asked again every `every` seconds.

    A program that fails in it (RunError) has not answered yet: a loaded machine's does so. Raises
    LabError with the log's end when `timeout` seconds pass, or at once when `service` (started by
    this process) has ended.
    """
    failed = ""

    def probe() -> bool | None:
        nonlocal failed
        try:
            holds, failed = condition(), ""
        except RunError as error:
            holds, failed = False, f"{error.brief}: {error.details}\n"
        return True if holds else None

    def ended() -> str:
        status = service.poll() if service is not None else None
        return "" if status is None else f"the process ended with status {status}"

    waiting.wait_until(
        what, probe, timeout, interval=every, ended=ended,
        last=lambda: failed + (log_tail(log) if log else ""),
        resolution="The log may say why. `wholecard lab up` tries again and goes on where it was.",
        error=LabError,
    )  # fmt: skip
