"""What a proof says of a server's GPUs on a board with NVSwitches."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from support.boards import ADDRESSES, MODULES, board_host, board_site
from support.proof_cloud import H100, H100_2, ProofCloud, honest
from wholecard.cloud.placement.provider_tree import ResourceProvider
from wholecard.cloud.proving.board_partition import partition_verdict
from wholecard.cloud.proving.request import ProveRequest, prove
from wholecard.core import Finding
from wholecard.site.load import read_site

SITE = f"""release: 2026.2
cards:
  h100:
    match: [{{vendor: 10de, product: 2330}}]
    give: {{policy: partitions, sets: {{h100-x2: 2}}}}
hosts:
  gpu-01: {{facts: gpu-01.json, modules: {json.dumps(MODULES)}}}
"""


def provider(number: int, host: str = "gpu-01") -> ResourceProvider:
    """A card's provider, named as nova names it."""
    return ResourceProvider(f"{host}_{ADDRESSES[number].upper()}", str(number))


@pytest.mark.parametrize("split", [{"x2": 2}, {}], ids=["in sets", "whole"])
@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ((2, 3), "The GPUs of s are a partition of the board of gpu-01: modules 1 3."),
        ((0,), "The GPUs of s are a partition of the board of gpu-01: modules 2."),
        (range(8), "The GPUs of s are a partition of the board of gpu-01: modules 1 2 3 4 5 6 7 "
         "8."),
        ((0, 3), "its GPUs are no partition of the board of gpu-01: modules 1 2; of that number "
         "there are: 1 3; 2 4; 5 7; 6 8"),
        ((0, 1, 2), "its GPUs are no partition of the board of gpu-01: modules 2 3 4; of that "
         "number there are: none"),
        ((), ""),
    ],
)  # fmt: skip
def test_verdict(split: dict[str, int], numbers: tuple[int, ...], said: str) -> None:
    """A partition is a sentence, anything else WC437."""
    site, _ = board_site((1, split))
    verdict = partition_verdict(site, "s", "gpu-01", map(provider, numbers))
    assert isinstance(verdict, Finding) == said.startswith("its")
    assert (verdict.message if isinstance(verdict, Finding) else verdict) == said


def test_another_host() -> None:
    """Of a host that the site file does not have nothing is said."""
    site, _ = board_site((1, {}))
    assert partition_verdict(site, "s", "gpu-09", [provider(0), provider(1)]) == ""


@pytest.mark.parametrize(("numbers", "rules"), [((2, 3), []), ((0, 3), ["WC437"])])
def test_in_a_proof(
    proving: ProofCloud, tmp_path: Path, numbers: tuple[int, ...], rules: list[str]
) -> None:
    """A run asks Placement which GPUs its server has."""
    (tmp_path / "gpu-01.json").write_text(json.dumps(board_host().to_json()))
    (tmp_path / "site.yaml").write_text(SITE)
    proving.guests[:] = [honest(H100, H100_2)]
    proving.extra_specs["pci_passthrough:alias"] = "h100-x2:2"
    proving.cards = {provider(number).uuid: provider(number).name for number in numbers}
    proving.api.answers["GET /placement/resource_providers"] = proving.providers
    request = ProveRequest("test", "gpu", "debian", grace=0.0, interval=0.0, timeout=20.0)
    report = prove(proving.connection(), replace(request, site=read_site(tmp_path / "site.yaml")))
    errors = [each.rule for each in report.all_findings if each.severity.value == "error"]
    assert errors == rules
    assert any("are a partition of the board" in note for note in report.notes) == (not rules)
