"""The files that `images.NAME.build` names beside its base: contents and keys, read and checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from wholecard.core import UsageError
from wholecard.core.input_files import read_input
from wholecard.site.image_build import ImageBuild
from wholecard.site.load import SiteFile
from wholecard.site.yaml_positions import SiteIssue

_MOST_FILE = 4 << 20
_MOST_KEY = 1 << 20
_ARMOR = b"-----BEGIN PGP PUBLIC KEY BLOCK-----"

# The keys below `build`, the path as the site file has it, and the reader of such a file.
_NamedFile = tuple[tuple[str, ...], str, Callable[[Path, str], object]]


def read_content(path: Path, where: str) -> bytes:
    """The content of a file for the image; `where` are its keys, for the error.

    Raises UsageError where it cannot be read or has more than 4 MiB.
    """
    return _read(path, _MOST_FILE, where)


def read_key(path: Path, where: str) -> str:
    """The armored public key in a file. Raises UsageError where it has none."""
    data = _read(path, _MOST_KEY, where)
    if not data.lstrip().startswith(_ARMOR):
        raise UsageError(
            f"{path} is not an ASCII-armored OpenPGP key",
            f"images: build.{where}",
            "Convert a binary one: gpg --enarmor < KEY.gpg > KEY.asc, and write its first "
            "line as -----BEGIN PGP PUBLIC KEY BLOCK-----",
        )
    return data.decode("ascii", errors="replace")


def build_file_issues(file: SiteFile) -> Iterator[SiteIssue]:
    """The files of all images that a build could not read, each with its position."""
    for name, image in file.site.images.items():
        for keys, path, reader in () if image.build is None else _named(image.build):
            try:
                reader(file.path.parent / path, ".".join(keys))
            except UsageError as error:
                position = file.position("images", name, "build", *keys)
                yield SiteIssue(position, error.brief, error.resolution)


def _named(build: ImageBuild) -> Iterator[_NamedFile]:
    for path, content in build.files.items():
        if content.source is not None:
            yield ("files", path, "source"), content.source, read_content
    for name, repository in build.repositories.items():
        if repository.key is not None:
            yield ("repositories", name, "key"), repository.key, read_key
    if build.driver.key is not None:
        yield ("driver", "key"), build.driver.key, read_key


def _read(path: Path, limit: int, where: str) -> bytes:
    try:
        return read_input(path, limit)
    except OSError as error:
        raise UsageError(
            f"cannot read {path}: {error.strerror}",
            f"images: build.{where}",
            "Correct the path; it is relative to the site file's folder.",
        ) from error
