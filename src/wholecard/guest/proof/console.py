"""A console that is read again and again while nova keeps its last 100 KiB alone."""

from __future__ import annotations

from wholecard.guest.proof.record import Proof
from wholecard.guest.proof.report import MAX_CONSOLE, parse, undamaged

# Some 1.5 MB of the longest records; no report comes near it.
_MOST_LINES = 4000


class ConsoleReader:
    """Puts one report together from several readings of one console.

    What a chatty guest has pushed out of nova's 100 KiB since the last reading is not lost: the
    undamaged lines of earlier readings are kept.
    """

    def __init__(self, nonce: str) -> None:
        self._nonce = nonce
        self._kept: dict[str, None] = {}

    def read(self, text: str) -> Proof:
        """The report as far as it has come, with this reading. Raises ProofError."""
        lines = undamaged(text[-MAX_CONSOLE:])
        new = set(lines)
        earlier = [line for line in self._kept if line not in new]
        for line in lines[-_MOST_LINES:]:
            self._kept[line] = None
        while len(self._kept) > _MOST_LINES:
            del self._kept[next(iter(self._kept))]
        return parse("".join(f"{line}\n" for line in earlier) + text, self._nonce)
