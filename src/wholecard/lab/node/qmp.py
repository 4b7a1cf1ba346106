"""QEMU's machine protocol: a few commands over a unix socket (docs/interop/qmp-spec)."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from wholecard.core.waiting import wait_until
from wholecard.lab.base.errors import LabError


class Qmp:
    """An open QMP session. A command's answer is the value of `return`."""

    def __init__(self, connection: socket.socket) -> None:
        self._file = connection.makefile("rw")
        self._read()
        self.command("qmp_capabilities")

    def command(self, name: str, **arguments: Any) -> Any:
        """Run one command; raises LabError with QEMU's own words where it refuses."""
        self._file.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
        self._file.flush()
        while True:
            answer = self._read()
            if "event" in answer:
                continue
            if "error" in answer:
                raise LabError(f"QEMU refused {name}", answer["error"]["desc"])
            return answer["return"]

    def close(self) -> None:
        """End the session: QEMU serves one at a time."""
        self._file.close()

    def save_state(self, uri: str, timeout: float) -> None:
        """Write the machine's memory and devices to `uri`; the machine is paused afterwards."""
        self.command("migrate-set-parameters", **{"max-bandwidth": 10**11})
        self.command("migrate", uri=uri)

        def saved() -> bool | None:
            status = self.command("query-migrate")
            if status.get("status") in ("failed", "cancelled"):
                raise LabError(
                    "the machine's state could not be saved", status.get("error-desc", "")
                )
            return True if status.get("status") == "completed" else None

        wait_until("the machine's state saved", saved, timeout, interval=0.1, error=LabError)

    def _read(self) -> dict[str, Any]:
        line = self._file.readline()
        if not line:
            raise LabError("QEMU closed its control socket")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def session(path: Path, timeout: float = 30) -> Iterator[Qmp]:
    """A session on the socket at `path`; raises LabError where QEMU does not answer."""
    # A socket's address holds 108 bytes at most, a folder's path may be longer.
    try:
        with ExitStack() as opened:
            folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
            opened.callback(os.close, folder)
            connection = opened.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            connection.settimeout(timeout)
            connection.connect(f"/proc/self/fd/{folder}/{path.name}")
            yield opened.enter_context(closing(Qmp(connection)))
    except (OSError, ValueError) as error:
        raise LabError("QEMU does not answer on its control socket", f"{path}: {error}") from error
