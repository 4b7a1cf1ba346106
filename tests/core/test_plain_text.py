"""Texts of others without what commands a terminal."""

from __future__ import annotations

import pytest

from wholecard.core.plain_text import plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text", "plain text"),
        ("a\nb\tc", "a\nb\tc"),
        ("a\rb", "a\ufffdb"),
        ("\x1b]52;c;eA==\x07", "\ufffd]52;c;eA==\ufffd"),
        ("\x9b2J", "\ufffd2J"),
        ("abc\u202egpj.exe", "abc\ufffdgpj.exe"),
        ("a\xa0b\u3000c", "a\xa0b\u3000c"),
        ("gr\xfc\xdfe 40 \xb0C \U0001f600", "gr\xfc\xdfe 40 \xb0C \U0001f600"),
        ("\udc80\ud800", "\ufffd\ufffd"),
        ("", ""),
    ],
)
def test_plain(text: str, shown: str) -> None:
    """What commands a terminal is replaced, sign by sign; all else stays, spaces too."""
    assert plain(text) == shown
    assert len(shown) == len(text)


@pytest.mark.parametrize(
    ("keep", "shown"),
    [("", "a\ufffdb\ufffdc\ufffd"), ("\n", "a\nb\ufffdc\ufffd"), ("\n\r\t", "a\nb\rc\t")],
)
def test_keep(keep: str, shown: str) -> None:
    """The control characters that stay are the caller's."""
    assert plain("a\nb\rc\t", keep) == shown
