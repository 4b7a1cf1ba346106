"""`site.yaml` read: the site, and the position of each key in the file."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import ValidationError

from wholecard.core import UsageError
from wholecard.core.position import Position
from wholecard.core.releases import Release, release
from wholecard.core.units import counted
from wholecard.host.facts.host import Host
from wholecard.host.facts.saved import read_host
from wholecard.site.boards import board_issues, place_in_file, with_sets
from wholecard.site.card_matching import matched_twice
from wholecard.site.error_words import Nearest, model_issues
from wholecard.site.model import Site
from wholecard.site.reference_checks import reference_issues, release_issues
from wholecard.site.yaml_positions import (
    MOST_BYTES,
    BrokenError,
    SiteIssue,
    YamlNode,
    compose,
    position_at,
)

# What a person reads; the rest is counted.
_MOST_SHOWN = 50


class SiteError(UsageError):
    """A site file that cannot be used: `issues` are all that is wrong with it, by position.

    `details` has a line for each: `site.yaml:4:7: what; hint`.
    """

    def __init__(self, path: Path, issues: Iterable[SiteIssue]) -> None:
        self.path = path
        self.issues = tuple(sorted(set(issues)))
        count = len(self.issues)
        lines = [issue_line(path, issue) for issue in self.issues[:_MOST_SHOWN]]
        if count > _MOST_SHOWN:
            lines.append(f"and {count - _MOST_SHOWN} more")
        super().__init__(
            f"{path} cannot be used: {counted(count, 'error')}",
            "\n".join(lines),
            "See docs/reference/site.md, or let your editor use the schema: wholecard site schema",
        )


def issue_line(path: Path, issue: SiteIssue) -> str:
    """An issue as one line: `site.yaml:4:7: what; hint`, or `what. Hint` where it is a sentence."""
    hint = f"{'. ' if issue.hint[0].isupper() else '; '}{issue.hint}" if issue.hint else ""
    return f"{path}:{issue.position.line}:{issue.position.column}: {issue.what}{hint}"


@dataclass(frozen=True)
class SiteFile:
    """The site in the file `path`, with the tree of its YAML."""

    site: Site
    path: Path
    root: YamlNode

    @property
    def release(self) -> Release:
        """The release that the site names."""
        return release(self.site.release)

    def position(self, *keys: str | int) -> Position:
        """The position of the key at the end of `keys` (`"cards", "h100", "match", 0`).

        Where the file does not have it, the position of the nearest key above that it has.
        """
        return self.root.position_of(place_in_file(self.site, keys))

    def facts(self) -> Mapping[str, Host]:
        """The facts of the hosts that name a facts file, each read when it is first used.

        Reading raises SiteError where the file cannot be read, or where two kinds of card match
        the same function of that host.
        """
        return self._facts

    @cached_property
    def _facts(self) -> HostFacts:
        return HostFacts(self)


class HostFacts(Mapping[str, Host]):
    """Each host's facts by its name, read when they are first used; see `SiteFile.facts`."""

    def __init__(self, file: SiteFile) -> None:
        self._file = file
        self._read: dict[str, Host] = {}
        self._named = {
            name: file.path.parent / host.facts
            for name, host in file.site.hosts.items()
            if host.facts is not None
        }

    def __getitem__(self, name: str) -> Host:
        if name not in self._read:
            self._read[name] = self._checked(name, self._named[name])
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._named)

    def __len__(self) -> int:
        return len(self._named)

    def _checked(self, name: str, path: Path) -> Host:
        file = self._file
        try:
            host = read_host(path)
        except UsageError as error:
            what = f"{error.brief}: {error.details}" if error.details else error.brief
            position = file.position("hosts", name, "facts")
            raise SiteError(file.path, [SiteIssue(position, what, error.resolution)]) from error
        twice = [
            SiteIssue(
                file.position("cards", second, "match"),
                f"{function.address} on {name} is matched by cards.{first} too",
                "a function belongs to one kind",
            )
            for function, first, second in matched_twice(file.site, name, host)
        ]
        if twice:
            raise SiteError(file.path, twice)
        return host


def read_site(path: Path) -> SiteFile:
    """The site in the file, checked as far as the file alone allows.

    Reads no host's facts. Raises SiteError with every issue and its position, UsageError where the
    file cannot be read at all.
    """
    try:
        root, issues = compose(_text(path))
    except BrokenError as error:
        raise SiteError(path, [error.issue]) from error
    nearest = Nearest()
    try:
        site = Site.model_validate(root.data())
    except ValidationError as error:
        issues += [*release_issues(root), *model_issues(error, root, nearest)]
        raise SiteError(path, issues) from error
    broken = [SiteIssue(root.position_of(keys), *rest) for keys, *rest in board_issues(site)]
    if broken:
        raise SiteError(path, [*issues, *broken])
    site = with_sets(site)
    issues += reference_issues(site, root, nearest)
    if issues:
        raise SiteError(path, issues)
    return SiteFile(site, path, root)


def _text(path: Path) -> str:
    """The file's text. Raises UsageError, and SiteError where it is not UTF-8."""
    try:
        # Opening a pipe waits until somebody writes to it.
        if not stat.S_ISREG(path.stat().st_mode):
            raise UsageError(f"{path} is not a file", resolution="Name the site file.")
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"cannot read {path}: {error.strerror}",
            resolution="Name the site file, or write a first one: wholecard site init",
        ) from error
    if len(data) > MOST_BYTES:
        raise UsageError(
            f"{path} is larger than {MOST_BYTES >> 10} KiB",
            "Even a site file of 10,000 hosts is smaller.",
            "Name the site file; the facts of hosts are separate files.",
        )
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        issue = SiteIssue(Position(1, 1), "UTF-16 and not UTF-8", "save the file as UTF-8")
        raise SiteError(path, [issue])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig")
        what = f"the byte 0x{data[error.start]:02x} is not UTF-8 (Latin-1?)"
        issue = SiteIssue(position_at(before, len(before)), what, "save the file as UTF-8")
        raise SiteError(path, [issue]) from error
