"""Built images that a plan would upload, or has uploaded, held against the site file of today."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from wholecard.cloud.planning.current import ImageFile
from wholecard.core import Finding, Severity, UsageError
from wholecard.guest.image.build_record import read_record
from wholecard.guest.image.built_image import outdated
from wholecard.site.build_requests import build_request
from wholecard.site.load import SiteFile


def outdated_images(file: SiteFile, files: Mapping[str, ImageFile]) -> Iterator[Finding]:
    """WC414 for each built image whose file is here and is not what the site file asks for.

    `files` are the images' files as they were read. A file without a record says nothing.
    """
    for name, image in file.site.images.items():
        if image.build is None or name not in files:
            continue
        path = Path(files[name].path)
        try:
            record = read_record(path)
            request = build_request(file.site, name, file.path.parent)
            if record is not None:
                yield from outdated(path, name, record, files[name].sha256, request)
        except UsageError as error:
            what = f"{path} cannot be compared with what the site file asks for: {error.brief}."
            fix = error.resolution or f"wholecard image show {name}"
            yield Finding("WC414", f"image {name}", Severity.WARNING, what, fix)
