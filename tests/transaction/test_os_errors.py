"""What the operating system refuses: the path, the reason and what to do, in our own error."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from wholecard.core import WholecardError
from wholecard.transaction.os_errors import as_wholecard_error, explained, naming, why


def refusal(number: int, path: str | None = "/etc/x") -> OSError:
    return OSError(number, os.strerror(number), path)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EACCES, "as root"),
        (errno.EPERM, "lsattr"),
        (errno.ENOSPC, "Free some space"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "writable"),
        (errno.EIO, "dmesg"),
        (errno.EISDIR, "what is at that path"),
    ],
)
def test_what_to_do(number: int, words: str) -> None:
    """Each refusal that a host can give has its own advice; any other asks to see the path."""
    error = as_wholecard_error(refusal(number))
    assert error.brief == f"/etc/x: {os.strerror(number)}"
    assert words in error.resolution


def test_no_path_and_no_number() -> None:
    """Without a path it is the file system; without a number the error's own words are given."""
    assert as_wholecard_error(refusal(errno.EIO, None)).brief.startswith("the file system: ")
    error = as_wholecard_error(OSError("odd"))
    assert (error.brief, error.resolution) == (
        "the file system: odd",
        "See what is at that path, and fix it.",
    )


def test_the_reason_alone() -> None:
    """A line that names the path already takes the reason without it."""
    assert why(refusal(errno.EACCES)) == "Permission denied"
    assert why(WholecardError("a link leads out of the image")) == "a link leads out of the image"


def test_advice_is_added_once() -> None:
    """The advice of a run is behind each error's own, once, however many calls add it."""
    advice = "Then roll back."
    with pytest.raises(WholecardError) as caught, explained(advice), explained(advice):
        raise refusal(errno.ENOSPC)
    assert caught.value.resolution == "Free some space on that file system. Then roll back."
    with pytest.raises(WholecardError) as caught, explained(advice):
        raise WholecardError("x", resolution="")
    assert caught.value.resolution == "Then roll back."


def test_naming() -> None:
    """An error of an open file gets the file's name; one that has a name keeps it."""
    with pytest.raises(OSError, match="disk") as caught, naming(Path("/disk")):
        raise refusal(errno.EIO, None)
    assert caught.value.filename == "/disk"
    with pytest.raises(OSError, match="x") as caught, naming(Path("/disk")):
        raise refusal(errno.EIO)
    assert caught.value.filename == "/etc/x"
