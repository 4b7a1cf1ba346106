"""The host's own displays are told from GPUs."""

from __future__ import annotations

import pytest

from support.hosts import bound as function
from wholecard.pci import is_bmc_display, is_console_like


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
        ("1d0f:1111", "030000", True),
        ("1002:515e", "030000", True),
        (":", "030000", False),
    ],
)
def test_bmc_display(ids: str, class_code: str, its: bool) -> None:
    """A display of a management controller or a hypervisor is known by its ids and its class."""
    assert is_bmc_display(function("0000:03:00.0", ids, class_code=class_code)) is its


@pytest.mark.parametrize(
    ("driver", "modules", "its"),
    [
        ("hibmc-drm", (), True),
        (None, ("ast",), True),
        ("nouveau", ("nouveau",), False),
        (None, (), False),
    ],
)
def test_known_by_its_driver(driver: str | None, modules: tuple[str, ...], its: bool) -> None:
    """A display that the table lacks is known by the driver that the kernel has for it."""
    display = function(
        "0000:03:00.0", "abcd:0001", class_code="030000", driver=driver, modules=modules
    )
    assert is_bmc_display(display) is its


@pytest.mark.parametrize(
    ("ids", "class_code", "bars", "its"),
    [
        ("abcd:0001", "030000", (16 << 20,), True),
        ("abcd:0001", "030000", (), True),
        ("abcd:0001", "030000", (256 << 20,), False),
        ("abcd:0001", "030200", (16 << 20,), False),
        ("abcd:0001", "120000", (16 << 20,), False),
        ("10de:0001", "030000", (16 << 20,), False),
        ("1002:5046", "030000", (16 << 20,), False),
    ],
)
def test_console_like(ids: str, class_code: str, bars: tuple[int, ...], its: bool) -> None:
    """A small VGA display of no maker of GPUs behaves like a console's."""
    display = function("0000:03:00.0", ids, class_code=class_code, bars=bars)
    assert is_console_like(display) is its
