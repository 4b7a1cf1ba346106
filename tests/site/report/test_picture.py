"""The picture of a host: every device once, nothing over anything else, nothing outside."""

from __future__ import annotations

from itertools import combinations

import pytest

from support.cards_on_board import board
from support.hosts import bound, host
from support.large_hosts import eight_mi300x, hgx
from wholecard.host.facts.host import Host
from wholecard.host.facts.topology import topology
from wholecard.site.report.picture import Box, Picture, draw
from wholecard.site.report.request import NARROW, WIDE

HOSTS = [hgx(), eight_mi300x(), board(), host(bound("0000:01:00.0")), host()]


def devices(picture: Picture) -> list[Box]:
    """The boxes of devices."""
    return [box for box in picture.boxes if box.look not in ("bridge", "words")]


@pytest.mark.parametrize("made", HOSTS)
@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_each_device_once(made: Host, width: int) -> None:
    """Each device of the tree is one box, which begins with its address and fits in the picture."""
    tree = topology(made)
    picture = draw(tree, width)
    boxes = devices(picture)
    assert sorted(box.lines[0].split(" · ")[0] for box in boxes) == sorted(
        str(device.functions[0].address) for device in tree.devices
    )
    for box in (*picture.frames, *picture.boxes):
        assert box.x >= 0
        assert box.x + box.width <= picture.width
        assert box.y + box.height <= picture.height
    for one, other in combinations(boxes, 2):
        beside = one.x + one.width <= other.x or other.x + other.width <= one.x
        assert beside or one.y + one.height <= other.y or other.y + other.height <= one.y


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_text_is_inside_its_box(width: int) -> None:
    """No line is longer than its box has room for, at the widest characters in use."""
    for box in draw(topology(hgx()), width).boxes:
        room = box.width - (16 if box.look == "bridge" else 10)
        assert all(len(line) * 7.05 <= room for line in box.lines)
        assert len(box.title) * 8.7 <= room


def test_columns() -> None:
    """Two NUMA nodes are beside each other on a screen and below each other on a telephone."""
    wide = draw(topology(hgx()), WIDE).frames
    assert [box.y for box in wide] == [0, 0]
    narrow = draw(topology(hgx()), NARROW).frames
    assert [box.x for box in narrow] == [0, 0]
    assert narrow[1].y > narrow[0].height


def test_differences_are_seen() -> None:
    """Hosts with other drivers, or a link with fewer lanes, do not look the same."""
    others = (hgx(driver="vfio-pci"), hgx(slow="0000:19:00.0"))
    pictures = {draw(topology(made), WIDE) for made in (hgx(), hgx(), *others)}
    assert len(pictures) == 3


def test_lanes() -> None:
    """A line is thicker the more lanes the link has."""
    thick = {wire.thickness for wire in draw(topology(hgx(slow="0000:19:00.0")), WIDE).wires}
    assert thick == {1, 1.25, 1.5, 2, 3}


def test_shared_group() -> None:
    """What is in one IOMMU group with a card is marked, and so is the card."""
    gpu, nic = bound("0000:01:00.0"), bound("0000:02:00.0", "15b3:1021", class_code="020000",
                                            iommu_group=1)  # fmt: skip
    shared = {box.look: box.shared for box in devices(draw(topology(host(gpu, nic)), WIDE))}
    assert shared == {"card": True, "network": True}
