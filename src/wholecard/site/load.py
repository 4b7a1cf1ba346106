"""`site.yaml` read: the site, and where each thing stands in the file."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import ValidationError

from wholecard.core import UsageError
from wholecard.core.releases import Release, release
from wholecard.core.units import counted
from wholecard.host.facts.host import Host
from wholecard.host.facts.saved import read_host
from wholecard.site.card_matching import meant_twice
from wholecard.site.error_words import Nearest, model_faults
from wholecard.site.model import Site
from wholecard.site.reference_checks import reference_faults, release_faults
from wholecard.site.yaml_positions import (
    MOST_BYTES,
    BrokenError,
    Position,
    SiteIssue,
    YamlNode,
    compose,
)

# What a person reads; the rest is counted.
_MOST_SHOWN = 50


class SiteError(UsageError):
    """A site file that cannot be used: `faults` are all that is wrong with it, by place.

    `details` has a line for each: `site.yaml:4:7: what; hint`.
    """

    def __init__(self, path: Path, faults: Iterable[SiteIssue]) -> None:
        self.path = path
        self.faults = tuple(sorted(set(faults)))
        count = len(self.faults)
        lines = [fault_line(path, fault) for fault in self.faults[:_MOST_SHOWN]]
        if count > _MOST_SHOWN:
            lines.append(f"and {count - _MOST_SHOWN} more")
        super().__init__(
            f"{path} cannot be used: {counted(count, 'fault')}",
            "\n".join(lines),
            "See docs/reference/site.md, or what your editor completes by: wholecard site schema",
        )


def fault_line(path: Path, fault: SiteIssue) -> str:
    """A fault as one line: `site.yaml:4:7: what; hint`, or `what. Hint` where it is a sentence."""
    hint = f"{'. ' if fault.hint[0].isupper() else '; '}{fault.hint}" if fault.hint else ""
    return f"{path}:{fault.place.line}:{fault.place.column}: {fault.what}{hint}"


@dataclass(frozen=True)
class SiteFile:
    """A site as `path` has it."""

    site: Site
    path: Path
    root: YamlNode

    @property
    def release(self) -> Release:
        """The release that the site names."""
        return release(self.site.release)

    def place(self, *keys: str | int) -> tuple[int, int]:
        """Line and column, from 1, of the key at the end of `keys` (`"cards", "h100", "match", 0`).

        Where the file does not say it, the place of the nearest above that it does say.
        """
        place = self.root.place
        for place, _ in self.root.walk(keys):  # noqa: B007 (the last one is wanted)
            pass
        return place

    def facts(self) -> Mapping[str, Host]:
        """The facts of the hosts that name a file of them, each read when it is first asked for.

        Asking raises SiteError where the file cannot be read, or where two kinds of card mean
        the same function of that host.
        """
        return self._facts

    @cached_property
    def _facts(self) -> HostFacts:
        return HostFacts(self)


class HostFacts(Mapping[str, Host]):
    """Each host's facts by its name, read when they are asked for; see `SiteFile.facts`."""

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
            said = f"{error.brief}: {error.details}" if error.details else error.brief
            where = Position(*file.place("hosts", name, "facts"))
            raise SiteError(file.path, [SiteIssue(where, said, error.resolution)]) from error
        twice = [
            SiteIssue(
                Position(*file.place("cards", second, "match")),
                f"{function.address} on {name} is meant by cards.{first} too",
                "a function is of one kind",
            )
            for function, first, second in meant_twice(file.site, name, host)
        ]
        if twice:
            raise SiteError(file.path, twice)
        return host


def read_site(path: Path) -> SiteFile:
    """The site in the file, with nothing wrong that the file alone tells.

    Reads no host's facts. Raises SiteError with every fault and its place, UsageError where the
    file cannot be read at all.
    """
    try:
        root, faults = compose(_text(path))
    except BrokenError as error:
        raise SiteError(path, [error.fault]) from error
    nearest = Nearest()
    try:
        site = Site.model_validate(root.data())
    except ValidationError as error:
        faults += [*release_faults(root), *model_faults(error, root, nearest)]
        raise SiteError(path, faults) from error
    faults += reference_faults(site, root, nearest)
    if faults:
        raise SiteError(path, faults)
    return SiteFile(site, path, root)


def _text(path: Path) -> str:
    """The file's text. Raises UsageError, and SiteError where it is not UTF-8."""
    try:
        # A pipe would make us wait for who writes to it.
        if not stat.S_ISREG(path.stat().st_mode):
            raise UsageError(f"{path} is no file", resolution="Name the site file.")
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
            "A site of 10,000 hosts is smaller.",
            "Name the site file; hosts' facts are files of their own.",
        )
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise SiteError(
            path, [SiteIssue(Position(1, 1), "UTF-16 and not UTF-8", "save it as UTF-8")]
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig")
        place = Position(before.count("\n") + 1, len(before) - before.rfind("\n"))
        what = f"the byte 0x{data[error.start]:02x} is no UTF-8 (Latin-1?)"
        raise SiteError(path, [SiteIssue(place, what, "save it as UTF-8")]) from error
