"""What a site asks for and nova of its release does not support: where, why, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from wholecard.core import UsageError

Keys = tuple[str | int, ...]


@dataclass(frozen=True)
class Unsupported:
    """One unsupported request: `keys` lead to it in the site (`"cards", "h100", "traits"`).

    `facts_missing` says that the site is right, but needs the facts of a host.
    """

    keys: Keys
    what: str
    why: str = ""
    resolution: str = ""
    facts_missing: bool = False

    @property
    def hint(self) -> str:
        """Why, and what to do, in one line."""
        sentences = (self.why, self.resolution)
        return ": ".join(text[:1].lower() + text[1:].rstrip(".") for text in sentences if text)


UNREPORTED = Unsupported(
    ("nova", "pci_in_placement"),
    "pci_in_placement needs report_in_placement",
    "Without it the scheduler looks in Placement for cards that no compute has reported.",
    "Set report_in_placement on every compute first.",
)


class UnsupportedError(UsageError):
    """A site that nova of a release does not support; `requests` has each of them."""

    def __init__(self, requests: Iterable[Unsupported]) -> None:
        self.requests = tuple(requests)
        first, *more = self.requests
        if not more:
            super().__init__(first.what, first.why, first.resolution)
            return
        super().__init__(
            f"nova does not support {len(self.requests)} settings of the site file",
            "\n".join(f"{request.what}; {request.hint}" for request in self.requests),
            "Change each of them in the site file.",
        )


def unsupported(
    keys: Keys, what: str, why: str = "", resolution: str = "", *, facts_missing: bool = False
) -> UnsupportedError:
    """The error of one unsupported request."""
    return UnsupportedError([Unsupported(keys, what, why, resolution, facts_missing)])
