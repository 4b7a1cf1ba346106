"""The files that CONTRIBUTING sends a person to are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "CONTRIBUTING.md"
SOURCE = ROOT / "src/wholecard"
PATH = re.compile(r"`([\w./-]+(?:/|\.(?:py|md|j2|in|txt|sh|toml|yml|lock)))`")


def test_named_files_exist() -> None:
    """Each path, from the root or from src/wholecard, exists; not what git ignores."""
    paths = set(PATH.findall(PAGE.read_text())) - {"docs/rules/WCnnn.md", "golden/", ".mutations/"}
    # A name alone is of a file or folder beside one that is named in full.
    bare = {path.name for folder in (SOURCE, ROOT / "tests") for path in folder.rglob("*")}
    missing = {
        path
        for path in paths
        if not (ROOT / path).exists()
        and not (SOURCE / path).exists()
        and ("/" in path.rstrip("/") or path.rstrip("/") not in bare)
    }
    assert missing == set()
