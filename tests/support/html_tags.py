"""The tags of an HTML page, as tests of pages read them."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = frozenset({"meta", "rect", "line", "br"})


class Tags(HTMLParser):
    """The tags of a page with their attributes; elements that are closed wrongly are kept.

    `void` are those that have no end tag; `text` are the texts between tags.
    """

    def __init__(self, text: str, void: frozenset[str] = VOID) -> None:
        super().__init__()
        self._void = void
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.wrong: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        self.wrong += self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self._void:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data: str) -> None:
        self.text.append(data)
