"""How large a part of a card is, by its type and in the guest."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from support.hosts import function, host
from wholecard.cloud.proving.asked_devices import asked_devices, known_ids
from wholecard.cloud.proving.slice_sizes import size_finding, slice_sizes
from wholecard.core import record
from wholecard.guest.proof.record import Proof, ProofFunction, ProofGpu
from wholecard.host.facts.offered_slices import MdevType, OfferedSlices
from wholecard.pci.splitting.nvidia import type_memory_mib
from wholecard.site.load import read_site

CARD = ProofFunction("0000:05:00.0", (), "10de", "26b9", "030200", "", "", "nvidia", 1,
                     (16 << 20, 256 << 20, 32 << 20))  # fmt: skip
BOCHS = replace(CARD, vendor="1234", device="1111", bars=(16 << 20, 4096))


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("NVIDIA L40S-12Q", 12288), ("GRID M60-2Q", 2048), ("GRID M60-0B", 512),
        ("NVIDIA L40S-2B4", 2048), ("NVIDIA H100-1-10C", 10240), ("NVIDIA A100-1-5CME", 5120),
        ("nvidia-558", None), ("mtty-2", None), ("L40S", None), ("", None), ("-Q", None),
    ],
)  # fmt: skip
def test_by_name(name: str, size: int | None) -> None:
    """NVIDIA's names of types have their size in them; other names say nothing."""
    assert type_memory_mib(name) == size


@pytest.mark.parametrize(
    ("text", "most", "size"),
    [
        ("num_heads=4, frl_config=60, framebuffer=4096M, max_resolution=4096x2160, max_instance=8",
         8, 4096),
        ("virtual display, 16 MB video memory\n", None, 16),
        ("low_gm_size: 128MB\nfence: 4", None, None),
        ("framebuffer=lots, max_instance=", None, None),
        ("", None, None),
    ],
)  # fmt: skip
def test_by_description(text: str, most: int | None, size: int | None) -> None:
    """NVIDIA's driver and mbochs describe their types; what they do not say is not known."""
    kind = MdevType("0000:84:00.0", "a", "", 1, text)
    assert (kind.most, kind.memory_mib) == (most, size)


@pytest.mark.parametrize(
    ("give", "size"),
    [("{policy: vfs, types: {NVIDIA L40S-12Q: 4}}", 12288),
     ("{policy: mdev, types: {nvidia-558: 4}}", 8192),
     ("{policy: vfs, count: 4}", None)],
)  # fmt: skip
def test_of_a_site(tmp_path: Path, give: str, size: int | None) -> None:
    """A flavor's parts have the size of their type: by its name, or as a host's driver says."""
    card = function("0000:41:00.0", "10de:26b9", sriov_total=32)
    types = (MdevType("0000:41:00.0", "nvidia-558", "", 4, "framebuffer=8192M"),)
    facts = record.replace(host(card), slices=OfferedSlices(types))
    (tmp_path / "gpu-01.json").write_text(json.dumps(facts.to_json()))
    site = tmp_path / "site.yaml"
    site.write_text(
        f"release: 2026.2\ncards:\n  a:\n    match: [{{vendor: 10de, product: 26b9}}]\n"
        f"    give: {give}\nhosts: {{gpu-01: {{facts: gpu-01.json}}}}\n"
    )
    assert slice_sizes(read_site(site)).get("a") == size
    (asked,) = asked_devices("f", {"pci_passthrough:alias": "a:1"}, known_ids(read_site(site)))
    assert asked.memory_mib == size


def reported(memory_mib: int | None, address: str = CARD.address) -> Proof:
    gpu = ProofGpu("nvidia-smi", address, "NVIDIA L40S-12Q", memory_mib, None, None)
    return Proof(None, (CARD,), (), True, (gpu,))


@pytest.mark.parametrize(
    ("device", "proof", "asked", "wrong"),
    [
        (CARD, reported(12288), 12288, False),
        (CARD, reported(11900), 12288, False),
        (CARD, reported(24576), 12288, True),
        (CARD, reported(6144), 12288, True),
        (CARD, reported(6144), None, False),
        (CARD, reported(None), 12288, False),
        (CARD, reported(6144, "0000:06:00.0"), 12288, False),
        (BOCHS, Proof(None, (BOCHS,), (), True), 16, False),
        (BOCHS, Proof(None, (BOCHS,), (), True), 64, True),
    ],
    ids=["same", "driver's share", "double", "half", "not asked", "not reported", "another's",
         "BAR", "another BAR"],
)  # fmt: skip
def test_in_the_guest(device: ProofFunction, proof: Proof, asked: int | None, wrong: bool) -> None:
    """Another size is a finding with both sizes; a driver's own share is none."""
    finding = size_finding("a", asked, device, proof)
    assert (finding is not None) is wrong
    if finding is not None and asked:
        assert finding.rule == "WC438"
        assert "MiB" in finding.message or "GiB" in finding.message
