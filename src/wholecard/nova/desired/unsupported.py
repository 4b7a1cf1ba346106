"""What nova does not do of what a site asks: where it stands in the site, why, and the way out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from wholecard.core import UsageError

Keys = tuple[str | int, ...]


@dataclass(frozen=True)
class Unsupported:
    """One thing that cannot be: `keys` lead to it in the site (`"cards", "h100", "traits"`).

    `is_lack` says that it is no fault of the site: facts of a host are missing for it.
    """

    keys: Keys
    what: str
    why: str = ""
    mend: str = ""
    is_lack: bool = False

    @property
    def hint(self) -> str:
        """Why, and the way out, behind a semicolon."""
        said = (self.why, self.mend)
        return ": ".join(each[:1].lower() + each[1:].rstrip(".") for each in said if each)


class UnsupportedError(UsageError):
    """A site that nova of a release does not do; `found` is all of it, as far as it was looked."""

    def __init__(self, found: Iterable[Unsupported]) -> None:
        self.found = tuple(found)
        first, *more = self.found
        if not more:
            super().__init__(first.what, first.why, first.mend)
            return
        super().__init__(
            f"nova does not do {len(self.found)} things that the site asks for",
            "\n".join(f"{each.what}; {each.hint}" for each in self.found),
            "Mend each of them in the site file.",
        )


def unsupported(
    keys: Keys, what: str, why: str = "", mend: str = "", *, is_lack: bool = False
) -> UnsupportedError:
    """The error of one thing that nova does not do."""
    return UnsupportedError([Unsupported(keys, what, why, mend, is_lack)])
