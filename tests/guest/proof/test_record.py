"""The proof: a real guest's console, how it survives damage, and what is compared."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wholecard.guest.proof.record import (
    PREFIX,
    ExpectedFunction,
    Proof,
    ProofCodec,
    ProofError,
    checksum,
    compare,
    parse,
)

# From the console of a guest under QEMU 10 with Debian's 6.12, with the first two repetitions of
# its report: a card with graphics and sound behind a root port, another behind a pcie-pci-bridge,
# an NVMe disk.
CONSOLE = (Path(__file__).parent / "console.txt").read_text()
PROOF = parse(CONSOLE)
LINES = [line for line in CONSOLE.splitlines() if PREFIX in line]
# One report's lines; and the console's first half, with one report, and its second.
REPORT = LINES[: len(LINES) // 2]
HALF = CONSOLE.index(REPORT[-1]) + len(REPORT[-1]) + 1
FIRST, SECOND = CONSOLE[:HALF], CONSOLE[HALF:]
ASKED = [
    ExpectedFunction("1002", "5046", None, "card 1 graphics"),
    ExpectedFunction("8086", "293e", "snd_hda_intel", "card 1 sound"),
    ExpectedFunction("1234", "1111", "bochs-drm", "card 2 graphics"),
    ExpectedFunction("8086", "293e", "snd_hda_intel", "card 2 sound"),
    ExpectedFunction("1b36", "0010", "nvme", "disk"),
]
OF_CARDS = [f for f in PROOF.functions if f.id in {want.id for want in ASKED}]


def line(fields: object) -> str:
    """A line of the console with a right checksum."""
    text = json.dumps(fields)
    return f"{PREFIX}{checksum(text)} {text}\n"


def lines_of(proof: Proof, boot: str = "0123abcd") -> list[str]:
    """The lines by which a guest would report this."""
    records: list[dict[str, object]] = [{"record": "begin", "format": 2, "kernel": proof.kernel}]
    for each in proof.functions:
        fields = {k: v for k, v in vars(each).items() if k not in {"pci_class", "path"}}
        path = "/".join(each.path)
        records.append({"record": "function", "class": each.pci_class, "path": path, **fields})
    records.extend({"record": "codec", **vars(each)} for each in proof.codecs)
    ended = {"functions": len(proof.functions), "codecs": len(proof.codecs)}
    records.append({"record": "end", **ended})
    return [line({"boot": boot, "number": n, **record}) for n, record in enumerate(records)]


def console_of(proof: Proof) -> str:
    """The console on which a guest reports this once."""
    return "".join(lines_of(proof))


def rules(asked: list[ExpectedFunction], proof: Proof | None) -> list[str]:
    """The codes of the findings, in order."""
    return [finding.rule for finding in compare(asked, proof)]


def test_a_real_console() -> None:
    """The real report is complete, with the sizes, interrupts, paths and codecs that QEMU has."""
    assert PROOF.complete
    assert PROOF.damaged == 0
    assert PROOF.kernel == "6.12.117+deb13-amd64"
    assert len(PROOF.functions) == 12
    graphics = next(f for f in PROOF.functions if f.id == "1002:5046")
    assert graphics.bars == (16777216, 256, 16384, 0, 0, 0)
    assert graphics.path == ("0000:00:02.0", "0000:01:00.0")
    sound = next(f for f in PROOF.functions if f.address == "0000:03:02.0")
    assert (sound.driver, sound.irqs, sound.pci_class) == ("snd_hda_intel", 1, "040300")
    codec = ProofCodec("0000:01:00.1", "1af40012", "QEMU Generic", "snd_hda_codec_generic")
    assert PROOF.codecs[0] == codec


def test_all_is_as_asked() -> None:
    """A guest with everything that was asked for gives no finding."""
    assert compare(ASKED, PROOF) == []


@pytest.mark.parametrize("missed", OF_CARDS, ids=lambda function: str(function.address))
def test_wc401_one_function_missing(missed: object) -> None:
    """WC401 fires once, whichever one function of the cards the guest misses."""
    left = tuple(f for f in PROOF.functions if f != missed)
    assert rules(ASKED, parse(console_of(replace(PROOF, functions=left)))) == ["WC401"]


def test_wc401_counts() -> None:
    """Of two cards asked for and none seen there are two findings, of one seen one."""
    two = [ExpectedFunction("10de", "2330", None, f"card {n}") for n in (1, 2)]
    assert rules([*ASKED, *two], PROOF) == ["WC401", "WC401"]
    one = replace(PROOF.functions[0], address="0000:09:00.0", vendor="10de", device="2330")
    seen = replace(PROOF, functions=(*PROOF.functions, one))
    findings = compare([*ASKED, *two], seen)
    assert [(f.rule, f.subject) for f in findings] == [("WC401", "card 2")]


def test_wc402_one_too_many() -> None:
    """WC402 fires for each function that nobody asked for and the machine does not bring along."""
    findings = compare([], PROOF)
    assert {f.rule for f in findings} == {"WC402"}
    assert {f.subject for f in findings} == {f.address for f in OF_CARDS}


def test_wc402_a_second_card() -> None:
    """One card asked for and two seen: the second is too many."""
    assert rules([want for want in ASKED if want.name != "card 2 sound"], PROOF) == ["WC402"]


def test_own_devices_are_the_callers_choice() -> None:
    """The caller may say what is the machine's own."""
    every = frozenset(f.id for f in PROOF.functions)
    assert compare([], PROOF, own=every) == []
    assert len(compare([], PROOF, own=frozenset())) == len(PROOF.functions)


