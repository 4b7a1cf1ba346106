"""Reading a text as a site file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from wholecard.site.load import SiteError, SiteFile, read_site

MINIMAL = "release: 2025.2\ncards: {h100: {match: [{vendor: 10de, product: 2330}]}}\n"


@pytest.fixture
def read(tmp_path: Path) -> Callable[[str], SiteFile]:
    """Reads a text as a site file."""

    def reading(text: str) -> SiteFile:
        path = tmp_path / "site.yaml"
        path.write_text(text)
        return read_site(path)

    return reading


@pytest.fixture
def faults_of(read: Callable[[str], SiteFile]) -> Callable[[str], list[str]]:
    """The lines of the error that a text gets, without the file's name."""

    def said(text: str) -> list[str]:
        with pytest.raises(SiteError) as caught:
            read(text)
        lines = caught.value.details.splitlines()
        count = len(caught.value.issues)
        assert caught.value.brief.endswith(f"cannot be used: {count} error{'s' * (count != 1)}")
        return [line.partition("site.yaml:")[2] or line for line in lines]

    return said


@pytest.fixture
def minimal() -> str:
    """The smallest site with a card: two lines."""
    return MINIMAL
