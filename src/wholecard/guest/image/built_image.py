"""A built image on disk: its record, and whether it still is what the record and the site say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from wholecard.core import Finding, Severity, UsageError
from wholecard.guest.image.build_record import BuildRecord, read_record, record_path
from wholecard.guest.image.build_request import BuildRequest, recipe_sha256
from wholecard.transaction.atomic_files import digest

BUILD_IT = "Build it first: wholecard image build"


@dataclass(frozen=True)
class InspectedImage:
    """An image's file, its record, and what is wrong with both."""

    file: Path
    record: BuildRecord
    findings: tuple[Finding, ...]


def inspect_built(file: Path, request: BuildRequest | None = None) -> InspectedImage:
    """The image in `file` compared with its record, and with what is asked for today.

    Raises UsageError where there is no file, or no record beside it.
    """
    name = file.name if request is None else request.name
    if not file.is_file():
        raise UsageError(f"{file} does not exist", resolution=f"{BUILD_IT} {name}")
    record = read_record(file)
    if record is None:
        raise UsageError(
            f"{file} has no record of what went in",
            f"{record_path(file)} does not exist",
            "wholecard image build writes it; of other images nothing is known.",
        )
    findings = outdated(file, name, record, digest(file), request)
    return InspectedImage(file, record, tuple(findings))


def outdated(
    file: Path, name: str, record: BuildRecord, sha256: str, request: BuildRequest | None
) -> Iterator[Finding]:
    """WC414: the file, whose SHA-256 it is, is not what was built, or not what is asked for."""
    fix = f"Build it again: wholecard image build {name}"
    if sha256 != record.sha256:
        yield Finding(
            "WC414", f"image {name}", Severity.WARNING,
            f"{file} is not the file that was built: its SHA-256 differs from the record's.",
            fix)  # fmt: skip
    if request is not None and record.recipe_sha256 != _identity(request, record):
        yield Finding(
            "WC414", f"image {name}", Severity.WARNING,
            f"{file} was built from another recipe than the site file has today.", fix)  # fmt: skip


def _identity(request: BuildRequest, record: BuildRecord) -> str:
    """The recipe as it is asked for today; a base file without a checksum is taken as the same."""
    return recipe_sha256(request, request.base.sha256 or record.base_sha256)
