"""clouds.yaml looked at before the SDK reads it: the kind of file, its size, depth and aliases.

The SDK opens what it finds and copies what it reads: a pipe would be waited for, and a few lines of
aliases of aliases would fill the memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import yaml

from wholecard.core import UsageError
from wholecard.core.input_files import read_input

_MOST_BYTES = 1 << 20
_MOST_DEPTH = 32
_MOST_VALUES = 100_000


def refuse_odd_files(files: Iterable[str | Path]) -> None:
    """Raises UsageError for a file that exists and that no clouds.yaml is like.

    Broken YAML is left to the reader. No line of a file is quoted: it may have a password.
    """
    for file in map(Path, files):
        if file.exists():
            try:
                _count(read_input(file, _MOST_BYTES))
            except yaml.YAMLError:
                continue
            except (OSError, ValueError) as error:
                reason = error.strerror if isinstance(error, OSError) else str(error)
                raise UsageError(
                    f"cannot read {file}: {reason}", resolution="Name a clouds.yaml."
                ) from None


def _count(data: bytes) -> None:
    """Raises ValueError if there are too many values, with all YAML aliases expanded."""
    sizes: dict[str | None, int] = {}
    above: list[tuple[str | None, int]] = []
    size = 0
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    for event in yaml.parse(data, Loader=loader):
        if isinstance(event, yaml.CollectionStartEvent):
            above.append((event.anchor, size))
            size = 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = above.pop()
            sizes[anchor] = size
            size += before
        elif isinstance(event, yaml.AliasEvent):
            size += sizes.get(event.anchor, 1)
        elif isinstance(event, yaml.ScalarEvent):
            size += 1
        if len(above) > _MOST_DEPTH:
            raise ValueError(f"nested deeper than {_MOST_DEPTH} levels")
        if size > _MOST_VALUES:
            raise ValueError(f"more than {_MOST_VALUES} values, aliases counted")
