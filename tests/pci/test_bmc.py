"""The host's own displays are told from GPUs."""

from __future__ import annotations

import pytest

from support.hosts import bound as function
from wholecard.pci import is_bmc_display


@pytest.mark.parametrize(
    ("ids", "class_code", "its"),
    [
        ("1a03:2000", "030000", True),
        ("1a03:2010", "030000", True),
        ("1a03:1150", "060400", False),
        ("102b:0536", "030000", True),
        ("102b:0525", "030000", False),
        ("19e5:1711", "030000", True),
        ("1234:1111", "030000", True),
        ("1af4:1050", "038000", True),
        ("1af4:1041", "020000", False),
        ("10de:2330", "030200", False),
        ("1002:5046", "030000", False),
        (":", "030000", False),
    ],
)
def test_bmc_display(ids: str, class_code: str, its: bool) -> None:
    """A display of a management controller or a hypervisor is known by its ids and its class."""
    assert is_bmc_display(function("0000:03:00.0", ids, class_code=class_code)) is its
