"""One console that is read again and again."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from support.proofs import PROOF, REPORT, console_of, lines_of
from wholecard.guest.proof.console import ConsoleReader


@settings(max_examples=60)
@given(st.permutations(range(len(REPORT))), st.integers(1, 5))
def test_pieces_in_any_order(order: list[int], size: int) -> None:
    """However a report's lines are spread over the readings, the last one completes it."""
    reader = ConsoleReader("")
    pieces = [order[at : at + size] for at in range(0, len(order), size)]
    *first, last = pieces
    for piece in first:
        assert not reader.read("".join(REPORT[number] + "\n" for number in piece)).complete
    assert reader.read("".join(REPORT[number] + "\n" for number in last)) == PROOF


def test_a_new_boot_counts() -> None:
    """After a new start of the guest the earlier one's lines do not complete its report."""
    reader = ConsoleReader("")
    assert reader.read(console_of(PROOF)).complete
    lines = lines_of(PROOF, "89abcdef")
    assert not reader.read("".join(lines[:-1])).complete
    assert reader.read(lines[-1]).complete


def test_it_does_not_grow_without_end() -> None:
    """A guest that writes ever new records is read in bounded memory."""
    reader = ConsoleReader("nonce")
    for boot in range(20):
        reader.read(
            "".join(line for n in range(16) for line in lines_of(PROOF, f"{boot:04x}{n:04x}"))
        )
    assert len(REPORT) * 20 * 16 > len(reader._kept) == 4000
