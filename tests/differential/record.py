"""Keep what real novas answer: `make renew-nova` writes the golden files of the normal test set."""

from __future__ import annotations

import gzip
import hashlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from differential.environments import RELEASES
from differential.harness import cases, nova_answers

__all__ = ["COUNT", "digest", "recorded"]

COUNT = 400
GOLDEN = Path(__file__).parent / "golden"


def digest() -> str:
    """A digest of the cases, so that answers are never held against other questions."""
    text = "\n".join(json.dumps(case) for case in cases(COUNT))
    return hashlib.sha256(text.encode()).hexdigest()


def recorded(major: int) -> tuple[str, Iterator[Any]]:
    """The digest of the cases that were asked, and nova's answers."""
    lines = gzip.decompress(_path(major).read_bytes()).decode().splitlines()
    return lines[0], map(json.loads, lines[1:])


def _path(major: int) -> Path:
    return GOLDEN / f"nova-{major}.jsonl.gz"


def _record(major: int, folder: Path) -> None:
    answers = nova_answers(major, COUNT, folder)
    lines = [digest(), *(json.dumps(each, sort_keys=True) for each in answers)]
    # Without a time in it, so that the same answers make the same file.
    _path(major).write_bytes(gzip.compress("\n".join(lines).encode(), mtime=0))


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        for release in RELEASES:
            _record(release, Path(place))
            print(f"nova {release}: {COUNT} answers in {_path(release)}")
