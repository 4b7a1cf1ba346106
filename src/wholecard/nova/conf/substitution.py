"""`$name` in a value: what oslo.config makes of it, and where each character comes from.

Source: oslo.config 10, `cfg.py`, `ConfigOpts._substitute`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

# A text that repeats one long value many times is not built beyond this.
LONGEST = 4 << 20
# cfg.ConfigOpts.Template: string.Template with dots in names, case ignored. oslo.config makes \$ a
# $$ before, and both are one plain dollar sign after.
_DOLLAR = re.compile(
    r"\\\$|\$(?:(?P<escaped>\$)|(?P<named>[_a-z][\._a-z0-9]*)|\{(?P<braced>[_a-z][\._a-z0-9]*)\})",
    re.IGNORECASE | re.ASCII,
)


@dataclass(frozen=True)
class Substituted:
    """A value after oslo.config's substitution, and where its characters come from.

    `unknown` are the names, with their offset in the entry's value, that no file sets: nova takes
    the option's default, and where it has no such option either it refuses to start. `replaced`
    are the names whose values are in the text.
    """

    text: str
    unknown: tuple[tuple[str, int], ...] = ()
    steps: tuple[tuple[int, int], ...] = ()
    replaced: tuple[str, ...] = ()

    def origin(self, offset: int) -> int:
        """The offset in the entry's value from which the character at `offset` comes."""
        begin, source = 0, 0
        for new, old in self.steps:
            if new > offset:
                break
            begin, source = new, old
        return source + offset - begin


def substituted(value: str, lookup: Callable[[str], str | None]) -> Substituted:
    """The value with each name replaced by what `lookup` has for it, one step deep."""
    if "$" not in value:
        return Substituted(value)
    pieces: list[str] = []
    unknown: list[tuple[str, int]] = []
    replaced: list[str] = []
    steps: list[tuple[int, int]] = []
    length = last = 0
    for match in _DOLLAR.finditer(value):
        name = match["named"] or match["braced"]
        # An escaped dollar sign has no name.
        text = lookup(name) if name else "$"
        if text is None:
            unknown.append((name, match.start()))
            text = match[0]
        elif name:
            replaced.append(name)
        pieces += [value[last : match.start()], text]
        length += match.start() - last + len(text)
        last = match.end()
        steps.append((length, last))
        if length > LONGEST:
            break
    text = "".join([*pieces, value[last:]])
    return Substituted(text, tuple(unknown), tuple(steps), tuple(replaced))
