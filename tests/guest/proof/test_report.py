"""The proof: a guest's console, and how its report survives damage and hostile text."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.proofs import CONSOLE, FIRST, PROOF, REPORT, SECOND, console_of, line, lines_of
from wholecard.guest.proof.record import (
    GuestMachine,
    Proof,
    ProofBenchmark,
    ProofCodec,
    ProofContainer,
    ProofGpu,
    ProofProblem,
)
from wholecard.guest.proof.report import PREFIX, ProofError, checksum, parse


def test_a_guests_console() -> None:
    """The report is complete, with the sizes, interrupts, paths and codecs that QEMU has."""
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


MACHINE = GuestMachine("5f0c", "linux", "6.12", "Debian", 2, 1, 4096)
START = {"boot": "0123abcd", "number": 0, "record": "begin", "format": 3, **vars(MACHINE)}
BODY = json.loads(REPORT[FUNCTION][len(PREFIX) + 9 :]) | {"boot": "0123abcd"}
ENDED = json.loads(REPORT[END][len(PREFIX) + 9 :]) | {
    "boot": "0123abcd", "number": 2, "functions": 0, "codecs": 0,
}  # fmt: skip
NOT_JSON = '{"boot":}'
DEEP = '{"boot":' + "[" * 3000 + "}"
ESCAPE = "\x1b]0;title\x07"
WRONG_VALUES = (
    {"irqs": "many"}, {"irqs": -1}, {"irqs": True}, {"irqs": 1e400}, {"irqs": 1 << 70},
    {"address": "0000:01:00"}, {"address": 1}, {"path": "0000:00:02.0/../.."},
    {"vendor": "10DE"}, {"device": "1"}, {"class": "<b>"}, {"driver": ESCAPE},
    {"driver": "x" * 401},
    {"bars": "123456"}, {"bars": [0] * 7}, {"bars": [1.5]}, {"link": "fast"}, {"max_link": 16},
    {"numa": -2},
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (line(START | {"format": 2}), "its format is not 3"),
        (line({"record": "begin", "format": "later"}), "its format is not 3"),
        (line(START | {"boot": ""}), "no boot id"),
        (line(START | {"number": "0"}), "no number"),
        (line(START | {"record": "x"}), "an unknown record"),
        *((line(BODY | wrong), "lacks a value") for wrong in WRONG_VALUES),
        (line(START) + line(START | {"number": 1}), "begins or ends twice"),
        (line(START) + line(START | {"kernel": "6.13"}), "two records have one number"),
        (line(BODY) + line(BODY | {"number": 2}), "a function occurs twice"),
        (line(START) + line(BODY) + line(ENDED), "it counts"),
        (f"{PREFIX}{checksum(NOT_JSON)} {NOT_JSON}\n", "not JSON"),
        (f"{PREFIX}{checksum(DEEP)} {DEEP}\n", "not JSON"),
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


EVERYTHING = replace(
    PROOF,
    machine=MACHINE,
    functions=(replace(PROOF.functions[0], numa=1, link=(16.0, 16), max_link=(32.0, 16)),),
    gpus=(
        ProofGpu(
            "nvidia-smi",
            "0000:01:00.0",
            "NVIDIA H100",
            81559,
            "GPU-5c",
            "580.65.06",
            "Completed",
            "Success",
            "Healthy",
        ),
        ProofGpu("drm", "0000:01:00.0", None, None, None, None),
    ),
    problems=(ProofProblem("amd-smi", 255, "no such device"), ProofProblem("x", None, "")),
    benchmarks=(ProofBenchmark("nbody", "cuda", 65536, 2, 51234.5, True),),
    containers=(ProofContainer(0, "podman", 0, 2, 1, ("/dev/nvidia0",), ""),),
)


def test_all_kinds_of_records() -> None:
    """Every field of every kind of record arrives."""
    assert parse(console_of(EVERYTHING)) == EVERYTHING
    assert EVERYTHING.records == len(lines_of(EVERYTHING))


def test_the_fabric_of_a_gpu() -> None:
    """Older agents say nothing of it, a damaged line of it is dropped, what is no text refused."""
    (place,) = (at for at, text in enumerate(lines_of(EVERYTHING)) if "Healthy" in text)
    lines = lines_of(EVERYTHING)
    values = json.loads(lines[place].split(" ", 2)[2])

    def read(**fabric: object) -> Proof:
        kept = {key: value for key, value in values.items() if not key.startswith("fabric_")}
        return parse("".join([*lines[:place], line(kept | fabric), *lines[place + 1 :]]))

    older = read()
    assert older.complete
    assert older.gpus[0] == replace(EVERYTHING.gpus[0], fabric_state=None, fabric_status=None,
                                    fabric_health=None)  # fmt: skip
    assert read(fabric_state="In Progress").gpus[0].fabric_state == "In Progress"
    damaged = lines[place].replace("Healthy", "Healty")
    without = parse("".join([*lines[:place], damaged, *lines[place + 1 :]]))
    assert (without.complete, without.damaged, len(without.gpus)) == (False, 1, 1)
    assert parse("".join([*lines[:place], damaged, *lines[place:]])) == EVERYTHING
    for wrong in (3, ["Completed"], "\x1b[31m", "x" * 401):
        with pytest.raises(ProofError):
            read(fabric_state=wrong)


def test_only_the_report_with_the_nonce_counts() -> None:
    """A report with our nonce is read though one with another nonce comes after it."""
    ours = replace(EVERYTHING, machine=replace(MACHINE, nonce="aaaa"))
    other = replace(PROOF, machine=replace(MACHINE, nonce="bbbb"))
    console = console_of(ours, "aaaaaaaa") + console_of(other, "bbbbbbbb")
    assert parse(console, nonce="aaaa") == ours
    assert parse(console, nonce="cccc") == parse(console) == other
    # Another's report in an unknown format does not hide ours.
    assert parse(console + line(START | {"format": 9, "boot": "cccccccc"}), "aaaa") == ours


def test_ten_megabytes() -> None:
    """Of a console of 10 MB the end is read, in bounded time and whatever is before it."""
    assert parse("x" * 10_000_000 + "\n" + CONSOLE) == PROOF
    assert not parse(CONSOLE + "WHOLECARD-PROOF 01234567 {" * 400_000).complete


@settings(max_examples=100)
@given(
    st.dictionaries(
        st.sampled_from(sorted(BODY)),
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(max_size=12)
        | st.lists(st.integers(), max_size=8),
        min_size=1,
    )
)
def test_hostile_values(values: dict[str, object]) -> None:
    """Whatever values a record with a right checksum has, it is read or refused in words."""
    with suppress(ProofError):
        proof = parse(line(START) + line(BODY | values))
        assert all(function.driver is None or function.driver.isprintable()
                   for function in proof.functions)  # fmt: skip
