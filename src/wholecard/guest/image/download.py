"""A base image fetched once: resumed, bounded, checked, and kept by its checksum.

Standard library's HTTP client (proxies from the environment). What arrives is written beside its
place and takes its name when the checksum is right, so a file in the cache is a whole one.
"""

from __future__ import annotations

import contextlib
import errno
import http.client
import re
import shutil
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import IO

from wholecard.core import WholecardError
from wholecard.core.units import GIB, size_text
from wholecard.transaction.atomic_files import digest

# Called with the bytes that are here and those in all, 0 where the server does not say.
Progress = Callable[[int, int], None]

SHA256 = r"^[0-9a-f]{64}$"
# Ubuntu's server image has 600 MB, a vendor's with a desktop some GB.
MOST_BYTES = 64 * GIB
_MOST_REDIRECTS = 5
_CHUNK = 1 << 20
_STALLED = 60.0
_TRIES = 4
_AGENT = "wholecard"


class FetchError(WholecardError):
    """No address gave the image; `details` have what each of them answered."""


@dataclass(frozen=True)
class Source:
    """Addresses (http, https, file) of one content, tried in their order, and its SHA-256."""

    addresses: tuple[str, ...]
    sha256: str


class _UnusableError(Exception):
    """An address did not give the content, and trying it again will not help."""


class _BrokenError(Exception):
    """A transfer ended early; what came is kept and the next try goes on from there."""


def cached(cache: Path, sha256: str) -> Path | None:
    """The file of that content in the cache folder, None where it is not there."""
    path = cache / sha256
    return path if path.is_file() else None


def fetch(
    source: Source,
    cache: Path,
    progress: Progress = lambda _here, _size: None,
    *,
    offline: bool = False,
    most_bytes: int = MOST_BYTES,
) -> Path:
    """The file of the source's content, from the cache folder where it is there already.

    A transfer that was interrupted goes on where it stopped. With `offline` only `file:` addresses
    are read. Raises FetchError where no address gives it; then nothing but a part that can be
    resumed is in the cache.
    """
    here = cached(cache, source.sha256)
    if here is not None:
        return here
    cache.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = cache / f"{source.sha256}.partial"
    said = []
    for address in source.addresses:
        try:
            _fetch_one(address, source.sha256, partial, progress, offline, most_bytes)
        except _UnusableError as error:
            said.append(f"{address}: {error}")
            continue
        path = cache / source.sha256
        partial.replace(path)
        return path
    resolution = "fetch the file yourself and name it as `from`."
    if offline:
        resolution = f"Leave out --offline once, or {resolution}"
    else:
        resolution = f"Correct the address or the checksum, add a mirror, or {resolution}"
    raise FetchError("the base image cannot be fetched", "\n".join(said), resolution)


def _fetch_one(
    address: str, sha256: str, partial: Path, progress: Progress, offline: bool, most_bytes: int
) -> None:
    """Fill `partial` with the content; it is removed where that is wrong. Raises _UnusableError."""
    scheme = urllib.parse.urlsplit(address).scheme
    if scheme == "file":
        _copy_file(address, partial, most_bytes)
    elif offline:
        raise _UnusableError("not asked, because of --offline")
    elif scheme in ("http", "https"):
        is_resumed = partial.exists()
        _download(address, partial, progress, most_bytes)
        if is_resumed and digest(partial) != sha256:
            # The first part may be of a content that the server no longer has.
            partial.unlink()
            _download(address, partial, progress, most_bytes)
    else:
        raise _UnusableError("not an address of http, https or file")
    actual = digest(partial)
    if actual != sha256:
        partial.unlink()
        raise _UnusableError(f"its SHA-256 is {actual}, and not {sha256}")


def _copy_file(address: str, partial: Path, most_bytes: int) -> None:
    path = Path(urllib.request.url2pathname(urllib.parse.urlsplit(address).path))
    partial.unlink(missing_ok=True)
    try:
        if not path.is_file():
            raise _UnusableError("there is no such file")
        if path.stat().st_size > most_bytes:
            raise _UnusableError(f"it is larger than {size_text(most_bytes)}")
        shutil.copyfile(path, partial)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise _UnusableError(error.strerror or str(error)) from error


