"""Which functions of the package are entered, in a test and in the Pythons that a test starts.

Those may be any Python from 3.9 on, and what they import is measured: json and pathlib come late.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from types import CodeType, FrameType

PACKAGE = "/wholecard/"
# Of CPU time, in one test.
SECONDS = 2.0

Calls = dict[int, CodeType]


class Recorder:
    """The functions that are entered, since the last `swap`."""

    def __init__(self) -> None:
        # By identity: the hash of a code object is made of its content, each time.
        self.calls: Calls = {}

    def start(self, seconds: float = SECONDS) -> None:
        """Record what this thread enters, and those that it starts, for some seconds of CPU time.

        A test that takes long does the same many times over.
        """
        signal.signal(signal.SIGPROF, lambda *_: self.stop())
        signal.setitimer(signal.ITIMER_PROF, seconds)
        sys.settrace(self._enter)
        threading.settrace(self._enter)

    def stop(self) -> None:
        """Record no more."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        sys.settrace(None)
        threading.settrace(None)  # type: ignore[arg-type]

    def swap(self, calls: Calls) -> Calls:
        """Record into `calls` from now on; what was recorded before."""
        before, self.calls = self.calls, calls
        return before

    def _enter(self, frame: FrameType, _event: str, _argument: object) -> None:
        self.calls[id(frame.f_code)] = frame.f_code


def places(calls: Calls) -> list[str]:
    """`file:function` below the package, also of one in a zipapp.

    By name, so that what was recorded serves after changes elsewhere in the file.
    """
    entered = set()
    for code in calls.values():
        before, package, file = code.co_filename.rpartition(PACKAGE)
        if package and "site-packages" not in before:
            entered.add(f"{file}:{code.co_name}")
    return sorted(entered)


def write(folder: str, row: dict[str, object]) -> None:
    """Add a line to this process's file in the folder."""
    import json  # noqa: PLC0415

    with open(os.path.join(folder, f"{os.getpid()}.jsonl"), "a") as file:  # noqa: PTH118, PTH123
        file.write(json.dumps(row) + "\n")


def record_to(folder: str) -> None:
    """Write what this Python enters until its end, for the test that started it."""
    test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
    if test:
        recorder = Recorder()
        atexit.register(
            lambda: write(folder, {"test": test, "calls": places(recorder.calls.copy())})
        )
        recorder.start()
