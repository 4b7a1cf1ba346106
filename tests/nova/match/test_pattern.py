"""Which regular expressions are matched, and which are refused before they can hang."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.match_hosts import EXAMPLES
from wholecard.nova.match.pattern import DangerousPatternError, compiled

SAFE = [".*", "[0-2]", "4[12]|c1", "(?i)A0", "^00$", "(a+)+$", "(0|00)*x", "0{4}", "a{4000000000}",
        "(?:00){2}", "(?P<x>0)(?P=x)", "(?!4)..", "0*+", ""]  # fmt: skip
DANGEROUS = ["(|){60}", "(0?){500}x", "(?:){1000000}", "((0?){40}){40}", "(a|b|){40}",
             "(?i)[\x00-\U0010ffff]", "0" * 3000, "(0?0?){30}", "(?:(?:|0){9}){9}"]  # fmt: skip


# Seconds of CPU; it is a small part of one on any machine, and for ever where a pattern hangs.
HANGS = 20


@pytest.mark.parametrize("pattern", SAFE)
def test_ordinary(pattern: str) -> None:
    """An ordinary pattern is compiled as it stands."""
    assert compiled(pattern, 4).pattern == pattern


@pytest.mark.parametrize("pattern", DANGEROUS)
def test_dangerous(pattern: str) -> None:
    """A pattern that could be tried in too many ways, or is too long, is refused at once."""
    started = time.process_time()
    with pytest.raises(DangerousPatternError):
        compiled(pattern, 4)
    assert time.process_time() - started < HANGS


@pytest.mark.parametrize("pattern", ["(", "[", "a{2,1}", "(?z)", "(" * 1500])
def test_bad(pattern: str) -> None:
    """What Python cannot read is re.error, also where Python itself gives up."""
    with pytest.raises(re.error):
        compiled(pattern, 4)


parts = st.sampled_from(
    ["0", "a", ".", "[0-9a-f]", "|", "(", "(?:", ")", ")*", ")+", "){12}", "){0,30}", "?", "*", "+",
     "+?", "{3}", "{20}", "$", "(?=", "(?!", "\\d", "(?>", "*+"]
)  # fmt: skip


@settings(max_examples=EXAMPLES)
@given(
    st.lists(parts, max_size=14).map("".join), st.sampled_from(["0000", "aaaa", "00", "0a", "f"])
)
def test_never_hangs(pattern: str, subject: str) -> None:
    """Whatever is let through is matched in well under a second."""
    started = time.process_time()
    try:
        compiled(pattern, 4).match(subject)
    except (re.error, DangerousPatternError):
        return
    finally:
        assert time.process_time() - started < HANGS
