"""What the firmware wants mapped one to one, by tables that are built here."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.acpi import dmar, ivmd, ivrs, rmrr, scope
from support.hosts import function
from support.nodes import APART, GROUPS_APART, bare, reboot
from support.tree import Leaf, grow
from wholecard.core import Finding, RefusedError, Severity
from wholecard.host.checks.registry import check
from wholecard.host.desired_state import desired_cards, resolve
from wholecard.host.facts.acpi_tables import LIMIT, Ivmd, direct_mappings, parse_dmar, parse_ivrs
from wholecard.host.facts.host import DirectMapping, Host
from wholecard.host.facts.inspect import inspect
from wholecard.host.facts.snapshot import open_snapshot, save
from wholecard.host.planning.plan import plan
from wholecard.pci import Address

PORT, UPSTREAM = Address(0, 0, 1, 0), Address(0, 1, 0, 0)
# Behind a root port and a switch's upstream port: 00:01.0, 01:00.0, 02:00.0.
ACCELERATOR = function("0000:02:00.0", class_code="120000", parents=(PORT, UPSTREAM))
GPU = function("0000:02:00.1", class_code="030200", parents=(PORT, UPSTREAM))
USB = function("0000:00:14.0", "8086:a36d", class_code="0c0330")
NTB = function("0000:00:03.0", "8086:0001", class_code="068000")
VF = function("0000:02:00.4", physfn="0000:02:00.0", class_code="120000", parents=(PORT, UPSTREAM))
BRIDGE = function("0000:01:00.0", class_code="060400", parents=(PORT,))
SECOND = function("0001:02:00.0", class_code="120000", parents=(Address(1, 0, 1, 0),))
ALL = (ACCELERATOR, GPU, USB, NTB, VF, BRIDGE, SECOND)
PATH = ((1, 0), (0, 0), (0, 0))
DIRECT, RELAXABLE = "direct", "direct-relaxable"


@pytest.mark.parametrize(
    ("structure", "expected"),
    [
        (rmrr(scope(0, *PATH)), {"0000:02:00.0": DIRECT}),
        (rmrr(scope(0, *PATH[:2], (0, 1))), {"0000:02:00.1": RELAXABLE}),
        (rmrr(scope(0, (0x14, 0))), {"0000:00:14.0": RELAXABLE}),
        # All that is below a bridge: the root port, or the switch's upstream port.
        (
            rmrr(scope(0, (1, 0), kind=2)),
            {"0000:02:00.0": DIRECT, "0000:02:00.1": RELAXABLE},
        ),
        (
            rmrr(scope(0, *PATH[:2], kind=2)),
            {"0000:02:00.0": DIRECT, "0000:02:00.1": RELAXABLE},
        ),
        # Firmware that names the device's own bus: the kernel's workaround.
        (rmrr(scope(2, (0, 0))), {"0000:02:00.0": DIRECT}),
        # Not the workaround: more than one step, or another bus.
        (rmrr(scope(1, (0, 0), (0, 0))), {}),
        (rmrr(scope(3, (0, 0))), {}),
        (rmrr(scope(0, (1, 0), (0, 0), (0, 2))), {}),
        (rmrr(scope(0, *PATH, (0, 0))), {}),
        # A bridge as an endpoint, an endpoint as a bridge, an I/O APIC, a namespace device.
        (rmrr(scope(0, (1, 0))), {}),
        (rmrr(scope(0, *PATH, kind=2)), {}),
        (rmrr(scope(0, *PATH, kind=3)), {}),
        (rmrr(scope(0, *PATH, kind=5)), {}),
        # An NTB has a bridge's class and an endpoint's header: either scope is right.
        (rmrr(scope(0, (3, 0), kind=2)), {"0000:00:03.0": DIRECT}),
        (rmrr(scope(0, (3, 0))), {"0000:00:03.0": DIRECT}),
        (rmrr(scope(0, (1, 0), (0, 0)), segment=1), {"0001:02:00.0": DIRECT}),
        (rmrr(scope(0, *PATH), segment=1), {}),
        (rmrr(scope(9, (9, 0)), scope(0, *PATH)), {"0000:02:00.0": DIRECT}),
        (rmrr(), {}),
        (b"", {}),
    ],
)
def test_dmar(structure: bytes, expected: dict[str, str]) -> None:
    """An RMRR is for the functions that the kernel would find by its device scopes."""
    mappings = direct_mappings("vt-d", dmar(structure), ALL)
    assert mappings is not None
    assert {each.address: each.kind for each in mappings} == expected
    assert {(each.first, each.last) for each in mappings} <= {
        ("0x000000003ddc6000", "0x000000003dddefff")
    }


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (ivmd(0x20), ["0000:02:00.0", "0000:02:00.1", "0000:00:14.0", "0000:00:03.0"]),
        (ivmd(0x20, segment=1), ["0001:02:00.0"]),
        (ivmd(0x21, first=0x200), ["0000:02:00.0"]),
        (ivmd(0x21, first=0x201, last=0xFFFF), ["0000:02:00.1"]),
        (ivmd(0x22, first=0x0A0, last=0x200), ["0000:02:00.0", "0000:00:14.0"]),
        (ivmd(0x22, first=0x202, last=0xFFFF), []),
        # An exclusion range is mapped one to one too; a block with neither flag says nothing.
        (ivmd(0x21, 8, 0x200), ["0000:02:00.0"]),
        (ivmd(0x21, 6, 0x200), []),
        (ivmd(0x23, first=0x200), []),
    ],
)
def test_ivrs(block: bytes, expected: list[str]) -> None:
    """An IVMD is for functions by number, and AMD's driver relaxes none."""
    mappings = direct_mappings("amd-vi", ivrs(block), ALL)
    assert mappings is not None
    assert [each.address for each in mappings] == expected
    assert {each.kind for each in mappings} <= {DIRECT}


