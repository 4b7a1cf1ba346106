"""rich's console for texts of others."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from wholecard.core.plain_text import plain
from wholecard.core.report_text import WIDTH


class PlainConsole(Console):
    """Its own colours reach the terminal; of the texts, nothing that could command it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # Files and pipes get the width of every other text, unless COLUMNS says another.
        if not (self.is_terminal or "COLUMNS" in os.environ):
            self.width = WIDTH

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """The pieces of a renderable, each text without control characters."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(plain(segment.text), segment.style)
