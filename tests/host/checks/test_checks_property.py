"""Over generated hosts, with whatever facts are missing or odd, check keeps its promises."""

from __future__ import annotations

import json
import string
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from wholecard.core import Severity
from wholecard.core.report_text import findings_text
from wholecard.host.checks.registry import check
from wholecard.host.config_files import FOREIGN, FileText, Settings
from wholecard.host.desired_state import DesiredState, HugePages
from wholecard.host.facts.host import (
    Boot,
    Cpu,
    Framebuffer,
    Host,
    HugePagePool,
    Iommu,
    KernelUse,
    Memory,
)
from wholecard.pci import Address, Function, IommuGroup, find_cards

HEX = st.sampled_from(["", "10de", "2330", "1a03", "2000", "ffff", "1234", "1111", "1002", "8086"])
CLASSES = st.sampled_from(
    ["", "030000", "030200", "040300", "060400", "0c0330", "ffffff", "120000"]
)
DRIVERS = st.sampled_from([None, "vfio-pci", "pci-stub", "nouveau", "snd_hda_intel", "pcieport"])
MODULES = st.lists(st.sampled_from(["nouveau", "vfio_pci", "xhci_pci", "pci_stub"]), unique=True)
SIZES = st.sampled_from([0, 1, 4096, 1 << 24, 1 << 28, 1 << 31, 1 << 37, (1 << 64) - 1])
LANES = st.none() | st.integers(0, 64)
SPEEDS = st.none() | st.sampled_from([0.0, 2.5, 16.0, 32.0])
ADDRESSES = st.builds(
    Address,
    st.sampled_from([0, 1, 0xFFFF, 0x10000]),
    st.integers(0, 4),
    st.integers(0, 2),
    st.integers(0, 2),
)
WORDS = st.sampled_from(
    [
        "vfio-pci.ids=10de:2330",
        "vfio-pci.ids=,,:::x",
        "vfio-pci.ids=10de:2330:ffffffff:ffffffff:zz:0",
        "intel_iommu=on",
        "intel_iommu=off",
        "iommu=off",
        "amd_iommu=on",
        "quiet",
        "=",
        '"',
        'a="b',
        "vfio_iommu_type1.allow_unsafe_interrupts",
    ]
)
LINES = st.lists(WORDS, max_size=6).map(" ".join)
TEXTS = st.lists(
    st.sampled_from(
        [
            "options vfio-pci ids=10de:2330",
            "options vfio_iommu_type1 allow_unsafe_interrupts=1",
            "softdep nouveau pre: vfio-pci",
            "softdep",
            "options \\",
            "vfio_virqfd",
            'add_drivers+=" nouveau vfio_virqfd "',
            "\udcff",
        ]
    )
    | st.text(string.printable, max_size=12)
).map("\n".join)
RELEASES = st.sampled_from(["", "6.12.1-amd64", "5.14.0-503.el9", "3.10.0", "x.y", "99999.1"])
BYTES = st.sampled_from([0, 1, 1 << 30, 1 << 38, 1 << 41])


@st.composite
def functions(draw: Any) -> tuple[Function, ...]:
    """Up to eight functions, anything of each missing or odd."""
    made = st.builds(
        Function,
        address=ADDRESSES,
        vendor=HEX,
        device=HEX,
        subsystem_vendor=HEX,
        class_code=CLASSES,
        driver=DRIVERS,
        driver_module=st.none() | st.just("nouveau"),
        modules=MODULES.map(tuple),
        iommu_group=st.none() | st.integers(0, 3),
        numa_node=st.none() | st.integers(0, 2),
        boot_vga=st.booleans(),
        bars=st.lists(SIZES, max_size=6).map(tuple),
        bar_starts=st.lists(SIZES, max_size=6).map(tuple),
        parents=st.lists(ADDRESSES, max_size=2).map(tuple),
        physfn=st.none() | ADDRESSES,
        link_speed=SPEEDS,
        link_speed_max=SPEEDS,
        link_width=LANES,
        link_width_max=LANES,
        sriov_vfs=st.integers(0, 2),
        reset_methods=st.none()
        | st.lists(st.sampled_from(["flr", "bus", "pm"]), unique=True).map(tuple),
        power=st.sampled_from(["", "active", "suspended", "error"]),
    )
    unique = {each.address: each for each in draw(st.lists(made, max_size=8))}
    return tuple(unique[address] for address in sorted(unique))


