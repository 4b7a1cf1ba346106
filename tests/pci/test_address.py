"""PCI addresses."""

from __future__ import annotations

import pytest

from wholecard.core import UsageError
from wholecard.pci import Address


@pytest.mark.parametrize(
    ("text", "printed", "slot"),
    [
        ("0000:01:00.0", "0000:01:00.0", "0000:01:00"),
        ("01:00.1", "0000:01:00.1", "0000:01:00"),
        ("10000:E1:1f.7", "10000:e1:1f.7", "10000:e1:1f"),
    ],
)
def test_parses(text: str, printed: str, slot: str) -> None:
    """An address is read with and without its domain, which may have more than 16 bits."""
    address = Address.parse(text)
    assert (str(address), address.slot_key) == (printed, slot)


@pytest.mark.parametrize(
    "text", ["", "1:0.0", "0000:01:00", "0000:01:00.8", "0000:01:20.0", "x", "0000:01:00.0\n"]
)
def test_refuses(text: str) -> None:
    """What is no address is a usage error that shows how one is written."""
    with pytest.raises(UsageError, match="is not a PCI address"):
        Address.parse(text)


def test_order() -> None:
    """Addresses sort as lspci lists them: by number, not by text."""
    texts = ["0000:01:00.0", "0000:01:00.1", "0000:0a:00.0", "10000:00:00.0"]
    assert sorted(map(Address.parse, reversed(texts))) == [Address.parse(text) for text in texts]
