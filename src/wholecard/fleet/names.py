"""The hosts that a person names with `--on`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from wholecard.core import UsageError
from wholecard.core.input_files import read_input

# A name of DNS, of ssh's configuration, or an IPv4 address; or an IPv6 address, with its zone.
_USER = r"(?:[A-Za-z0-9_][A-Za-z0-9_.-]*@)?"
_HOST = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_IPV6 = r"(?=[^@]*:[^@]*:)[0-9A-Fa-f:.]+(?:%[A-Za-z0-9_.-]+)?"
# A line for each of 10,000 hosts is shorter.
_LIMIT = 4 << 20
_NAME = re.compile(f"{_USER}(?:{_HOST}|{_IPV6})")


def read_names(values: Sequence[str]) -> tuple[str, ...]:
    """The hosts in the order of the options `values`, each once.

    A value is a list separated by commas; its part `@FILE` is a file with one host per line, where
    `#` begins a comment. Raises UsageError for a text that cannot be a host's name, for a file
    that cannot be read, and for an empty list.
    """
    names = tuple(dict.fromkeys(name for text in values for name in _split(text)))
    if not names:
        raise UsageError("no host named", resolution="Name one: wholecard --on gpu-01 inspect")
    for name in names:
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"{name!r} is not a host's name",
                resolution="Write HOST or USER@HOST. A port, a key or a jump host belongs in ssh's "
                "own configuration (~/.ssh/config, or --ssh-config FILE).",
            )
    return names


def _split(text: str) -> Iterator[str]:
    for part in text.split(","):
        if part.startswith("@"):
            yield from _lines(Path(part[1:]))
        elif part.strip():
            yield part.strip()


def _lines(file: Path) -> Iterator[str]:
    try:
        text = read_input(file, _LIMIT).decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UsageError(
            f"cannot read the hosts from {file}: {reason}",
            resolution="Name a text file with one host per line: --on @FILE",
        ) from error
    for line in text.splitlines():
        name = line.partition("#")[0].strip()
        if name:
            yield name
