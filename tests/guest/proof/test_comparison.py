"""What a guest reports, compared with what its server must have."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.proofs import PROOF, REPORT, console_of
from wholecard.guest.proof.comparison import ExpectedFunction, compare
from wholecard.guest.proof.record import Proof
from wholecard.guest.proof.report import parse

ASKED = [
    ExpectedFunction("1002", "5046", None, "card 1 graphics"),
    ExpectedFunction("8086", "293e", "snd_hda_intel", "card 1 sound"),
    ExpectedFunction("1234", "1111", "bochs-drm", "card 2 graphics"),
    ExpectedFunction("8086", "293e", "snd_hda_intel", "card 2 sound"),
    ExpectedFunction("1b36", "0010", "nvme", "disk"),
]
OF_CARDS = [f for f in PROOF.functions if f.id in {want.id for want in ASKED}]


def rules(asked: list[ExpectedFunction], proof: Proof | None) -> list[str]:
    """The codes of the findings, in order."""
    return [finding.rule for finding in compare(asked, proof)]


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
