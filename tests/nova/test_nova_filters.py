"""enabled_filters: read as nova reads it, appended to and never replaced."""

from __future__ import annotations

from pathlib import Path

import pytest

from wholecard.core import WholecardError
from wholecard.nova.filters import (
    NOVA_DEFAULT_FILTERS,
    PCI_FILTER,
    read_enabled_filters,
    with_pci_filter,
)


def test_default_without_files() -> None:
    """Where no file sets the option, nova's own default stands."""
    assert read_enabled_filters([]) == NOVA_DEFAULT_FILTERS


@pytest.mark.parametrize(
    ("texts", "filters"),
    [
        (["[DEFAULT]\ndebug = true\n"], NOVA_DEFAULT_FILTERS),
        (["[filter_scheduler]\nenabled_filters = A, B\n"], ("A", "B")),
        (["[filter_scheduler]\nenabled_filters = A,\n  B,C\n"], ("A", "B", "C")),
        (
            [
                "[filter_scheduler]\nenabled_filters = A\n",
                "[filter_scheduler]\nenabled_filters=B,C\n",
            ],
            ("B", "C"),
        ),
    ],
)
def test_the_last_file_wins(tmp_path: Path, texts: list[str], filters: tuple[str, ...]) -> None:
    """The last file that sets the option wins, continued lines included."""
    files = []
    for number, text in enumerate(texts):
        files.append(tmp_path / f"{number}.conf")
        files[-1].write_text(text)
    assert read_enabled_filters(files) == filters


def test_missing_file_is_an_error(tmp_path: Path) -> None:
    """A file that is not there is an error with a resolution, not the default."""
    with pytest.raises(WholecardError) as caught:
        read_enabled_filters([tmp_path / "nova.conf"])
    assert caught.value.resolution


def test_broken_file_is_an_error(tmp_path: Path) -> None:
    """A file that oslo.config cannot parse is an error that names it."""
    (tmp_path / "nova.conf").write_text("[filter_scheduler\n")
    with pytest.raises(WholecardError, match=r"nova\.conf"):
        read_enabled_filters([tmp_path / "nova.conf"])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((), (PCI_FILTER,)),
        (("A", "B"), ("A", "B", PCI_FILTER)),
        (("A", PCI_FILTER, "B"), ("A", PCI_FILTER, "B")),
    ],
)
def test_appended_once(before: tuple[str, ...], after: tuple[str, ...]) -> None:
    """The PCI filter comes to the end, unless it stands somewhere already."""
    assert with_pci_filter(before) == after
    assert with_pci_filter(after) == after
