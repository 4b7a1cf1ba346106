"""What cannot go together on one card."""

from __future__ import annotations

import re

import pytest

from wholecard.core.rules import RULES
from wholecard.pci.splitting.record import Software
from wholecard.pci.splitting.together import Split, conflicts

L40S, T4, H100, MI300X = "10de:26b9", "10de:1eb8", "10de:2330", "1002:74a1"
NEW = Software((580, 159, 1), (6, 8))
SIZES = ("NVIDIA L40S-12Q", "NVIDIA L40S-24Q")
ALIKE = ("NVIDIA L40S-12A", "NVIDIA L40S-12Q")


@pytest.mark.parametrize(
    ("split", "found"),
    [
        (Split(L40S, ("whole",)), []),
        (Split(L40S, ("vfs",), (SIZES[0],), 4, software=NEW), []),
        (Split(L40S, ("whole", "vfs"), software=NEW), ["WC601: whole and as vfs: nova"]),
        (Split(H100, ("whole", "mig", "vfs"), software=NEW), ["WC601: whole and as mig and vfs"]),
        (Split(L40S, ("mdev", "vfs")), ["WC601: either mediated devices or VFs"]),
        # Two types below one card: nova needs Placement, the card its mode for several sizes.
        (Split(L40S, ("vfs",), ALIKE, software=NEW), ["WC602: L40S-12A and NVIDIA L40S-12Q below"]),
        (Split(L40S, ("vfs",), ALIKE, software=NEW, placement=True), []),
        (Split(L40S, ("vfs",), SIZES, software=NEW, placement=True), ["WC602: different sizes"]),
        (Split(L40S, ("vfs",), SIZES, software=NEW, placement=True, heterogeneous=True), []),
        (Split(T4, ("mdev",), ("T4-4Q", "T4-4C")), ["WC602: have one parent"]),
        (Split(L40S, ("mdev",), ("L40S-4Q", "L40S-4C")), []),
        (Split(H100, ("mig",), geometry={"7g.80gb": 1}, software=Software((450, 80, 2))),
         ["WC603: needs driver 525.85.12, and 450.80.02 is older"]),
        (Split(H100, ("mig",), geometry={"3g.40gb": 2, "1g.10gb": 1}), ["WC604: 9 memory slices"]),
        (Split(H100, ("mig",), geometry={"3g.40gb": 2, "1g.10gb": 1}, software=Software((525, 6))),
         ["WC603: is older", "WC604: 9 memory slices"]),
        (Split(H100, ("mig",), geometry={"1g.10gb": 2, "2g.20gb": 1, "3g.40gb": 1}), []),
        (Split(L40S, ("vfs",), vfs=33, total_vfs=32, software=NEW), ["WC605: 33 VFs are asked"]),
        (Split(MI300X, ("vfs",), vfs=4), ["WC605: can have 1 or 8 VFs, and 4 are asked for"]),
        (Split(MI300X, ("vfs",), vfs=8), []),
        (Split("1002:7461", ("vfs",), vfs=12), []),
        (Split("1002:7461", ("vfs",), vfs=13), ["WC605: can have 1 to 12 VFs"]),
        (Split(T4, ("vfs",)), ["WC606: vfs: a Turing card has no SR-IOV"]),
        (Split(L40S, ("mdev",), software=NEW), ["WC606: mdev: on kernel 6.8 and later"]),
        (Split(L40S, ("mig",)), ["WC606: mig: the card has no MIG"]),
        (Split(H100, ("whole",), gpus=frozenset({1, 2})),
         ["WC607: GPUs 1,2 are no partition of HGX H100, H200, H800; of that number there are: "
          "1,3; 2,4; 5,7; 6,8"]),
        (Split(H100, ("whole",), gpus=frozenset({1, 2, 3})), ["WC607: there are: none"]),
        (Split(H100, ("whole",), gpus=frozenset({6, 8})), []),
        (Split("10de:ffff", ("vfs",)), []),
    ],
)  # fmt: skip
def test_conflicts(split: Split, found: list[str]) -> None:
    """Each conflict by its rule, with its reason; nothing for what goes together."""
    rows = conflicts(split)
    assert [row.rule for row in rows] == [text.partition(": ")[0] for text in found]
    for row, text in zip(rows, found, strict=True):
        assert text.partition(": ")[2] in row.reason
        assert row.rule in RULES
        assert re.search(r"\(2026-1[12]-\d\d\)$", str(row.source))
