"""What a page shows as an answer is what the command answers."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_explain_in_how_to() -> None:
    """The answer of explain in the how-to is one that the tests of explain hold it to."""
    page = (ROOT / "docs/how-to/no-valid-host.md").read_text()
    shown = re.findall(r"```text\n(flavor .*?)```", page, re.DOTALL)
    assert shown == [(ROOT / "tests/audit/golden/taken-placement.txt").read_text()]
