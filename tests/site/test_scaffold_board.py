"""A board with NVSwitches in a first site file and in inspect's text."""

from __future__ import annotations

import pytest

from support.hosts import bound, host
from wholecard.core.releases import release
from wholecard.host.agent.facts_text import host_text
from wholecard.site.scaffold import FoundHost, first_site


@pytest.mark.parametrize("switched", [True, False])
def test_board(switched: bool) -> None:
    """site init and inspect name the board and what it needs, and say nothing of other hosts."""
    switch = bound("0000:55:00.0", "10de:22a3", class_code="068000", driver="nvidia-nvswitch")
    gpus = [bound(f"0000:0{bus}:00.0", device_name="GH100 [H100]") for bus in (1, 2)]
    board = host(*gpus, *([switch] if switched else []))
    text = first_site({"gpu-01": FoundHost(board)}, release("2025.2"), "site.schema.json")
    assert ("fabric manager" in text) == switched
    shown = host_text(board)
    assert ("2 GPUs connected by NVSwitches (0000:55:00.0)" in shown) == switched
