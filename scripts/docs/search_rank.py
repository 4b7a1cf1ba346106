"""A hook of MkDocs: rule pages come after the guides in search.

There are ten times as many rule pages as others, and "is it safe" found WC131 first. Who looks for
a code types the code, which only its own page has in the title.
"""

from __future__ import annotations

from typing import Any

_BOOST = 0.2


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Give a rule's page a low rank, see "search boosting" in mkdocs-material."""
    if page.file.src_path.startswith("rules/"):
        page.meta.setdefault("search", {"boost": _BOOST})
    return markdown