@st.composite
def hosts(draw: Any) -> Host:
    """Hosts whose records fit together and whose facts need not."""
    found = draw(functions())
    numbers = sorted({each.iommu_group for each in found if each.iommu_group is not None})
    groups = tuple(
        IommuGroup(number, tuple(each for each in found if each.iommu_group == number))
        for number in numbers
    )
    texts = [str(each.address) for each in found]
    addresses = st.sampled_from([*texts, "0000:09:00.0", "x"])
    foreign = [
        FileText("/" + pattern.replace("*", "x"), text)
        for pattern, text in zip(FOREIGN, draw(st.lists(st.none() | TEXTS, max_size=6)))
    ]
    pool = st.builds(HugePagePool, BYTES, st.integers(0, 9), st.just(0), st.none() | st.just(1))
    return Host(
        functions=found,
        cards=find_cards(found, groups),
        groups=groups,
        groups_predicted=draw(st.booleans()),
        iommu=draw(
            st.builds(
                Iommu,
                st.sampled_from([None, "vt-d", "amd-vi"]),
                st.booleans(),
                st.none() | st.booleans(),
            )
        ),
        boot=draw(
            st.builds(
                Boot,
                release=RELEASES,
                command_line=LINES,
                boot_id=st.just("one"),
                loader=st.none(),
                initramfs=st.none(),
                builtin=MODULES.map(tuple),
                missing=MODULES.map(tuple),
                next_command_line=st.none() | LINES,
                secure_boot=st.none() | st.booleans(),
                distribution=st.sampled_from(["", "debian 13", "ubuntu 24.04", "rocky 9.5"]),
            )
        ),
        settings=Settings(foreign=tuple(foreign)),
        cpu=Cpu(
            vendor=draw(st.sampled_from(["", "GenuineIntel", "AuthenticAMD"])),
            physical_bits=draw(st.none() | st.integers(32, 52)),
            nodes=tuple((node, "") for node in range(draw(st.integers(0, 3)))),
        ),
        memory=Memory(
            total=draw(BYTES),
            hugepages=tuple(draw(st.lists(pool, max_size=4))),
            memlock=draw(st.none() | st.sampled_from([-1, 0, 1 << 26])),
        ),
        framebuffers=tuple(
            Framebuffer("efifb", each) for each in draw(st.lists(addresses, max_size=2))
        ),
        uses=tuple(
            KernelUse(each, "disk", "sda") for each in draw(st.lists(addresses, max_size=2))
        ),
    )


@settings(max_examples=100)
@given(st.data())
def test_check_keeps_its_promises(data: st.DataObject) -> None:
    """check raises nothing, says the same twice, sorts by rule, and mends all but its notes."""
    host = data.draw(hosts())
    cards = tuple(card for card in host.cards if data.draw(st.booleans()))
    addresses = st.sampled_from([*(str(each.address) for each in host.functions), "x", "00:1f.7"])
    desired = DesiredState(
        tuple(card.slot for card in cards),
        companions=tuple(data.draw(st.lists(addresses, max_size=2))),
        parked=tuple(data.draw(st.lists(addresses, max_size=2))),
        hugepages=tuple(
            HugePages(size, 3) for size in data.draw(st.lists(st.sampled_from(["1G", "", "9Q"])))
        ),
    )
    findings = check(host, cards, desired=desired)
    assert findings == check(host, cards, desired=desired)
    assert [each.rule for each in findings] == sorted(each.rule for each in findings)
    assert all(each.fix for each in findings if each.severity is not Severity.NOTE)
    assert all(each.message and each.subject for each in findings)
    assert findings_text(findings)
    json.dumps([each.to_json() for each in findings])
    # Without a desired state no check raises.
    check(host, cards)


@settings(max_examples=30)
@given(hosts())
def test_a_host_comes_back_with_its_findings(host: Host) -> None:
    """A host that went through JSON has the findings that it had."""
    back = Host.from_json(json.loads(json.dumps(host.to_json())))
    assert check(back, back.cards) == check(host, host.cards)
