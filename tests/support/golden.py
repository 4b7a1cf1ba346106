"""Golden files: what generated text must look like, renewed with WHOLECARD_RENEW=1."""

from __future__ import annotations

import os
from pathlib import Path

GOLDEN = Path(__file__).parents[1] / "host" / "golden"


def compare(name: str, text: str, folder: Path = GOLDEN) -> None:
    """Assert that `text` is the golden file `name` in `folder`, or make it so."""
    path = folder / name
    if os.environ.get("WHOLECARD_RENEW") == "1":
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert path.read_text() == text
