"""Kinds of card that are given in parts: what of them is not rendered for nova."""

from __future__ import annotations

from wholecard.nova.desired.unsupported import Unsupported, UnsupportedError
from wholecard.site.model import Site


def refuse_slices(site: Site) -> None:
    """Raises UnsupportedError for a site that gives cards in parts."""
    requests = slice_requests(site)
    if requests:
        raise UnsupportedError(requests)


def slice_requests(site: Site) -> tuple[Unsupported, ...]:
    """The kinds that are given in parts, each as what is not supported."""
    return tuple(
        Unsupported(
            ("cards", name, "give"),
            f"cards.{name} is given in parts ({kind.give.policy}), for which nova's configuration "
            "is not written yet",
            "The host itself can be prepared: wholecard site host NAME.",
            "Write nova's options for it by hand, and render from a site file without this kind.",
        )
        for name, kind in site.cards.items()
        if kind.parts is not None
    )
