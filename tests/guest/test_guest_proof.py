"""The proof: a real guest's console, what damages it, and what is compared."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wholecard.guest.proof import (
    PREFIX,
    ExpectedFunction,
    Proof,
    ProofCodec,
    ProofError,
    compare,
    parse,
)

# The end of the console of a guest under QEMU 10 with Debian's 6.12: a card with graphics and
# sound behind a root port, another behind a pcie-pci-bridge, an NVMe disk.
CONSOLE = (Path(__file__).parent / "console.txt").read_text()
PROOF = parse(CONSOLE)
ASKED = [
    ExpectedFunction("1002", "5046", None, "card 1 graphics"),
    ExpectedFunction("8086", "293e", "snd_hda_intel", "card 1 sound"),
    ExpectedFunction("1234", "1111", "bochs-drm", "card 2 graphics"),
    ExpectedFunction("8086", "293e", "snd_hda_intel", "card 2 sound"),
    ExpectedFunction("1b36", "0010", "nvme", "disk"),
]
OF_CARDS = [f for f in PROOF.functions if f.id in {want.id for want in ASKED}]


def console_of(proof: Proof) -> str:
    """The lines by which a guest would report this."""
    records: list[dict[str, object]] = [{"record": "begin", "format": 1, "kernel": proof.kernel}]
    for each in proof.functions:
        fields = {k: v for k, v in vars(each).items() if k not in {"pci_class", "path"}}
        path = "/".join(each.path)
        records.append({"record": "function", "class": each.pci_class, "path": path, **fields})
    records.extend({"record": "codec", **vars(each)} for each in proof.codecs)
    ended = {"functions": len(proof.functions), "codecs": len(proof.codecs)}
    records.append({"record": "end", **ended})
    return "".join(f"{PREFIX}{json.dumps(record)}\n" for record in records)


def rules(asked: list[ExpectedFunction], proof: Proof | None) -> list[str]:
    """The codes of the findings, in order."""
    return [finding.rule for finding in compare(asked, proof)]


def test_a_real_console() -> None:
    """The real report is complete, with the sizes, interrupts, paths and codecs that QEMU has."""
    assert PROOF.complete
    assert PROOF.kernel == "6.12.107+deb13-amd64"
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
    """What counts as the machine's own can be said."""
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


@pytest.mark.parametrize("kept", range(len(CONSOLE.splitlines()) - 16, len(CONSOLE.splitlines())))
def test_a_console_that_goes_on(kept: int) -> None:
    """A report that has not come to its end is not complete, and no error."""
    text = "".join(CONSOLE.splitlines(keepends=True)[:kept])
    assert not parse(text).complete
    assert not parse(text + PREFIX + '{"record":"func').complete


LINES = [line for line in CONSOLE.splitlines() if PREFIX in line]


@pytest.mark.parametrize("number", range(1, len(LINES) - 1))
def test_a_lost_line_is_an_error(number: int) -> None:
    """A report that lacks any of its lines is damaged, not smaller."""
    text = "\n".join([*LINES[:number], *LINES[number + 1 :], ""])
    with pytest.raises(ProofError, match="lines were lost"):
        parse(text)


@pytest.mark.parametrize("number", range(1, len(LINES) - 1))
def test_a_cut_line_is_an_error(number: int) -> None:
    """A line in which another message broke is damaged."""
    cut = LINES[number][:60] + "\n" + LINES[number][60:]
    with pytest.raises(ProofError, match="a line is cut"):
        parse("\n".join([*LINES[:number], cut, *LINES[number + 1 :], ""]))


FUNCTION_LINE = next(line for line in LINES if '"record":"function"' in line)


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (LINES[1:], "its beginning is missing"),
        ([LINES[0].replace('"format":1', '"format":2'), *LINES[1:]], "its format is not 1"),
        ([*LINES, FUNCTION_LINE], "it goes on after its end"),
        ([LINES[0], PREFIX + '{"record":"x"}'], "an unknown record"),
        ([LINES[0], PREFIX + "{}"], "not as it should be"),
        ([LINES[0], PREFIX + "[]"], "a line is cut"),
        ([LINES[0], FUNCTION_LINE.replace('"vendor"', '"v"')], "not as it should be"),
        (
            [
                LINES[0],
                FUNCTION_LINE,
                FUNCTION_LINE,
                PREFIX + '{"record":"end","functions":2,"codecs":0}',
            ],
            "a function stands there twice",
        ),
    ],
)
def test_damage(lines: list[str], why: str) -> None:
    """Each kind of damage is named, with something to do."""
    with pytest.raises(ProofError, match=why) as caught:
        parse("\n".join([*lines, ""]))
    assert caught.value.resolution


def test_the_last_start_counts() -> None:
    """A guest that was started again is judged by its last report, complete or not."""
    assert parse(CONSOLE + CONSOLE) == PROOF
    assert not parse(CONSOLE + "\n".join(LINES[:3]) + "\n").complete
    assert parse("\n".join([*LINES[:3], "cut: " + PREFIX + '{"rec', CONSOLE])) == PROOF


GARBAGE = st.text(st.characters(exclude_characters="\n\r", codec="utf-8"), max_size=30).filter(
    lambda text: "WHOLECARD" not in text
)


@settings(max_examples=60)
@given(st.lists(st.tuples(GARBAGE, GARBAGE, GARBAGE), min_size=len(LINES), max_size=len(LINES)))
def test_interleaved_messages(noise: list[tuple[str, str, str]]) -> None:
    """Whatever stands between the lines, before the prefix and behind the record, is let pass."""
    text = "".join(
        f"{between}\r\n{before}{line}{after}\r\n"
        for line, (between, before, after) in zip(LINES, noise, strict=True)
    )
    assert parse(text) == PROOF


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No console makes the reader raise anything but its own error."""
    with contextlib.suppress(ProofError):
        parse(PREFIX + text)
