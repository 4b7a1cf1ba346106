"""hostdevs of a domain, their places in the guest, and cards that were torn apart."""

from __future__ import annotations

import pytest

from support import hosts
from wholecard.core import WholecardError
from wholecard.guest.proof.hostdev import AskedCard, Hostdev, locate, parse, same_card
from wholecard.guest.proof.record import Proof, ProofFunction
from wholecard.pci import Address, Function

# As libvirt 11 lays out a q35 server of nova with two functions of one host slot: controller
# indexes 1, 2 and 3; the conventional devices hang behind a pcie-to-pci-bridge.
XML = """\
<domain type='kvm' id='1'><name>instance-00000001</name><devices>
  <controller type='usb' index='0' model='none'/>
  <controller type='pci' index='0' model='pcie-root'><alias name='pcie.0'/></controller>
  <controller type='pci' index='1' model='pcie-root-port'>
    <address type='pci' domain='0x0000' bus='0x00' slot='0x02' function='0x0'/></controller>
  <controller type='pci' index='2' model='pcie-to-pci-bridge'>
    <address type='pci' domain='0x0000' bus='0x01' slot='0x00' function='0x0'/></controller>
  <controller type='pci' index='3' model='pcie-root-port'>
    <address type='pci' domain='0x0000' bus='0x00' slot='0x02' function='0x1'/></controller>
  <hostdev mode='subsystem' type='usb'><source/></hostdev>
  <hostdev mode='subsystem' type='pci' managed='yes'>
    <driver name='vfio'/>
    <source><address domain='0x0000' bus='0x88' slot='0x00' function='0x0'/></source>
    <alias name='hostdev0'/>
    <address type='pci' domain='0x0000' bus='0x02' slot='0x01' function='0x0'/></hostdev>
  <hostdev mode='subsystem' type='pci' managed='yes'>
    <source><address domain='0x10000' bus='0x88' slot='0x1f' function='0x7'/></source>
    <address type='pci' domain='0x0000' bus='0x03' slot='0x00' function='0x0'/></hostdev>
</devices></domain>
"""
GPU, AUDIO = "1002:5046", "8086:293e"


def test_parse() -> None:
    """Each PCI hostdev has its host address, its alias and its way down the guest's bridges."""
    assert parse(XML) == (
        Hostdev("0000:88:00.0", "hostdev0", ("02.0", "00.0", "01.0")),
        Hostdev("10000:88:1f.7", "", ("02.1", "00.0")),
    )


@pytest.mark.parametrize(
    "xml",
    [
        "",
        "<domain>",
        "<network/>",
        XML.replace("index='1'", "index='9'"),
        XML.replace("model='pcie-root-port'", "model='pcie-expander-bus'"),
        XML.replace(
            "bus='0x00' slot='0x02' function='0x0'", "bus='0x02' slot='0x02' function='0x0'"
        ),
        XML.replace("slot='0x1f'", "slot='x'"),
        XML.replace("<address domain='0x10000' bus='0x88' slot='0x1f' function='0x7'/>", ""),
    ],
)
def test_what_cannot_be_read(xml: str) -> None:
    """What is no domain, or leads nowhere or in a circle, is an error and no wrong answer."""
    with pytest.raises(WholecardError, match="cannot read the domain's XML"):
        parse(xml)


def test_a_domain_without_hostdevs() -> None:
    """A plain server has none."""
    assert parse("<domain><devices/></domain>") == ()


def function(path: str) -> ProofFunction:
    """A function that the guest saw at this way down."""
    ways = tuple(path.split("/"))
    return ProofFunction(
        ways[-1], ways, "1002", "5046", "030000", "0", "0", None, 0, (0, 0, 0, 0, 0, 0)
    )


