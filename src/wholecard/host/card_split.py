"""One card of a host that is given in parts: what is requested of it, as plain data."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from wholecard.core import UsageError
from wholecard.core.near_names import did_you_mean
from wholecard.pci import Address
from wholecard.pci.address import parse_numbers

WAYS = ("mdev", "vfs", "mig")
# linux: Documentation/ABI/testing/sysfs-driver-intel-xe-sriov; the values of sched_priority.
SCHEDULING = ("exec_quantum_ms", "preempt_timeout_us", "sched_priority")

_TYPE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._+-]{0,62}[A-Za-z0-9._+-])?")
_PROFILE = re.compile(r"[1-9]g\.[1-9][0-9]{0,3}gb(?:\+me|\+me\.all|\+gfx|-me)?")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
_MOST = 65535


@dataclass(frozen=True)
class CardSplit:
    """What one card is given as.

    `card` is the address of its PF (`0000:17:00.0`), or the name of a parent of mediated devices
    that is no PCI function (`mtty`). `way` is `mdev`, `vfs` or `mig`. `types` say how many parts of
    each type, by the driver's name or ID of it; `count` is the number of VFs, 0 where the types say
    it or the card has none. `geometry` says how many MIG instances of each profile; they are given
    `through` VFs or mediated devices. `driver` is that of the VFs, empty for the default. Mediated
    devices are `made_by` nova or by the host. `mixed_sizes` is NVIDIA's heterogeneous mode, and
    `scheduling` are values of xe's `sriov_admin`.
    """

    card: str
    way: str
    types: tuple[tuple[str, int], ...] = ()
    count: int = 0
    geometry: tuple[tuple[str, int], ...] = ()
    through: str = ""
    driver: str = ""
    made_by: str = "nova"
    mixed_sizes: bool = False
    scheduling: tuple[tuple[str, str], ...] = ()

    @property
    def parts(self) -> str:
        """What a server gets: `mdev` or `vfs`."""
        return self.through if self.way == "mig" else self.way

    @property
    def vfs(self) -> int:
        """How many VFs servers can get; 0 where they get mediated devices."""
        return max(self.count, sum(n for _, n in self.types)) if self.parts == "vfs" else 0

    @property
    def is_function(self) -> bool:
        """Whether the card is a PCI function."""
        return parse_numbers(self.card) is not None

    def to_json(self) -> dict[str, Any]:
        """The fields by name; types, geometry and scheduling as objects."""
        data = dict(self.__dict__)
        for name in ("types", "geometry"):
            data[name] = dict(data[name])
        data["scheduling"] = {
            key: int(text) if text.isdigit() else text for key, text in self.scheduling
        }
        return data

    @classmethod
    def from_json(cls, data: Any) -> CardSplit:
        """The inverse of `to_json`; all but `card` and `way` may be left out. Raises UsageError."""
        if not isinstance(data, dict):
            raise UsageError(
                f"a split is {str(data)[:40]!r}, not an object",
                resolution='Write {"card": "0000:17:00.0", "way": "vfs", "count": 4}',
            )
        fields = {field.name: field for field in dataclasses.fields(cls)}
        for key in data:
            if key not in fields:
                hint = did_you_mean(str(key), fields) or f"Its keys: {', '.join(fields)}."
                raise UsageError(f"a split has no key {str(key)[:40]!r}", resolution=hint)
        split = cls(**{key: _value(key, value) for key, value in data.items()}
                    if {"card", "way"} <= data.keys() else _missing(data))  # fmt: skip
        split._refuse_wrong()
        return split

    def _refuse_wrong(self) -> None:
        """Raises UsageError for values that do not go together in one record."""
        wrong = {
            f"way is {self.way!r}, not one of {', '.join(WAYS)}": self.way not in WAYS,
            "mig needs a geometry, and through: mdev or vfs": self.way == "mig"
            and not (self.geometry and self.through in ("mdev", "vfs")),
            "geometry and through are for mig": self.way != "mig"
            and bool(self.geometry or self.through),
            "mediated devices need types": self.parts == "mdev" and not self.types,
            "VFs need a count, or types": self.parts == "vfs" and not self.vfs,
            f"{self.card} is no PCI function, and has mediated devices only": self.way != "mdev"
            and not self.is_function,
            f"made_by is {self.made_by!r}, not nova or host": self.made_by not in ("nova", "host"),
        }
        for sentence, is_wrong in wrong.items():
            if is_wrong:
                raise UsageError(f"the split of {self.card} cannot be used: {sentence}")


def _missing(data: Mapping[str, Any]) -> dict[str, Any]:
    lacking = [key for key in ("card", "way") if key not in data]
    raise UsageError(f"a split needs {' and '.join(lacking)}", resolution="Add what is missing.")


def _value(key: str, value: Any) -> Any:
    """A field's value from JSON. Raises UsageError."""
    return _READERS[key](key, value) if key in _READERS else _name(key, value)


def _flag(key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"{key} is {str(value)[:40]!r}, not true or false")
    return value


def _name(key: str, value: Any) -> str:
    if not isinstance(value, str) or (value and not _is_name(key, value)):
        raise UsageError(f"{key} of a split is {str(value)[:40]!r}, which cannot be used")
    return str(Address.parse(value)) if key == "card" and parse_numbers(value) else value


def _is_name(key: str, value: str) -> bool:
    return (key == "card" and parse_numbers(value) is not None) or bool(_NAME.fullmatch(value))


def _counts(key: str, value: Any) -> tuple[tuple[str, int], ...]:
    if not isinstance(value, dict):
        raise UsageError(f"{key} of a split is {str(value)[:40]!r}, not an object")
    pattern = _TYPE if key == "types" else _PROFILE
    for name in value:
        if not pattern.fullmatch(name):
            raise UsageError(f"{key} of a split cannot be {name[:40]!r}")
    return tuple((name, _number(name, count, 1)) for name, count in value.items())


def _number(key: str, value: Any, least: int = 0) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= _MOST:
        raise UsageError(f"{key} is {str(value)[:40]!r}, not a number from {least} to {_MOST}")
    return value


def _scheduling(key: str, value: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict) or not value.keys() <= {*SCHEDULING}:
        raise UsageError(
            f"{key} of a split cannot be used", resolution=f"Its keys: {', '.join(SCHEDULING)}."
        )
    priority = value.get("sched_priority", "normal")
    if priority not in ("low", "normal"):
        raise UsageError(f"sched_priority is {str(priority)[:40]!r}, not low or normal")
    numbers = {name: str(_number(name, number)) for name, number in value.items()
               if name != "sched_priority"}  # fmt: skip
    texts = {**numbers, "sched_priority": priority}
    return tuple((name, texts[name]) for name in SCHEDULING if name in value)


_READERS: Mapping[str, Callable[[str, Any], Any]] = {
    "types": _counts, "geometry": _counts, "scheduling": _scheduling, "count": _number,
    "mixed_sizes": _flag,
}  # fmt: skip
