"""What a demo leaves: outcomes, proofs and figures."""

from __future__ import annotations

import dataclasses
import json

import pytest

from support import demos
from wholecard.cloud.placement.provider_tree import Inventory, ResourceProvider
from wholecard.cloud.placement.resource_providers import providers_text
from wholecard.core import Finding, Severity
from wholecard.guest.proof.comparison import ExpectedFunction
from wholecard.guest.proof.record import ProofFunction
from wholecard.lab.report.record import ProofRow
from wholecard.lab.scenario import emulated_gpu
from wholecard.lab.scenario.cloud_plan import all_free, free_units
from wholecard.lab.scenario.prove_cards import bars_text, proof_text, rows

NO_HOST = "No valid host was found. There are not enough hosts available."


@pytest.mark.parametrize(
    ("expected", "status", "fault", "finding", "as_it_should_be"),
    [
        (False, "ACTIVE", "", False, True),
        (False, "ACTIVE", "", True, False),
        (False, "ERROR", NO_HOST, False, False),
        (False, "ERROR", "", False, False),
        (False, "BUILD", "", False, False),
        (True, "ERROR", NO_HOST, False, False),
        (True, "ERROR", "Exceeded maximum number of retries", False, False),
        (True, "ERROR", "", False, False),
        (True, "ACTIVE", "", False, False),
        (True, "ACTIVE", NO_HOST, False, False),
    ],
)
def test_as_it_should_be(
    expected: bool, status: str, fault: str, finding: bool, as_it_should_be: bool
) -> None:
    """A server is as it should be when it was proved; a refusal without its cause never is."""
    record = dataclasses.replace(
        demos.proved((demos.MISSING,) if finding else ()),
        status=status, fault=fault, refusal_expected=expected,
    )  # fmt: skip
    assert record.as_it_should_be is as_it_should_be


def test_a_refusal_has_its_cause() -> None:
    """A refusal is as it should be where `explain` says that the cards are taken, and no more."""
    record = demos.refused()
    assert record.as_it_should_be
    for findings in ((), (demos.MISSING,), (demos.TAKEN, demos.MISSING)):
        assert not dataclasses.replace(record, findings=findings).as_it_should_be


def test_functions_of_different_cards_prove_nothing() -> None:
    """A server whose functions come from two cards (WC403) is not proved."""
    split = Finding("WC403", "card 1", Severity.ERROR, "from two slots")
    record = demos.proved((split,))
    assert not record.as_it_should_be
    assert "WC403" in proof_text(record)
    assert "proved:" not in proof_text(record)


def test_numbers_have_no_evidence() -> None:
    """The figures are plain JSON: times of every step, memory in MiB, and none of the evidence."""
    record = demos.failed_demo()
    numbers = json.loads(json.dumps(record.numbers()))
    assert numbers == record.numbers()
    assert [step["title"] for step in numbers["steps"]] == [step.title for step in record.steps]
    assert numbers["steps"][15]["seconds"] == 0.0
    assert numbers["memory_mib"]["gpu-01"] == 1536
    assert demos.LOG not in json.dumps(numbers)
    assert "evidence" not in json.dumps(numbers)


def test_whole_record_as_json() -> None:
    """The whole record is JSON with its evidence; a finding's severity is its value."""
    data = json.loads(demos.failed_demo().to_json())
    finding = data["servers"][0]["findings"][0]
    assert finding == demos.MISSING.to_json()
    assert data["steps"][11]["evidence"] == [["the node's kernel log", demos.LOG]]


def seen(address: str, ids: str, driver: str | None = None) -> ProofFunction:
    """A function as a guest reports it."""
    vendor, device = ids.split(":")
    bars = (16 << 20, 256, 16 << 10, 0, 0, 0)
    return ProofFunction(address, (address,), vendor, device, "030000", "", "", driver, 0, bars)


GPU = emulated_gpu.GPU_IN_GUEST
AUDIO = ExpectedFunction("8086", "293e", driver="snd_hda_intel", name="audio")


def test_rows_of_two_cards() -> None:
    """Functions with the same ids are told apart by the host's address, in its order."""
    located = {"0000:02:00.0": seen("0000:06:01.0", GPU.id),
               "0000:01:00.0": seen("0000:06:02.0", GPU.id)}  # fmt: skip
    bars = "16 MiB, 256 B, 16 KiB"
    assert rows([GPU, GPU], located) == (
        ProofRow("GPU", "1002:5046", "0000:01:00.0", "0000:06:02.0", "none", bars),
        ProofRow("GPU", "1002:5046", "0000:02:00.0", "0000:06:01.0", "none", bars),
    )