def _download(address: str, partial: Path, progress: Progress, most_bytes: int) -> None:
    for left in reversed(range(_TRIES)):
        before = _size(partial)
        try:
            _transfer(address, partial, progress, most_bytes)
        except _BrokenError as error:
            # A server that gives a little each time is asked on; one that gives nothing is not.
            if left == 0 or _size(partial) == before:
                raise _UnusableError(f"{error}; {size_text(_size(partial))} are kept") from error
            continue
        return


def _transfer(address: str, partial: Path, progress: Progress, most_bytes: int) -> None:
    """One request for what is missing. Raises _UnusableError and _BrokenError."""
    have = _size(partial)
    headers = {"User-Agent": _AGENT, "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    request = urllib.request.Request(address, headers=headers)  # noqa: S310 -- http and https only
    try:
        with contextlib.closing(_opener().open(request, timeout=_STALLED)) as answer:
            if have and answer.status != 206:
                have = 0
            size = _announced(answer, have)
            _refuse_size(size, have, partial.parent, most_bytes)
            _receive(answer, partial, have, size, progress, most_bytes)
    except urllib.error.HTTPError as error:
        if error.code == 416:
            return _keep_if_whole(partial, have, error)
        raise _UnusableError(f"HTTP {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise _BrokenError(str(error.reason)) from error
    except (OSError, http.client.HTTPException) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _UnusableError(error.strerror) from error
        raise _BrokenError(str(error) or type(error).__name__) from error


def _refuse_size(size: int, have: int, folder: Path, most_bytes: int) -> None:
    """Raises _UnusableError where the announced size is too large, for the caller or the disk."""
    if size > most_bytes:
        raise _UnusableError(f"it has {size_text(size)}; at most {size_text(most_bytes)}")
    free = shutil.disk_usage(folder).free
    if size - have > free:
        raise _UnusableError(f"it has {size_text(size)}, and {size_text(free)} are free")


def _receive(
    answer: IO[bytes], partial: Path, have: int, size: int, progress: Progress, most_bytes: int
) -> None:
    with partial.open("r+b" if have else "wb") as stream:
        stream.seek(have)
        stream.truncate()
        while chunk := answer.read(_CHUNK):
            have += len(chunk)
            if have > most_bytes:
                partial.unlink()
                raise _UnusableError(f"it is larger than {size_text(most_bytes)}")
            stream.write(chunk)
            progress(have, size)
    if size and have < size:
        raise _BrokenError(f"the transfer ended after {have} of {size} bytes")


def _keep_if_whole(partial: Path, have: int, error: urllib.error.HTTPError) -> None:
    """An answer 416: what is here is longer than the content, or whole; the checksum tells.

    Raises _BrokenError where it is not as long as the content.
    """
    if _content_range_size(error.headers) != have:
        partial.unlink(missing_ok=True)
        raise _BrokenError("what was fetched before did not fit") from error


def _announced(answer: http.client.HTTPResponse, have: int) -> int:
    """How long the whole content is, by the answer's own words; 0 where it does not say."""
    length = answer.headers.get("Content-Length", "")
    return have + int(length) if length.isdecimal() and len(length) < 20 else 0


def _content_range_size(headers: Message) -> int | None:
    """The size in `Content-Range: bytes */SIZE` of an answer 416 (RFC 9110, 14.4)."""
    match = re.fullmatch(r"bytes \*/(\d{1,19})", headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


class _Redirects(urllib.request.HTTPRedirectHandler):
    """At most a few, and none from https to http, which others could change on the way."""

    max_redirections = _MOST_REDIRECTS

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str,
        headers: http.client.HTTPMessage, newurl: str,
    ) -> urllib.request.Request | None:  # fmt: skip
        """The next request, None where the answer is taken as an error."""
        if urllib.parse.urlsplit(newurl).scheme not in ("http", "https"):
            raise _UnusableError("it redirects to an address that is neither http nor https")
        if req.type == "https" and newurl.startswith("http:"):
            raise _UnusableError("it redirects from https to http")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    # Not build_opener's own list alone: it would read file: and ftp: after a redirect.
    return urllib.request.build_opener(_Redirects)
