"""Which findings a person wants: by options, by settings in a file, and by comments in nova.conf.

oslo.config has comments on lines of their own only, so a comment counts for the option below it;
one above the first section counts for its whole file:

    # wholecard: ignore WC238
    enabled_filters = ComputeFilter,PciPassthroughFilter
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import tomllib

from wholecard.core import UsageError
from wholecard.core.near_names import did_you_mean
from wholecard.core.rules import RULES
from wholecard.nova.conf.conf_file import ConfFile
from wholecard.nova.lint.diagnostic import Diagnostic
from wholecard.nova.lint.service import Service

_COMMENT = re.compile(r"[#;]\s*wholecard:\s*ignore\s+(?P<codes>WC\d+(?:[\s,]+WC\d+)*)\s*", re.I)
_WHOLE = re.compile(r"WC\d{1,3}")


@dataclass(frozen=True)
class Selection:
    """Rules by the beginnings of their codes: those selected, all where none is, less the ignored.

    Of two that fit a rule the longer one counts, so `ignore WC2` with `select WC236` leaves WC236.
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()

    @classmethod
    def of(cls, select: Iterable[str], ignore: Iterable[str]) -> Selection:
        """From texts with one or several codes each. Raises UsageError for what is no rule's."""
        return cls(_codes(select), _codes(ignore))

    def keeps(self, code: str) -> bool:
        """Whether findings of the rule are wanted."""
        selected = max((len(one) for one in self.select if code.startswith(one)), default=0)
        ignored = max((len(one) for one in self.ignore if code.startswith(one)), default=0)
        return selected > ignored if self.select else not ignored

    def or_else(self, other: Selection) -> Selection:
        """This selection, with the other's part where this has none."""
        return Selection(self.select or other.select, self.ignore or other.ignore)

    def wanted(
        self, diagnostics: Iterable[Diagnostic], services: Sequence[Service]
    ) -> list[Diagnostic]:
        """Those that are selected and that no comment in their file ignores."""
        files = {file.path: file for service in services for file in service.conf.files}
        comments = {path: IgnoreComments(file) for path, file in files.items()}
        return [
            one for one in diagnostics
            if self.keeps(one.finding.rule)
            and not (one.path in comments and comments[one.path].ignores(one))
        ]  # fmt: skip


EVERYTHING = Selection()


@dataclass(frozen=True)
class IgnoreComments:
    """The comments in a file that ignore rules."""

    file: ConfFile = field(repr=False)

    def ignores(self, diagnostic: Diagnostic) -> bool:
        """Whether a comment is about the diagnostic's option, or about the whole file."""
        rule = diagnostic.finding.rule
        if not self._by_line:
            return False
        if rule in self._of_file:
            return True
        line = self._first_line(diagnostic.position.line) - 1
        while line > 0 and self.file.lines[line - 1].lstrip()[:1] in ("#", ";"):
            if rule in self._by_line.get(line, ()):
                return True
            line -= 1
        return False

    def _first_line(self, line: int) -> int:
        """The first line of the option that a line is a part of."""
        own = (one for one in self.file.entries if one.line <= line < one.line + one.count)
        return next((one.line for one in own), line)

    @cached_property
    def _by_line(self) -> dict[int, tuple[str, ...]]:
        found = {}
        for number, line in enumerate(self.file.lines, 1):
            if "wholecard" in line and (match := _COMMENT.fullmatch(line.strip())):
                found[number] = tuple(re.split(r"[\s,]+", match["codes"].upper()))
        return found

    @cached_property
    def _of_file(self) -> frozenset[str]:
        first = min((header.line for header in self.file.headers), default=1)
        return frozenset(
            code for line, codes in self._by_line.items() if line < first for code in codes
        )


def _codes(texts: Iterable[str]) -> tuple[str, ...]:
    codes = [code for text in texts for code in re.split(r"[\s,]+", text) if code]
    for code in codes:
        if not _WHOLE.fullmatch(code) or not any(rule.startswith(code) for rule in RULES):
            near = did_you_mean(code, RULES)
            resolution = (
                near or "wholecard rule lists the rules: WC238, or WC23 for all that begin so."
            )
            raise UsageError(f"there is no rule {code!r}", resolution=resolution)
    return tuple(dict.fromkeys(codes))


def project_selection(folder: Path) -> Selection:
    """`[tool.wholecard.lint]` of the pyproject.toml in the folder, or in the next one above.

    A file without that table is passed over. Raises UsageError for a file that is no TOML, or that
    names what is no rule.
    """
    for place in (folder, *folder.parents):
        path = place / "pyproject.toml"
        if path.is_file():
            settings = _settings(path)
            if settings is not None:
                return Selection.of(
                    _texts(path, settings, "select"), _texts(path, settings, "ignore")
                )
    return Selection()


def _settings(path: Path) -> Mapping[str, Any] | None:
    try:
        data = tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {path}: {error}") from error
    tool = data.get("tool", {}).get("wholecard", {})
    lint = tool.get("lint") if isinstance(tool, dict) else None
    return lint if isinstance(lint, dict) else None


def _texts(path: Path, settings: Mapping[str, Any], key: str) -> list[str]:
    value = settings.get(key, [])
    if not isinstance(value, list) or not all(isinstance(code, str) for code in value):
        raise UsageError(
            f"{path}: [tool.wholecard.lint] {key} is not a list of codes",
            resolution=f'Write {key} = ["WC238"].',
        )
    return value
