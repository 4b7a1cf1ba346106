"""What a journal's files are read as."""

from __future__ import annotations

from pathlib import Path

import pytest

from wholecard.core import WholecardError
from wholecard.transaction.checksummed import pack, unpack


def test_packed_is_unpacked(tmp_path: Path) -> None:
    """What was packed is read again, without its checksum."""
    (tmp_path / "a").write_bytes(pack({"x": [1, None]}))
    assert unpack(tmp_path / "a", dict) == {"x": [1, None]}


def test_too_large(tmp_path: Path) -> None:
    """A file of more than 64 MiB is not read."""
    with (tmp_path / "a").open("wb") as file:
        file.truncate((64 << 20) + 1)
    with pytest.raises(WholecardError) as failed:
        unpack(tmp_path / "a", dict)
    assert "File too large" in str(failed.value)