@pytest.mark.parametrize("driver", [None, "vfio-pci"])
def test_wc404_driver(driver: str | None) -> None:
    """WC404 fires once for a function without its driver, whichever of two alike it is."""
    for at in ("0000:01:00.1", "0000:03:02.0"):
        functions = tuple(
            replace(f, driver=driver) if f.address == at else f for f in PROOF.functions
        )
        findings = compare(ASKED, replace(PROOF, functions=functions))
        assert [(f.rule, f.subject) for f in findings] == [("WC404", at)]


def test_wc404_keeps_still_where_no_driver_is_expected() -> None:
    """A driver on a function of which none is expected is no finding."""
    functions = tuple(replace(f, driver="radeon") for f in PROOF.functions if f.id == "1002:5046")
    assert rules(ASKED[:1], replace(PROOF, functions=functions)) == []


@pytest.mark.parametrize(
    "proof", [None, replace(PROOF, complete=False), parse(""), parse("Kernel panic\n")]
)
def test_wc405_no_report(proof: Proof | None) -> None:
    """WC405 is the one finding when the guest did not report to its end."""
    assert rules(ASKED, proof) == ["WC405"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the guest has not begun its report"),
        (REPORT[0] + "\n", "the guest's report is not complete: 0 functions arrived"),
        (
            "\n".join([*REPORT[:3], REPORT[3].replace('class":', 'class"::'), ""]),
            "the guest's report is not complete: 2 functions arrived, 1 lines were damaged",
        ),
    ],
)
def test_wc405_says_how_far_it_came(text: str, message: str) -> None:
    """The finding says what arrived and what was damaged."""
    (finding,) = compare(ASKED, parse(text))
    assert finding.message == message


@pytest.mark.parametrize("kept", range(len(REPORT)))
def test_a_console_that_goes_on(kept: int) -> None:
    """A report that has not come to its end is not complete, and its last line no damage."""
    text = "".join(each + "\n" for each in REPORT[:kept])
    for cut in ("", PREFIX, REPORT[kept][:60]):
        proof = parse(text + cut)
        assert (proof.complete, proof.damaged) == (False, 0)


def test_one_unharmed_report_is_enough() -> None:
    """Each repetition is a whole report by itself."""
    assert parse(FIRST) == parse(SECOND) == PROOF


@pytest.mark.parametrize("number", range(len(REPORT)))
@pytest.mark.parametrize(
    "harm",
    [
        lambda text: "",
        lambda text: text[:60] + "\n" + text[60:],
        lambda text: text.replace('":', '"::', 1),
        lambda text: text.replace("0", "1", 1),
        lambda text: text[:-1],
        lambda text: text.replace(" ", " f", 1),
        lambda text: text.replace("WHOLE", "WHOOLE"),
    ],
    ids=["lost", "cut", "gained", "changed", "unclosed", "sum", "mark"],
)
def test_a_damaged_line(number: int, harm: Callable[[str], str]) -> None:
    """A report without a line is not complete; one with another damaged line completes it."""
    harmed = harm(REPORT[number])
    first = "\n".join([*REPORT[:number], harmed, *REPORT[number + 1 :], ""])
    assert not parse(first).complete
    assert parse(first).damaged == (PREFIX in harmed)
    other = (number + 5) % len(REPORT)
    second = "\n".join([*REPORT[:other], harm(REPORT[other]), *REPORT[other + 1 :], ""])
    assert parse(first + second) == PROOF
    assert parse(first + second).damaged == 2 * (PREFIX in harmed)
    assert not parse(first + first).complete


def test_damage_seen_in_the_lab() -> None:
    """A byte gained within a string leaves JSON that is still valid, and is dropped."""
    harmed = REPORT[1].replace("060000", "0600000")
    assert json.loads(harmed[len(PREFIX) + 9 :])["class"] == "0600000"
    proof = parse("\n".join([REPORT[0], harmed, *REPORT[2:], ""]))
    assert (proof.complete, proof.damaged) == (False, 1)


EDIT = st.tuples(
    st.floats(0, 1, exclude_max=True),
    st.sampled_from(["insert", "delete", "change"]),
    st.characters(codec="latin-1") | st.sampled_from(CONSOLE),
)


def edited(text: str, edit: tuple[float, str, str]) -> str:
    """The text with one character more, less or another, at a share of its length."""
    share, kind, char = edit
    at = int(share * len(text))
    return text[:at] + ("" if kind == "delete" else char) + text[at + (kind != "insert") :]


