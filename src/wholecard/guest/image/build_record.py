"""The record beside a built image: what went into it, as `FILE.json`."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from wholecard import __version__
from wholecard.core import UsageError
from wholecard.core.input_files import read_json_input
from wholecard.core.json_records import Reader, record_reader
from wholecard.core.units import size_text

_MOST_BYTES = 8 << 20
_FORMAT = 1


@dataclass(frozen=True)
class RecordedStep:
    """A file or a command of the image: `what` is its path or its command line."""

    kind: str
    what: str
    reason: str
    sha256: str | None = None


@dataclass(frozen=True)
class BuildRecord:
    """What a built image is made of; sizes are in bytes.

    `sha256` and `size` are the image file's own, so that another file's record is recognized.
    """

    name: str
    os: str
    recipe_sha256: str
    base: str
    base_sha256: str
    virtual_size: int
    growth: str
    writer: str | None
    steps: tuple[RecordedStep, ...]
    sha256: str
    size: int
    built: str
    tools: tuple[str, ...] = ()
    wholecard: str = __version__
    format: int = _FORMAT


def record_path(image: Path) -> Path:
    """The record's file for an image's file."""
    return image.with_name(f"{image.name}.json")


def record_text(record: BuildRecord) -> str:
    """The record as its file has it."""
    return json.dumps(asdict(record), indent=1) + "\n"


def read_record(image: Path) -> BuildRecord | None:
    """The record beside an image's file, None where there is none. Raises UsageError."""
    path = record_path(image)
    if not path.exists():
        return None
    try:
        return _READ(read_json_input(path, _MOST_BYTES), "the record")
    except OSError as error:
        raise UsageError(
            f"cannot read {path}: {error.strerror}", resolution="See who may read it."
        ) from error
    except ValueError as error:
        raise UsageError(
            f"{path} is not a record of a built image", str(error), "Build the image again."
        ) from error


def now() -> str:
    """The present time as a record has it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")


def record_lines(record: BuildRecord) -> str:
    """The record for a person."""
    lines = [
        f"image:   {record.name} ({record.os})",
        f"built:   {record.built}, by wholecard {record.wholecard}",
        f"base:    {record.base}",
        f"         SHA-256 {record.base_sha256}",
        f"disk:    {size_text(record.virtual_size)} ({record.growth})",
        f"writer:  {record.writer or 'none'}",
        f"recipe:  {record.recipe_sha256}",
        f"file:    {size_text(record.size)}, SHA-256 {record.sha256}",
        f"tools:   {', '.join(record.tools) or 'not recorded'}",
    ]
    for number, step in enumerate(record.steps, 1):
        lines += [f"{number}. {step.kind} {step.what}", f"   why:  {step.reason}"]
    return "\n".join(lines)


_KINDS: Mapping[str, Reader] = {"RecordedStep": record_reader(RecordedStep)}
_READ = record_reader(BuildRecord, {"sha256": "[0-9a-f]{64}", "recipe_sha256": "[0-9a-f]{64}"},
                      _KINDS)  # fmt: skip
