"""An aggregate's value beside a flavor's, by nova's operators."""

from __future__ import annotations

import pytest

from wholecard.explain.checks.aggregates import matches

# From nova's own table, nova/scheduler/filters/extra_specs_ops.py: value, requested, result.
CASES = [
    ("h100", "h100", True), ("h100", "a100", False), ("h100", "h", False),
    ("2", "= 2", True), ("3", "= 2", True), ("1", "= 2", False), ("10", "= 9", True),
    ("2.0", "== 2", True), ("3", "== 2", False), ("2", "!= 2", False), ("3", "!= 2", True),
    ("2", ">= 2", True), ("1.9", ">= 2", False), ("2", "<= 2", True), ("2.1", "<= 2", False),
    ("a", "s== a", True), ("b", "s== a", False), ("a", "s!= a", False), ("b", "s!= a", True),
    ("a", "s< b", True), ("b", "s< b", False), ("a", "s<= b", True), ("b", "s<= b", True),
    ("c", "s<= b", False), ("b", "s> a", True), ("a", "s> a", False), ("a", "s>= a", True),
    ("a", "s>= b", False), ("10", "s< 9", True),
    ("aes mmx", "<in> mmx", True), ("aes", "<in> mmx", False),
    ("aes mmx", "<all-in> aes mmx", True), ("aes", "<all-in> aes mmx", False),
    ("h100", "<or> a100 <or> h100", True), ("l40", "<or> a100 <or> h100", False),
    ("a100", "<or> a100", True), ("<or>", "<or> a100 <or> h100", False),
]  # fmt: skip


@pytest.mark.parametrize(("value", "requested", "fits"), CASES)
def test_operators(value: str, requested: str, fits: bool) -> None:
    """Each of nova's operators, on both sides of what it lets in."""
    assert matches(value, requested) is fits
