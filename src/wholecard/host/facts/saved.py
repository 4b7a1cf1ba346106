"""A host's facts in a file: the JSON of `inspect --json`, or a snapshot of `inspect --save`."""

from __future__ import annotations

from pathlib import Path

from wholecard.core import UsageError
from wholecard.core.input_files import read_json_input
from wholecard.host.facts.host import Host
from wholecard.host.facts.inspect import inspect
from wholecard.host.facts.snapshot import SUFFIXES, open_snapshot


def read_host(path: Path) -> Host:
    """The host whose facts the file has; its name says which of the two kinds it is.

    Raises UsageError where the file cannot be read or holds no host.
    """
    if path.name.endswith(SUFFIXES):
        with open_snapshot(path) as root:
            return inspect(root)
    return read_json(path)


def read_json(path: Path) -> Host:
    """The host that `inspect --json` wrote to the file. Raises UsageError as above."""
    try:
        return Host.from_json(read_json_input(path))
    except (OSError, ValueError, KeyError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise UsageError(
            f"cannot read a host's facts from {path}",
            error.strerror if isinstance(error, OSError) and error.strerror else reason,
            "Write them on the host: wholecard-host inspect --json > host.json",
        ) from error