def test_locate_goes_by_slots() -> None:
    """The guest's bus numbers differ from libvirt's indexes; the slots on the way decide."""
    here = function("0000:00:02.0/0000:05:00.0/0000:06:01.0")
    other = function("0000:00:03.0/0000:07:00.0/0000:08:01.0")
    proof = Proof(None, (other, here), (), complete=True)
    assert locate(parse(XML), proof) == {"0000:88:00.0": here}


def devices(*hosts: str) -> list[Hostdev]:
    """hostdevs of these host addresses; where they are in the guest does not matter here."""
    return [Hostdev(host, "", ()) for host in hosts]


IDS = {f"0000:0{bus}:00.{fn}": (GPU, AUDIO)[fn] for bus in (1, 2, 3) for fn in (0, 1)}
WHOLE = (GPU, AUDIO)


@pytest.mark.parametrize(
    ("asked", "hosts", "torn"),
    [
        ([WHOLE], ["0000:01:00.0", "0000:01:00.1"], 0),
        ([WHOLE], ["0000:01:00.0", "0000:02:00.1"], 1),
        ([WHOLE] * 2, ["0000:01:00.0", "0000:02:00.1", "0000:02:00.0", "0000:01:00.1"], 0),
        ([WHOLE] * 2, ["0000:01:00.0", "0000:01:00.1", "0000:02:00.0", "0000:03:00.1"], 1),
        ([WHOLE] * 2, ["0000:01:00.0", "0000:02:00.0", "0000:03:00.1"], 1),
        ([(GPU,), WHOLE], ["0000:02:00.0", "0000:01:00.0", "0000:01:00.1"], 0),
        ([(GPU,)] * 2, ["0000:01:00.0", "0000:02:00.0"], 0),
        ([WHOLE], ["0000:01:00.0"], 0),
        ([WHOLE], [], 0),
        ([], ["0000:01:00.0"], 0),
    ],
)
def test_wc403(asked: list[tuple[str, ...]], hosts: list[str], torn: int) -> None:
    """WC403 fires for each card that is split and not for whole and missing ones."""
    cards = [AskedCard(f"card{n}", functions) for n, functions in enumerate(asked)]
    assert [f.rule for f in same_card(cards, devices(*hosts), IDS)] == ["WC403"] * torn


def test_wc403_names_the_addresses() -> None:
    """The finding says which function came from where."""
    card = AskedCard("card", WHOLE)
    (finding,) = same_card([card], devices("0000:01:00.0", "0000:02:00.1"), IDS)
    assert finding.subject == "card"
    assert "1002:5046 from 0000:01:00.0, 8086:293e from 0000:02:00.1" in finding.message


ARC, ARC_AUDIO = "8086:e211", "8086:e2f7"


def arc(first: int) -> list[Function]:
    """An Arc card: its switch at bus `first`, the GPU two buses below, its audio three."""
    above = (Address(0, 0, first, 0), Address(0, first, 0, 0))
    return [
        hosts.function(f"0000:{first + 2:02x}:00.0", ARC, "030000",
                       parents=(*above, Address(0, first + 1, 1, 0))),
        hosts.function(f"0000:{first + 3:02x}:00.0", ARC_AUDIO, "040300",
                       parents=(*above, Address(0, first + 1, 2, 0))),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "torn"),
    [
        (("0000:03:00.0", "0000:04:00.0"), 0),
        (("0000:03:00.0", "0000:09:00.0"), 1),
    ],
)
def test_card_of_two_slots(given: tuple[str, ...], torn: int) -> None:
    """A GPU and its audio in another slot are one card where the host's facts say so."""
    cards = hosts.host(*arc(1), *arc(6), group=hosts.alone).cards
    ids = {str(f.address): f.ids for f in (*arc(1), *arc(6))}
    asked = [AskedCard("card", (ARC, ARC_AUDIO))]
    findings = same_card(asked, devices(*given), ids, cards)
    assert [finding.rule for finding in findings] == ["WC403"] * torn
    assert len(same_card(asked, devices(*given), ids)) == 1
