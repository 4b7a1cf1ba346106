"""The address width that a flavor requests, against what the host's CPUs have."""

from __future__ import annotations

import dataclasses

import pytest

from support.small_cloud import FILTERS, cloud, facts, host, request, scheduler
from wholecard.explain.explain import explain
from wholecard.host.facts.host import Cpu

DEFAULT = f"{FILTERS},ComputeCapabilitiesFilter"


@pytest.mark.parametrize(
    ("bits", "own", "filters", "series", "rule"),
    [
        ("47", 46, DEFAULT, "2026.2", "WC350"),
        ("46", 46, DEFAULT, "2026.2", ""),
        ("47", None, DEFAULT, "2026.2", ""),
        ("47", 46, FILTERS, "2026.2", ""),
        ("47", 46, DEFAULT, "2023.2", ""),
        ("", 46, DEFAULT, "2026.2", ""),
        ("many", 46, DEFAULT, "2026.2", ""),
    ],
)
def test_address_bits(bits: str, own: int | None, filters: str, series: str, rule: str) -> None:
    """More bits than the host's, where nova-scheduler compares them."""
    wide = dataclasses.replace(facts(), cpu=Cpu(physical_bits=own))
    specs = {"hw:maxphysaddr_bits": bits} if bits else {}
    made = cloud(series=series, request=request(specs=specs), hosts=(host(facts=wide),),
                 scheduler=scheduler(filters))  # fmt: skip
    (only,) = explain(made).hosts
    assert (only.failed.rule if only.failed else "") == rule
