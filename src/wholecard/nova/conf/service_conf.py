"""The files of one service as nova reads them together, each value with its position.

Merged as oslo.config does it. Source: oslo.config 10, `cfg.py` (`_Namespace._get_file_value`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from wholecard.core import UsageError
from wholecard.nova.conf.conf_file import ConfEntry, ConfFile, Problem, normal
from wholecard.nova.conf.substitution import Substituted, substituted
from wholecard.nova.options import Option, Role, find

_TRUE, _FALSE = frozenset({"true", "1", "on", "yes"}), frozenset({"false", "0", "off", "no"})


@dataclass(frozen=True)
class Effective:
    """What nova reads for an option: its entries in the order of their values, the last counts.

    An option that is not a `multi` has one entry, one that is not set has none.
    """

    option: Option
    entries: tuple[ConfEntry, ...]

    @property
    def is_set(self) -> bool:
        """Whether any file sets it."""
        return bool(self.entries)

    @property
    def value(self) -> str | None:
        """The last value as text."""
        return self.entries[-1].value if self.entries else None

    @property
    def values(self) -> tuple[str, ...]:
        """A `multi`'s values, or a `list`'s items."""
        if self.option.kind == "list":
            return split_list(self.value or "")
        return tuple(entry.value for entry in self.entries)

    def boolean(self, default: bool = False) -> bool:
        """A boolean's value; the default also where nova would refuse it."""
        value = as_boolean(self.value or "")
        return default if value is None else value


def split_list(value: str) -> tuple[str, ...]:
    """A list option's items, as `oslo_config.types.List` takes them apart."""
    text = value.strip().rstrip(",")
    return tuple(item.strip() for item in text.split(",")) if text else ()


def as_boolean(value: str) -> bool | None:
    """A boolean as oslo.config reads it, None for what it refuses."""
    text = value.strip().lower()
    return True if text in _TRUE else False if text in _FALSE else None


@dataclass(frozen=True)
class NovaConf:
    """All files of one service, in the order in which it reads them."""

    files: tuple[ConfFile, ...]

    @classmethod
    def read(cls, paths: Sequence[Path], role: Role | None = None) -> NovaConf:
        """Files, and of folders what the service of that role reads there; see `files_in`.

        Raises UsageError for a missing path or a folder without such a file, WholecardError for one
        that cannot be read.
        """
        return cls(tuple(ConfFile.read(file) for path in paths for file in files_in(path, role)))

    @property
    def entries(self) -> Iterator[ConfEntry]:
        """Every assignment of every file."""
        for file in self.files:
            yield from file.entries

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What could not be read in the files."""
        return tuple(problem for file in self.files for problem in file.problems)

    def find(self, section: str, name: str) -> tuple[ConfEntry, ...]:
        """Every assignment of this very name, in the files' order."""
        return tuple(
            entry
            for file in self.files
            for entry in file.sections.get(normal(section), {}).get(name, ())
        )

    def effective(self, option: Option, major: int | None = None) -> Effective:
        """What nova (of that major version) reads for `option`, by any of its names.

        As oslo.config does it: a later file's values come after an earlier one's, and within one
        file those under a deprecated name before those under the right one, whatever their order.
        """
        names = [
            (spelling.section, spelling.name)
            for spelling in option.spellings
            if major is None or spelling.state(major) in ("right", "deprecated")
        ]
        in_order: list[ConfEntry] = []
        for file in reversed(self.files):
            for section, name in names:
                entries = file.sections.get(normal(section), {}).get(name, [])
                if entries and option.kind != "multi":
                    return Effective(option, (entries[-1],))
                in_order = [*entries, *in_order]
        return Effective(option, tuple(in_order))

    def substituted(self, entry: ConfEntry) -> Substituted:
        """The entry's value with `$name` replaced, as far as these files know the names."""
        return substituted(entry.value, lambda name: self._lookup(entry, name))

    def _lookup(self, entry: ConfEntry, name: str) -> str | None:
        section, dot, option = name.partition(".")
        # A name of the entry's own section counts where nova has such an option there.
        own = [(normal(entry.section), name)] if find(normal(entry.section), name) else []
        for names in [(section, option)] if dot else [*own, ("DEFAULT", name)]:
            entries = self.find(*names)
            if entries:
                return entries[-1].value
        return None


def files_in(path: Path, role: Role | None = None) -> list[Path]:
    """The path itself, or of a folder the files that a service reads there, in its order.

    Of `/etc/nova` that is what oslo.config looks for (cfg.py, `find_config_files` and
    `find_config_dirs`): nova.conf, nova-compute.conf, and then every `*.conf` by name of
    nova.conf.d and nova-compute.conf.d. Of a folder without a nova.conf it is every `*.conf` by
    name, as `--config-dir` does. Raises UsageError for a folder without any.
    """
    if not path.is_dir():
        return [path]
    project = "placement" if role == "placement" else "nova"
    programs = [project, *([f"nova-{role}"] if role and role != "placement" else [])]
    files = _conf_files(path)
    if (path / f"{project}.conf").is_file():
        files = [one for name in programs if (one := path / f"{name}.conf").is_file()]
        files += [one for name in programs for one in _conf_files(path / f"{name}.conf.d")]
    if not files:
        raise UsageError(
            f"{path} has no *.conf: 0 files would be read",
            resolution="Name the folder that the service reads, or its files.",
        )
    return files


def _conf_files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.glob("*.conf") if not file.name.startswith("."))