def test_rows_of_what_was_not_seen() -> None:
    """A function that the guest does not have is a row with empty values, and no row is made of
    one that was not asked for.
    """
    located = {"0000:01:00.1": seen("0000:06:02.0", AUDIO.id, "snd_hda_intel"),
               "0000:00:04.0": seen("0000:06:03.0", "1af4:1041")}  # fmt: skip
    assert rows([GPU, AUDIO], located) == (
        ProofRow("GPU", "1002:5046", "", "", "", ""),
        ProofRow("audio", "8086:293e", "0000:01:00.1", "0000:06:02.0", "snd_hda_intel",
                 "16 MiB, 256 B, 16 KiB"),
    )  # fmt: skip
    assert rows([ExpectedFunction("10de", "1eb8", None, "GPU")], {})[0].host_address == ""


@pytest.mark.parametrize(
    ("sizes", "text"),
    [((), ""), ((0, 0), ""), ((16 << 20, 0, 4096), "16 MiB, 4 KiB"), ((256,), "256 B"),
     ((1024, 1 << 20), "1 KiB, 1 MiB"), ((16 << 30,), "16 GiB")],
)  # fmt: skip
def test_sizes_of_bars(sizes: tuple[int, ...], text: str) -> None:
    """BARs are shown by their sizes; those that are not used are left out."""
    assert bars_text(sizes) == text


def test_proof_of_two_cards() -> None:
    """A proof names every function on the host and in the guest, what the guest counts, and how
    many cards they are of.
    """
    assert proof_text(demos.proved()).splitlines() == [
        "GPU    1002:5046  host 0000:01:00.0 -> guest 0000:06:01.0 driver none           "
        "16 MiB, 256 B, 16 KiB",
        "GPU    1002:5046  host 0000:02:00.0 -> guest 0000:06:02.0 driver none           "
        "16 MiB, 256 B, 16 KiB",
        *demos.LINES,
        "proved: 2 functions from 2 card(s)",
    ]


def test_proof_of_two_functions_of_a_card() -> None:
    """Two functions of one slot are one card."""
    audio = ProofRow(
        "audio", "8086:293e", "0000:01:00.1", "0000:06:02.0", "snd_hda_intel", "16 KiB"
    )
    record = dataclasses.replace(demos.proved(), rows=(demos.row(1), audio))
    assert proof_text(record).splitlines()[-1] == "proved: 2 functions from 1 card(s)"


def test_proof_with_findings_proves_nothing() -> None:
    """A finding is shown in place of the verdict."""
    text = proof_text(demos.proved((demos.MISSING,)))
    assert "guest not seen" in text
    assert text.splitlines()[-1] == f"WC401 card 2: {demos.MISSING.message}"
    assert "proved" not in text


def test_server_that_never_stood_is_not_proved() -> None:
    """A server that nova did not place is shown with nova's fault, never as proved."""
    record = dataclasses.replace(demos.refused(), findings=())
    assert proof_text(record) == f"ERROR: {NO_HOST}"


def provider(name: str, *inventories: tuple[str, int, int, int]) -> ResourceProvider:
    """A provider with inventories of class, total, reserved, used."""
    inventory_rows = tuple(Inventory(*values) for values in inventories)
    return ResourceProvider(name, name, None, "root", inventories=inventory_rows)


def card(slot: str, used: int = 0) -> list[ResourceProvider]:
    return [provider(f"gpu-01_{slot}.0", (emulated_gpu.GPU_CLASS, 1, 0, used))]


ROOT = provider("gpu-01", ("VCPU", 8, 0, 3))
FREE = [ROOT, *card("0000:01:00"), *card("0000:02:00")]


@pytest.mark.parametrize(
    ("providers", "free"),
    [
        (FREE, True),
        (FREE[::-1], True),
        ([], False),
        ([ROOT], False),
        (FREE[:-1], False),
        ([*FREE, *card("0000:03:00")], False),
        ([ROOT, *card("0000:01:00", used=1), *card("0000:02:00")], False),
        ([*FREE[:-1], provider("x", (emulated_gpu.GPU_CLASS, 1, 1, 0))], False),
        ([provider("x", (emulated_gpu.GPU_CLASS, 3, 1, 0))], True),
    ],
)
def test_all_free(providers: list[ResourceProvider], free: bool) -> None:
    """The cards are free when Placement has two free units of their class, wherever."""
    assert all_free(providers) is free


def test_free_units() -> None:
    """What is reserved or used is not free; a provider without the class has none of it."""
    current = provider("x", ("A", 5, 1, 2))
    assert (free_units(current, "A"), free_units(current, "B")) == (2, 0)


def test_providers_as_text() -> None:
    """Providers are shown by name with what is used of each class."""
    listed = [provider("b", ("VCPU", 8, 0, 3), ("PCI", 1, 0, 1)), provider("a")]
    assert providers_text(listed) == "a: no inventory\nb: VCPU 3/8, PCI 1/1"
