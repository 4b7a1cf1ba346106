"""The lab's processes: started in the private root, known by a mark in their environment."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from wholecard.core import RunError, waiting
from wholecard.guest.image.sandbox import Sandbox
from wholecard.lab.base.errors import LabError, log_tail

# Every process of a lab has these in its environment, so that it can be ended also where the
# command that started it was killed before it could write anything.
MARK_LAB = "WHOLECARD_LAB_RUN"
MARK_NAME = "WHOLECARD_SERVICE"


@dataclass(frozen=True)
class Running:
    """One service of the lab: its name and its processes, the outermost first."""

    name: str
    processes: tuple[psutil.Process, ...]

    def memory(self) -> int:
        """Bytes of memory: PSS, which divides shared pages, or RSS where the kernel has no PSS."""
        total = 0
        for process in self.processes:
            try:
                full = process.memory_full_info()
                total += getattr(full, "pss", full.rss)
            except psutil.Error:
                continue
        return total

    def kill(self) -> None:
        """Send SIGKILL to each of its processes; the caller waits for their end."""
        for process in self.processes:
            with suppress(psutil.Error, OSError):
                process.send_signal(signal.SIGKILL)
                # A child of this very process stays as a zombie until somebody waits for it.
                process.wait(timeout=0)


def start(
    inside: Sandbox, run_folder: Path, name: str, command: Sequence[str], log: Path
) -> subprocess.Popen[bytes]:
    """Start a service that outlives this process; what it prints goes to `log`."""
    marks = {MARK_LAB: str(run_folder), MARK_NAME: name}
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        return subprocess.Popen(
            inside.argv(command), env=inside.env() | marks, stdin=subprocess.DEVNULL, stdout=out,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip


def running(run_folder: Path) -> dict[str, Running]:
    """The lab's services that have living processes, by name."""
    services: dict[str, dict[int, psutil.Process]] = {}
    for process in psutil.process_iter():
        try:
            environment = process.environ()
            ours = environment.get(MARK_LAB) == str(run_folder)
            if process.status() == psutil.STATUS_ZOMBIE or not ours:
                continue
            # A program that sets its own title overwrites its environment, and with it the mark;
            # its parent still has it.
            family = [process, *process.children(recursive=True)]
        except (psutil.Error, OSError):
            continue
        service = services.setdefault(environment.get(MARK_NAME, "?"), {})
        service.update({member.pid: member for member in family})
    return {
        name: Running(name, tuple(sorted(members.values(), key=_age)))
        for name, members in sorted(services.items())
    }


def _age(process: psutil.Process) -> tuple[float, int]:
    try:
        return (process.create_time(), process.pid)
    except psutil.Error:
        return (float("inf"), process.pid)


def stop(run_folder: Path, names: Sequence[str] | None = None, timeout: float = 20) -> list[str]:
    """Kill the processes of these services (all where None) and wait until none is left.

    By SIGKILL: a lab that ends keeps no data, so no service needs time to end cleanly.
    Returns the names of those that ran; raises LabError where one stays after `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    ended: list[str] = []
    while left := [
        service for name, service in running(run_folder).items() if names is None or name in names
    ]:
        if time.monotonic() > deadline:
            raise LabError(
                f"did not end: {', '.join(service.name for service in left)}",
                resolution="Find them with `ps -ef` and stop them by their process id (kill PID).",
            )
        for service in left:
            service.kill()
        ended += [service.name for service in left if service.name not in ended]
        time.sleep(0.05)
    return ended


def wait_until(
    condition: Callable[[], bool],
    *,
    timeout: float,
    what: str,
    service: subprocess.Popen[bytes] | None = None,
    log: Path | None = None,
    every: float = 0.1,
) -> None:
    """Wait until `condition()` holds; it is asked every `every` seconds.

    A program that fails in it (RunError) counts as no answer yet: on a loaded machine one may run
    into its own time-out. Raises LabError with the log's end when `timeout` seconds have passed,
    or at once when `service` (started by this process) has ended.
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
        resolution="Read the log; then run `wholecard lab up` again, which continues from here.",
        error=LabError,
    )  # fmt: skip
