"""Names of kernel modules: the pattern and the function are one rule."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wholecard.core.module_names import MODULE, is_module_name


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("vfio_pci", True), ("8250_pci", True), ("snd-hda-intel", True), ("a.b+c", True),
        ("x" * 64, True), ("x" * 65, False), ("", False), ("-x", False), (".x", False),
        ("+x", False), ("a b", False), ("x\n", False), ("../x", False), ("\u0663", False),
    ],
)  # fmt: skip
def test_names(text: str, expected: bool) -> None:
    """A name is letters, digits and a few signs, at most 64, and begins with none of `-.+`."""
    assert is_module_name(text) is expected
    assert bool(re.fullmatch(MODULE, text)) is expected


@given(st.text(st.sampled_from("aZ09_.+- /\n\u00e9"), max_size=70))
def test_one_rule(text: str) -> None:
    """Whatever the text, both say the same."""
    assert is_module_name(text) == bool(re.fullmatch(MODULE, text))
