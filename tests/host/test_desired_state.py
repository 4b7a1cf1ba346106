"""Wishes: what a person typed or wrote, held against the host."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.nodes import APART, GROUPS_APART, bare, with_groups
from support.tree import grow
from wholecard.core import RefusedError, UsageError, WholecardError
from wholecard.host.desired_state import DesiredState, HugePages, read_desired_state, resolve
from wholecard.host.facts.host import Cpu, Host, KernelUse
from wholecard.host.facts.inspect import inspect
from wholecard.host.planning.device_bindings import bound_functions, claims
from wholecard.host.planning.plan import plan
from wholecard.pci import Address

FIRST = "0000:01:00"
NETWORK = "0000:00:04.0"
WHOLE = DesiredState(
    (FIRST,),
    companions=(NETWORK,),
    parked=("0000:02:00.0", "0000:02:00.1"),
    hugepages=(HugePages("1G", 64), HugePages("2M", 512)),
    isolated_cpus="2-31",
    loader="grub",
    initramfs="dracut",
    blacklist=("nouveau",),
)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """The bare node, with the CPUs of two NUMA nodes."""
    found = inspect(grow(tmp_path / "root", bare(APART)))
    return dataclasses.replace(found, cpu=Cpu(nodes=((0, "0-3"), (1, "4-7"))))


def test_json() -> None:
    """A desired state goes through JSON and comes back; keys may be left out."""
    data = json.loads(json.dumps(WHOLE.to_json()))
    assert data["schema"] == 1
    assert data["hugepages"] == ["1G:64", "2M:512"]
    assert DesiredState.from_json(data) == WHOLE
    assert DesiredState.from_json({}) == DesiredState(())


@pytest.mark.parametrize(
    ("data", "brief", "resolution"),
    [
        ([], "JSON object", "cards"),
        ({"card": []}, "no key 'card'", "Did you mean 'cards'?"),
        ({"huge_pages": []}, "no key 'huge_pages'", "Did you mean 'hugepages'?"),
        ({"zzz": 1}, "no key 'zzz'", "Leave it out."),
        ({"cards": "0000:01:00"}, "cards is '0000:01:00', not a list", '"cards"'),
        ({"parked": [1]}, "not a list of strings", '"parked"'),
        ({"loader": 3}, "loader is 3, not a string", '"loader"'),
        ({"hugepages": ["64"]}, "is not a size and a count", "1G:64"),
        ({"schema": 2}, "schema 2, not 1", "release"),
    ],
)
def test_bad_json(data: Any, brief: str, resolution: str) -> None:
    """A wrong key or value is one error that names it and the nearest right one."""
    with pytest.raises(UsageError, match=brief) as caught:
        DesiredState.from_json(data)
    assert resolution in caught.value.resolution


@pytest.mark.parametrize("text", ["{", "\x00", '{"card": []}', None])
def test_bad_file(tmp_path: Path, text: str | None) -> None:
    """A file that is none or broken is an error that names it."""
    path = tmp_path / "gpu-01.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError, match=r"gpu-01\.json"):
        read_desired_state(path)


def test_resolved(host: Host) -> None:
    """Addresses become cards and full addresses, and the rest of the desired state stays."""
    asked = DesiredState((), companions=("00:04.0",), parked=("0000:02:00.1",), isolated_cpus="2-7")
    found = resolve(host, ["0000:01:00.1"], asked=asked)
    assert found == DesiredState(
        (FIRST,), companions=(NETWORK,), parked=("0000:02:00.1",), isolated_cpus="2-7"
    )


BAD: list[tuple[DesiredState, str]] = [
    (DesiredState((), companions=("0000:09:00.0",)), "no function at 0000:09:00.0"),
    (DesiredState((), companions=("0000:00:02.0",)), "0000:00:02.0 is a bridge"),
    (DesiredState((), parked=("0000:00:02.0",)), "0000:00:02.0 is a bridge"),
    (DesiredState((), parked=("0000:01:00.1",)), "part of the selected card 0000:01:00"),
    (
        DesiredState((), companions=("0000:02:00.0",)),
        "part of the card 0000:02:00 and cannot be a companion",
    ),
    (
        DesiredState((), companions=(NETWORK,), parked=(NETWORK,)),
        "named as a companion and as parked",
    ),
    (DesiredState((), loader="grubby"), "no boot loader grubby"),
    (DesiredState((), initramfs="dracut"), "no initramfs tool dracut"),
    (DesiredState((), isolated_cpus="2-8"), "no CPU 8"),
    (DesiredState((), isolated_cpus="0-7"), "every CPU"),
    (DesiredState((), isolated_cpus="all"), "not a list of CPUs"),
    (
        DesiredState((), hugepages=(HugePages("1G", 1), HugePages("1G", 2))),
        "1G are requested twice",
    ),
]


@pytest.mark.parametrize(("asked", "brief"), BAD, ids=[brief for _, brief in BAD])
def test_cannot_be(host: Host, asked: DesiredState, brief: str) -> None:
    """What the host cannot do is one error, called wrongly, with what there is."""
    with pytest.raises(UsageError, match=brief) as caught:
        resolve(host, [FIRST], asked=asked)
    assert caught.value.resolution


def test_absent_tool_lists_what_is_there(host: Host) -> None:
    """Naming an absent tool shows the ones that are there."""
    with pytest.raises(UsageError) as caught:
        resolve(host, [FIRST], asked=DesiredState((), loader="systemd-boot"))
    assert caught.value.details == "It has: grub."


def test_bound(host: Host) -> None:
    """Cards and companions go to vfio-pci, parked functions to pci-stub, by address."""
    asked = DesiredState((), companions=(NETWORK,), parked=("0000:02:00.0", "0000:02:00.1"))
    found = claims(host, resolve(host, [FIRST], asked=asked))
    assert [(claim.path, claim.driver) for claim in found] == [
        ("0000:00/04.0", "vfio-pci"),
        ("0000:00/02.0/00.0", "vfio-pci"),
        ("0000:00/02.0/00.1", "vfio-pci"),
        ("0000:00/03.0/00.0", "pci-stub"),
        ("0000:00/03.0/00.1", "pci-stub"),
    ]


@pytest.mark.parametrize("kind", ["disk", "network", "default-route"])
@pytest.mark.parametrize(
    "asked", [DesiredState((), companions=(NETWORK,)), DesiredState((), parked=(NETWORK,))]
)
def test_used(host: Host, asked: DesiredState, kind: str) -> None:
    """A function that the host itself uses is refused (WC131), and not when it is left alone."""
    used = dataclasses.replace(host, uses=(KernelUse(NETWORK, kind, "eth0"),))
    with pytest.raises(RefusedError, match="these functions cannot be bound") as caught:
        plan(used, resolve(used, [FIRST], asked=asked))
    assert [finding.rule for finding in caught.value.findings] == ["WC131"]
    assert plan(used, resolve(used, [FIRST])).actions


def test_neither_bridge_nor_nothing(host: Host) -> None:
    """A desired state that was not resolved on the host is refused as well (WC142)."""
    for address in ("0000:00:02.0", "0000:09:00.0"):
        with pytest.raises(RefusedError) as caught:
            bound_functions(host, DesiredState((FIRST,), parked=(address,)))
        assert [finding.rule for finding in caught.value.findings] == ["WC142"]


Grown = Callable[[dict[int, list[str]]], Host]


@pytest.fixture
def grown(tmp_path: Path) -> Grown:
    """The node with its IOMMU on and groups as given."""

    def make(groups: dict[int, list[str]]) -> Host:
        return inspect(grow(tmp_path / "groups", with_groups(bare(APART), groups)))

    return make


def test_companion_in_the_group(grown: Grown) -> None:
    """A companion in the card's group is WC104 until it is named, as companion or as parked."""
    host = grown({**GROUPS_APART, 10: [*GROUPS_APART[10], NETWORK]})
    with pytest.raises(RefusedError) as caught:
        plan(host, resolve(host, [FIRST]))
    assert [finding.rule for finding in caught.value.findings] == ["WC104"]
    assert plan(host, resolve(host, [FIRST], asked=DesiredState((), companions=(NETWORK,)))).actions
    assert plan(host, resolve(host, [FIRST], asked=DesiredState((), parked=(NETWORK,)))).actions


