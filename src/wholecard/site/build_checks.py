"""What the models of `images.NAME.build` alone cannot see. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from wholecard.core import UsageError
from wholecard.guest.image.package_tools import require_known
from wholecard.guest.image.recipe import GuestOs
from wholecard.site.image_build import ImageBuild
from wholecard.site.model import Site

Keys = tuple[str | int, ...]
Issue = tuple[Keys, str, str]


def build_issues(site: Site) -> Iterator[Issue]:
    """Where, what and a hint, for each image of the site that is built."""
    for name, image in site.images.items():
        if image.build is None:
            continue
        above: Keys = ("images", name, "build")
        if image.os == "windows":
            yield above, "an image of Windows cannot be built", "prepare it with its own tools"
        yield from _base(above, image.build)
        yield from _system(above, image.build)
        yield from _files(above, image.build)


def is_address(text: str) -> bool:
    """Whether `from` is an address and not a file's path."""
    return text.startswith(("http://", "https://"))


def _base(above: Keys, build: ImageBuild) -> Iterator[Issue]:
    text = build.from_
    if is_address(text):
        if "@" in text.split("/", 3)[2] or any(character.isspace() for character in text):
            what = "an address with a user, a password or a space"
            yield (*above, "from"), what, "addresses are recorded; name a file, or use a proxy"
        if build.sha256 is None:
            hint = "add sha256; the maker of the image publishes it beside the image (SHA256SUMS)"
            yield (*above, "from"), "an address needs sha256", hint
    elif "://" in text:
        yield (*above, "from"), "the address is neither http: nor https:", "name a file by its path"
    elif build.mirrors:
        what = "mirrors are for a base image that has an address"
        yield (*above, "mirrors"), what, "give from: https://…"


def _system(above: Keys, build: ImageBuild) -> Iterator[Issue]:
    try:
        require_known(guest_os(build))
    except UsageError as error:
        yield (*above, "os"), error.brief, error.details


def guest_os(build: ImageBuild) -> GuestOs:
    """`ubuntu-24.04` as a record."""
    system, _, version = build.os.rpartition("-")
    return GuestOs(system, version)


def _files(above: Keys, build: ImageBuild) -> Iterator[Issue]:
    for path, file in build.files.items():
        keys: Keys = (*above, "files", path)
        if posixpath.normpath(path) != path:
            yield keys, "the path has '..', '.' or '//'", f"write {posixpath.normpath(path)}"
        if (file.content is None) == (file.source is None):
            yield keys, "a file needs either content or source", "content: TEXT or source: FILE"
