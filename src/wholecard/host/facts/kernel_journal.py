"""The kernel's log of this boot from systemd's journal, where the ring buffer has lost its start.

Source: systemd, journalctl(1) and systemd.journal-fields(7); `_SOURCE_MONOTONIC_TIMESTAMP` of a
kernel's line is its time since boot in microseconds, as in `/dev/kmsg`.
"""

from __future__ import annotations

import json
import os
from shutil import which

from wholecard.core import RunError, run
from wholecard.host.facts.kernel_log import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from wholecard.core.small_files import Root

_TIMEOUT = 60.0
_COMMAND = ("journalctl", "--dmesg", "--boot", "--no-pager", "--quiet", "--output=json",
            "--output-fields=MESSAGE,_SOURCE_MONOTONIC_TIMESTAMP")  # fmt: skip


def read_kernel_journal(root: Root) -> tuple[Record, ...] | None:
    """The kernel's lines since boot; None where there is no journal, or it may not be read.

    Only for the running host: another root's journal is that of other boots.
    """
    if os.fspath(root) != "/" or which(_COMMAND[0]) is None:
        return None
    try:
        answer = run(_COMMAND, timeout=_TIMEOUT, check=False)
    except RunError:
        return None
    records = tuple(_records(answer.stdout))
    # Somebody who may not read the system's journal gets an empty one and a hint.
    return records or None


def _records(text: str) -> Iterator[Record]:
    for number, line in enumerate(text.splitlines()):
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if not isinstance(entry, dict):
            continue
        message, moment = entry.get("MESSAGE"), str(entry.get("_SOURCE_MONOTONIC_TIMESTAMP", ""))
        if isinstance(message, str) and moment.isdigit():
            yield Record(number, int(moment) / 1e6, message)