def test_group_of_a_companion(grown: Grown) -> None:
    """A companion's own group is not torn apart either (WC104); a parked function's may be."""
    host = grown({**GROUPS_APART, 9: [NETWORK, "0000:00:01.0"]})
    with pytest.raises(RefusedError) as caught:
        plan(host, resolve(host, [FIRST], asked=DesiredState((), companions=(NETWORK,))))
    assert [(each.rule, each.subject) for each in caught.value.findings] == [
        ("WC104", "0000:00:01.0")
    ]
    assert "--card 0000:00:01.0" in caught.value.resolution
    assert plan(host, resolve(host, [FIRST], asked=DesiredState((), parked=(NETWORK,)))).actions


def test_kernel_without_the_driver(host: Host) -> None:
    """A kernel that has no pci-stub cannot park; without parking it does not matter."""
    boot = dataclasses.replace(host.boot, missing=("pci_stub",))
    lacking = dataclasses.replace(host, boot=boot)
    with pytest.raises(WholecardError, match="has no pci-stub"):
        plan(lacking, resolve(lacking, [FIRST], asked=DesiredState((), parked=("0000:02:00.1",))))
    assert plan(lacking, resolve(lacking, [FIRST])).actions


def test_blacklist(host: Host) -> None:
    """Modules that the site never wants are blacklisted, and only those."""
    made = plan(host, resolve(host, [FIRST], asked=DesiredState((), blacklist=("nouveau",))))
    assert "\n+blacklist nouveau\n" in f"{made}".replace("   +", "+")
    assert "blacklist" not in f"{plan(host, resolve(host, [FIRST]))}"


@pytest.mark.parametrize("role", ["companions", "parked"])
def test_vf(host: Host, role: str) -> None:
    """A VF does not exist when the initramfs binds, so it is no companion and is not parked."""
    vf = dataclasses.replace(
        host.functions[0], address=Address(0, 5, 0, 2), physfn=Address(0, 5, 0, 0)
    )
    with_vf = dataclasses.replace(host, functions=(*host.functions, vf))
    desired = DesiredState.from_json({"cards": [FIRST], role: ["0000:05:00.2"]})
    with pytest.raises(UsageError, match=r"0000:05:00.2 is a VF") as caught:
        resolve(with_vf, [], asked=desired)
    assert "PF 0000:05:00.0" in caught.value.resolution
    with pytest.raises(RefusedError) as refused:
        bound_functions(with_vf, desired)
    assert ("WC142", "0000:05:00.2") in [(f.rule, f.subject) for f in refused.value.findings]
