"""A host's facts in a file: the JSON of `inspect --json`, or a snapshot of `inspect --save`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from wholecard.core import UsageError
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
        data: Any = json.loads(path.read_text())
        if not isinstance(data, dict):
            raise TypeError("host facts are a JSON object")  # noqa: TRY301 (one place says what is wrong)
        return Host.from_json(data)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(
            f"cannot read a host's facts from {path}",
            f"{type(error).__name__}: {error}",
            "Write them on the host: wholecard-host inspect --json > host.json",
        ) from error