def test_ivmd_pages() -> None:
    """The kernel aligns an IVMD's begin and its size to pages."""
    (entry,) = parse_ivrs(ivrs(ivmd(0x21, 1, 0x200, start=0x1001, size=1)))
    assert entry == Ivmd(0, 0x2000, 0x2FFF, 0x200, 0x200)


DAMAGED = [
    b"",
    b"DMAR",
    dmar()[:40],
    dmar()[:-1],
    ivrs(),
    dmar(b"\1\0\0\0"),
    dmar(b"\1\0\xff\0"),
    dmar(b"\1\0\x08\0\0\0\0\0"),
    dmar(rmrr(b"\1\0\0\0\0\0")),
    dmar(rmrr(b"\1\x20\0\0\0\0")),
    dmar(rmrr(b"\1")),
]


@pytest.mark.parametrize("table", DAMAGED)
def test_damaged(table: bytes) -> None:
    """A table that is cut off, or whose structures do not fit, is not known; no part of it is."""
    assert direct_mappings("vt-d", table, ALL) is None


@given(st.binary(max_size=200), st.integers(0, 400), st.booleans())
def test_any_table(noise: bytes, place: int, of_amd: bool) -> None:
    """Whatever a table holds, it is read to an end or refused as a whole."""
    good = ivrs(ivmd(0x20), ivmd(0x22)) if of_amd else dmar(rmrr(scope(0, *PATH)), rmrr())
    place %= len(good)
    for table in (noise, good[:place] + noise + good[place + len(noise) :], good + noise):
        for parse in (parse_dmar, parse_ivrs):
            with contextlib.suppress(ValueError):
                assert len(list(parse(table))) <= len(table)
        direct_mappings("amd-vi" if of_amd else "vt-d", table, ALL)


def test_too_many() -> None:
    """Tables that name more than any board has are not known, in a short time."""
    many = ivrs(*[ivmd(0x20)] * 2000)
    functions = [function(f"0000:{bus:02x}:00.0") for bus in range(200)]
    assert len(many) <= LIMIT
    assert direct_mappings("amd-vi", many, functions) is None


CARD = "0000:01:00.0"
TABLES = "sys/firmware/acpi/tables"
# By the bus of the device itself, which the kernel understands too.
AUDIO = {f"{TABLES}/DMAR": dmar(rmrr(scope(1, (0, 1))))}


def seen(folder: Path, files: Mapping[str, Leaf]) -> Host:
    """The lab's node, its IOMMU off, with these files."""
    return inspect(grow(grow(folder, bare(APART)), files))


def direct(host: Host) -> list[Finding]:
    desired = resolve(host, (CARD,))
    findings = check(host, desired_cards(host, desired), desired=desired)
    return [finding for finding in findings if finding.rule == "WC160"]


