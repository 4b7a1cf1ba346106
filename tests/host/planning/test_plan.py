"""Plans: pure, whole, and refused before anything is touched."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.golden import compare
from support.nodes import APART, bare
from support.tree import grow, snapshot
from wholecard.core import Plan, RefusedError, WholecardError
from wholecard.host.config_files import TABLE, FileText, Settings
from wholecard.host.desired_state import DesiredState, resolve
from wholecard.host.facts.host import Boot, Host, Iommu, KernelUse
from wholecard.host.facts.inspect import inspect
from wholecard.host.operations.registry import plan_from_json
from wholecard.host.operations.write_file import WriteFile
from wholecard.host.planning.plan import plan
from wholecard.pci import Address, Function, IommuGroup, find_cards


def bound(made: Plan) -> set[str]:
    """The addresses in the plan's table."""
    (table,) = (
        action.do.content
        for action in made.actions
        if isinstance(action.do, WriteFile) and action.subject == TABLE
    )
    return {line.split()[1] for line in table.splitlines() if not line.startswith("#")}


def test_printed(apart: Path) -> None:
    """The plan for a bare node with both cards prints as this."""
    host = inspect(apart)
    compare("plan.txt", f"{plan(host, resolve(host, [], all_cards=True))}\n")


def test_pure(apart: Path) -> None:
    """Planning touches nothing, and the same facts give an equal plan, also through JSON."""
    before = snapshot(apart)
    host = inspect(apart)
    desired = resolve(host, ["0000:01:00.0"])
    made = plan(host, desired)
    assert snapshot(apart) == before
    again = Host.from_json(json.loads(json.dumps(host.to_json())))
    assert plan(again, desired) == made
    assert plan_from_json(json.loads(json.dumps(made.to_json()))) == made


def test_order(apart: Path) -> None:
    """Files come first, then the initramfs, then GRUB; a reboot is needed."""
    host = inspect(apart)
    made = plan(host, resolve(host, [], all_cards=True))
    kinds = [action.kind for action in made.actions]
    assert kinds == ["write-file"] * 6 + ["run-tool"] * 2
    assert [action.subject for action in made.actions[-2:]] == ["update-initramfs", "update-grub"]
    assert made.reboot_needed


def test_whole_card(apart: Path) -> None:
    """A card named by one function is bound with all its functions, and no other card."""
    host = inspect(apart)
    made = plan(host, resolve(host, ["0000:01:00.1"]))
    assert bound(made) == {"0000:01:00.0", "0000:01:00.1"}


def test_refused(together: Path) -> None:
    """One card of a shared group is refused, naming the other and the fix."""
    host = inspect(together)
    with pytest.raises(RefusedError) as caught:
        plan(host, resolve(host, ["0000:02:01.0"]))
    assert caught.value.exit_code == 1
    assert [finding.rule for finding in caught.value.findings] == ["WC107"]
    assert "--card 0000:02:01.0 --card 0000:02:02.0" in caught.value.resolution


def test_both(together: Path) -> None:
    """Both cards of a shared group are given together, the bridge not bound."""
    host = inspect(together)
    made = plan(host, resolve(host, ["0000:02:01.0", "0000:02:02.0"]))
    assert bound(made) == {"0000:02:01.0", "0000:02:01.1", "0000:02:02.0", "0000:02:02.1"}


def without(host: Host, **changes: object) -> Host:
    return dataclasses.replace(host, boot=dataclasses.replace(host.boot, **changes))  # type: ignore[arg-type]


def test_unknown_hosts(apart: Path) -> None:
    """A host without IOMMU, boot loader or initramfs tool, or without the card, is an error."""
    host = inspect(apart)
    desired = resolve(host, ["0000:01:00.0"])
    no_iommu = dataclasses.replace(host, iommu=Iommu(None, on=False))
    for changed, brief in [
        (no_iommu, "no IOMMU"),
        (without(host, loader=None), "no boot loader"),
        (without(host, initramfs=None), "no initramfs tool"),
        (dataclasses.replace(host, cards=()), "no such card"),
    ]:
        with pytest.raises(WholecardError, match=brief):
            plan(changed, desired)


def test_no_ids(tmp_path: Path) -> None:
    """A function whose ids cannot be read is not planned for."""
    grow(tmp_path, {**bare(APART), "sys/devices/pci0000:00/0000:00:02.0/0000:01:00.1/vendor": "?"})
    host = inspect(tmp_path)
    with pytest.raises(WholecardError, match=r"no vendor or device id.*0000:01:00\.1"):
        plan(host, resolve(host, ["0000:01:00.0"]))


def test_link_refused(tmp_path: Path) -> None:
    """A file that is a symbolic link is an error, not written through."""
    grow(tmp_path, {**bare(APART), "etc/default/grub": "-> grub.real"})
    with pytest.raises(WholecardError, match="symbolic link"):
        inspect(tmp_path)


@st.composite
def hosts(draw: st.DrawFn) -> Host:
    """Hosts of a few slots with any classes, drivers and groups."""
    functions = []
    for bus in range(draw(st.integers(1, 4))):
        for number in range(draw(st.integers(1, 3))):
            functions.append(
                Function(
                    Address(0, bus, 0, number),
                    vendor=draw(st.sampled_from(["10de", "1002", ""])),
                    device="1eb8",
                    class_code=draw(st.sampled_from(["030000", "040300", "060400", "020000"])),
                    driver=draw(st.sampled_from([None, "vfio-pci", "nouveau"])),
                )
            )
    numbers = [draw(st.integers(0, 3)) for _ in functions]
    groups = tuple(
        IommuGroup(number, tuple(f for f, n in zip(functions, numbers) if n == number))
        for number in sorted(set(numbers))
    )
    used = draw(st.sets(st.sampled_from([str(each.address) for each in functions]), max_size=2))
    return Host(
        uses=tuple(KernelUse(address, "disk", "/dev/sda2 at /") for address in sorted(used)),
        functions=tuple(functions),
        cards=find_cards(functions, groups),
        groups=groups,
        groups_predicted=draw(st.booleans()),
        iommu=Iommu(draw(st.sampled_from(["vt-d", "amd-vi"])), on=True),
        boot=Boot("6.12", "", "x", "grub", "initramfs-tools"),
        settings=Settings((FileText("/etc/default/grub", 'GRUB_CMDLINE_LINUX="a"\n'),)),
    )


@given(hosts(), st.data())
def test_whole_or_nothing(host: Host, data: st.DataObject) -> None:
    """No plan binds a bridge or what the host uses; every endpoint of a given group is bound.

    Else it is refused.
    """
    slots = sorted(card.slot for card in host.cards)
    if not slots:
        return
    everywhere = st.sets(st.sampled_from([str(each.address) for each in host.functions]))
    desired = DesiredState(
        tuple(sorted(data.draw(st.sets(st.sampled_from(slots), min_size=1)))),
        companions=tuple(sorted(data.draw(everywhere))),
        parked=tuple(sorted(data.draw(everywhere))) if data.draw(st.booleans()) else (),
    )
    try:
        addresses = bound(plan(host, desired))
    except WholecardError:
        return
    bridges = {str(each.address) for each in host.functions if each.is_bridge}
    assert not addresses & (bridges | {use.address for use in host.uses})
    for group in host.groups:
        endpoints = {str(each.address) for each in group.endpoints}
        given = endpoints & addresses - {*desired.parked}
        assert not given or endpoints <= addresses