@settings(max_examples=300)
@given(EDIT)
def test_one_byte_anywhere(edit: tuple[float, str, str]) -> None:
    """One byte of two repetitions may be harmed, wherever it is: the proof is the same."""
    assert parse(edited(CONSOLE, edit)) == PROOF
    alone = parse(edited(FIRST, edit))
    assert alone == PROOF or not alone.complete


@settings(max_examples=100)
@given(st.lists(EDIT, max_size=60))
def test_one_repetition_much_damaged(edits: list[tuple[float, str, str]]) -> None:
    """However much one repetition is damaged, the other gives the same proof."""
    first, second = FIRST, SECOND
    for edit in edits:
        first, second = edited(first, edit), edited(second, edit)
    assert parse(first + SECOND) == PROOF
    assert parse(FIRST + second) == PROOF


@settings(max_examples=200)
@given(st.lists(EDIT, max_size=40))
def test_both_repetitions_damaged(edits: list[tuple[float, str, str]]) -> None:
    """Whatever is damaged, there is never another proof that calls itself complete."""
    text = CONSOLE
    for edit in edits:
        text = edited(text, edit)
    proof = parse(text)
    assert not proof.complete or proof == PROOF


def without(key: str, number: int) -> str:
    """The report's record of this number, with a right checksum and without this key."""
    record = json.loads(REPORT[number][len(PREFIX) + 9 :])
    del record[key]
    return line(record)


BEGIN, FUNCTION, CODEC, END = 0, 1, len(REPORT) - 2, len(REPORT) - 1


@pytest.mark.parametrize(
    ("number", "key"),
    [
        (number, key)
        for number in (BEGIN, FUNCTION, CODEC, END)
        for key in json.loads(REPORT[number][len(PREFIX) + 9 :])
    ],
)
def test_a_key_lacks(number: int, key: str) -> None:
    """A record with a right checksum that lacks a key is our mistake and no damage."""
    with pytest.raises(ProofError):
        parse(without(key, number))


START = {"boot": "0123abcd", "number": 0, "record": "begin", "format": 2, "kernel": "6.12"}
BODY = json.loads(REPORT[FUNCTION][len(PREFIX) + 9 :]) | {"boot": "0123abcd"}
ENDED = {"boot": "0123abcd", "number": 2, "record": "end", "functions": 0, "codecs": 0}
NOT_JSON = '{"boot":}'


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (line(START | {"format": 3}), "its format is not 2"),
        (line({"record": "begin", "format": "later"}), "its format is not 2"),
        (line(START | {"boot": ""}), "no boot id"),
        (line(START | {"number": "0"}), "no number"),
        (line(START | {"record": "x"}), "an unknown record"),
        (line(BODY | {"irqs": "many"}), "lacks a value"),
        (line(START) + line(START | {"kernel": "6.13"}), "two records have one number"),
        (line(BODY) + line(BODY | {"number": 2}), "a function occurs twice"),
        (line(START) + line(BODY) + line(ENDED), "it counts"),
        (f"{PREFIX}{checksum(NOT_JSON)} {NOT_JSON}\n", "not JSON"),
    ],
)
def test_our_mistakes(text: str, why: str) -> None:
    """What cannot be read although its checksum is right is named, with something to do."""
    with pytest.raises(ProofError, match=why) as caught:
        parse(text)
    assert caught.value.resolution


def test_the_last_start_counts() -> None:
    """A guest that was started again counts by its last report, complete or not."""
    again = lines_of(PROOF, "89abcdef")
    assert parse(CONSOLE + "".join(again)) == PROOF
    assert not parse(CONSOLE + again[0]).complete
    smaller = replace(PROOF, functions=PROOF.functions[:3])
    assert parse(CONSOLE + console_of(smaller)) == smaller
    assert parse(line({"boot": "89abcdef", "record": "x"}) + CONSOLE) == PROOF


@pytest.mark.parametrize("number", range(len(REPORT)))
def test_two_starts_are_never_one_proof(number: int) -> None:
    """What one start lacks is not taken from the other, whichever line it is."""
    again = lines_of(PROOF, "89abcdef")
    assert not parse(CONSOLE + "".join(again[:number] + again[number + 1 :])).complete


GARBAGE = st.text(st.characters(exclude_characters="\n\r", codec="utf-8"), max_size=30).filter(
    lambda text: "WHOLECARD" not in text
)


@settings(max_examples=60)
@given(st.lists(st.tuples(GARBAGE, GARBAGE, GARBAGE), min_size=len(REPORT), max_size=len(REPORT)))
def test_interleaved_messages(noise: list[tuple[str, str, str]]) -> None:
    """Whatever is between the lines, before the prefix and behind the record, is ignored."""
    text = "".join(
        f"{between}\r\n{before}{each}{after}\r\n"
        for each, (between, before, after) in zip(REPORT, noise, strict=True)
    )
    assert parse(text) == PROOF
    assert parse(text).damaged == 0


@given(st.text(st.characters(codec=None), max_size=200))
def test_any_text_is_read(text: str) -> None:
    """No console, lone surrogates and all, makes the reader raise anything."""
    assert not parse(PREFIX + text).complete
    assert not parse(f"{PREFIX}01234567 {{{text}}}").complete
