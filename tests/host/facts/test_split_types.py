"""What `split types` answers: the tables beside what a host shows."""

from __future__ import annotations

from support.hosts import boot, function, host
from wholecard.core.record import replace
from wholecard.host.facts.offered_slices import MdevType, OfferedSlices, TypedVf
from wholecard.host.facts.split_types import NO_INVENTORY, NO_TYPES, of_cards, of_host
from wholecard.pci.splitting.record import Software
from wholecard.pci.splitting.registry import known_cards

PF = function("0000:41:00.0", "10de:26b9", driver="nvidia", sriov_total=32, sriov_vfs=1)
VF = function("0000:41:00.4", "10de:26b9", driver="nvidia", physfn="0000:41:00.0")
SECOND = function("0000:81:00.0", "10de:26b9", driver="vfio-pci")
OTHER = function("0000:c1:00.0", "1d17:3d00", device_name="Nobody's GPU")
BMC = function("0000:03:00.0", "1a03:2000", "030000")
NETWORK = function("0000:02:00.0", "8086:1572", "020000")
HOST = host(PF, VF, SECOND, OTHER, NETWORK, BMC, boot=boot(release="6.8.0-45-generic"))
TYPED = TypedVf("0000:41:00.4", 1145, ((1145, "NVIDIA L40S-1B"),))
MTTY = MdevType("mtty", "mtty-1", "Single port serial", 24)


def test_cards_of_a_host() -> None:
    """Cards of one kind are one row; a VF is its card's, and a card in no table has no ways.

    The console's own display is no card.
    """
    report = of_host(
        replace(HOST, slices=OfferedSlices((MTTY,), (TYPED,))), Software(driver=(580, 159, 1))
    )
    l40s, other = report.cards
    assert (l40s.card.name, l40s.card.ids) == ("L40S", ("10de:26b9",))
    assert [(row.address, row.driver, row.total_vfs, row.vfs) for row in l40s.shown] == [
        ("0000:41:00.0", "nvidia", 32, 1), ("0000:81:00.0", "vfio-pci", 0, 0),
    ]  # fmt: skip
    assert [row.typed_vfs for row in l40s.shown] == [(TYPED,), ()]
    assert (other.card.name, other.ways) == ("Nobody's GPU", ())
    assert report.other_parents == (MTTY,)
    assert report.notes == (NO_INVENTORY,)


def test_the_hosts_kernel_counts() -> None:
    """The host's own kernel decides, unless another one is given."""

    def states(software: Software) -> list[str]:
        return [way.state for way in of_host(HOST, software).cards[0].ways]

    assert states(Software((550,))) == ["yes", "no", "yes", "no"]
    assert states(Software((535,), (5, 14))) == ["yes", "yes", "no", "no"]
    assert of_host(HOST, Software()).notes == (NO_TYPES,)


def test_types_of_an_mdev_parent() -> None:
    """A card that is the parent of mediated devices has their types, and nobody else does."""
    grid = MdevType("0000:41:00.4", "nvidia-105", "NVIDIA L40S-4Q", 8)
    report = of_host(replace(HOST, slices=OfferedSlices((grid,))), Software())
    assert report.cards[0].shown[0].mdev_types == (grid,)
    assert report.other_parents == ()
    assert report.notes == ()


def test_json() -> None:
    """Plain data: ways with needs and sources, MIG's profiles, the board's partitions."""
    report = of_cards((), Software())
    data = report.to_json()
    assert len(data["cards"]) == len(known_cards())
    assert data["run_on_hardware"] is False
    h100 = next(row for row in data["cards"] if "10de:2330" in row["card"]["ids"])
    assert h100["mig_profiles"]["1g.10gb+me"] == 1
    assert h100["partitions"]["3"] == [1, 3]
    assert h100["ways"][0]["name"] == "whole"
    assert {"text", "read"} == set(h100["ways"][2]["sources"][0])
    l40s = of_host(replace(HOST, slices=OfferedSlices((), (TYPED,))), Software()).to_json()[
        "cards"
    ][0]
    assert l40s["shown"][0]["typed_vfs"] == [
        {"address": "0000:41:00.4", "current": 1145, "creatable": [[1145, "NVIDIA L40S-1B"]]}
    ]
    assert (l40s["mig_profiles"], l40s["partitions"]) == ({}, {})