def test_before_the_iommu_is_on(tmp_path: Path) -> None:
    """WC160 refuses a card while its IOMMU is off, for any of its functions that is no display."""
    host = seen(tmp_path, AUDIO)
    assert host.iommu.mappings == (
        DirectMapping("0000:01:00.1", "0x000000003ddc6000", "0x000000003dddefff", DIRECT),
    )
    (finding,) = direct(host)
    assert (finding.severity, finding.subject) == (Severity.ERROR, CARD)
    assert "for 0000:01:00.1 in the predicted IOMMU group" in finding.message
    assert "(ACPI table DMAR)" in finding.message
    with pytest.raises(RefusedError, match="cannot be bound"):
        plan(host, resolve(host, (CARD,)))


@pytest.mark.parametrize(
    "table",
    [dmar(), dmar(rmrr(scope(1, (0, 0)))), dmar(rmrr(scope(2, (0, 1))))],
    ids=["none", "the display's own", "another card's"],
)
def test_quiet(tmp_path: Path, table: bytes) -> None:
    """WC160 keeps still for a display's RMRR, which VFIO may ignore, and for other functions'."""
    host = seen(tmp_path, {f"{TABLES}/DMAR": table})
    assert host.iommu.mappings is not None
    assert direct(host) == []


def test_group_is_better(tmp_path: Path) -> None:
    """Where the IOMMU is on, the kernel's own groups say it, and no table is read."""
    grow(tmp_path, {**bare(APART, "on"), **AUDIO})
    reboot(tmp_path, APART, GROUPS_APART, ())
    host = inspect(tmp_path)
    assert (host.iommu.on, host.iommu.mappings, direct(host)) == (True, None, [])


def test_before_6_6(tmp_path: Path) -> None:
    """On AMD a kernel before 6.6 gives the card nevertheless: a warning, which plan shows."""
    (tmp_path / "x").mkdir()
    files: dict[str, Leaf] = {
        f"{TABLES}/IVRS": ivrs(ivmd(0x20)), f"{TABLES}/DMAR": "-> x",
        "proc/sys/kernel/osrelease": "6.1.0-18-amd64\n",
    }  # fmt: skip
    (finding,) = direct(seen(tmp_path, files))
    assert finding.severity is Severity.WARNING


def test_unread(tmp_path: Path) -> None:
    """A table without content, as in a snapshot of a user who is not root, is said to be unread."""
    host = seen(tmp_path, {f"{TABLES}/DMAR": ""})
    assert host.iommu.mappings is None
    assert host.unread[-1] == "the ACPI table DMAR: its content is missing or damaged"
    table = dmar(*[rmrr(*[scope(0, (1, 0))] * 5000)] * 2)
    large = seen(tmp_path / "large", {f"{TABLES}/DMAR": table})
    assert large.iommu.mappings is None


def test_snapshot(tmp_path: Path) -> None:
    """A snapshot has the tables, and the same facts."""
    host = seen(tmp_path / "root", AUDIO)
    save(tmp_path / "root", tmp_path / "host.tar")
    with open_snapshot(tmp_path / "host.tar") as root:
        assert inspect(root) == host
    assert Host.from_json(host.to_json()) == host


@pytest.mark.parametrize(
    ("vendor", "says"),
    [
        ("GenuineIntel", "no DMAR. VT-d is switched off"),
        ("AuthenticAMD", "no IVRS. AMD-Vi is switched off"),
        ("CentaurHauls", "no ACPI table DMAR or IVRS"),
    ],
)
def test_no_table(tmp_path: Path, vendor: str, says: str) -> None:
    """WC101 says which table is missing, and which switch that is, by the processor's maker."""
    cpu = f"processor\t: 0\nvendor_id\t: {vendor}\nflags\t\t: vmx svm\n"
    grow(tmp_path, {**bare(APART), "proc/cpuinfo": cpu})
    (tmp_path / TABLES / "DMAR").unlink()
    host = inspect(tmp_path)
    (finding,) = (finding for finding in check(host, ()) if finding.rule == "WC101")
    assert (host.iommu.acpi, says in finding.message) == (True, True)
    (tmp_path / TABLES).rmdir()
    (finding,) = (finding for finding in check(inspect(tmp_path), ()) if finding.rule == "WC101")
    assert "no ACPI table DMAR or IVRS" in finding.message
