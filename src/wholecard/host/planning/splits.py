"""From splits and what their cards are now to the actions that make the parts. Pure.

The same function plans for `apply`, for each boot and for `check`: where it has nothing to do, the
cards are split as requested. The order is the vendors': VFs that are in the way end, MIG comes
before VFs (NVIDIA/mig-parted issue 14), the mode for several sizes after VFs and before types, a
type is cleared before another is set.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from wholecard.core import Action, Operation
from wholecard.host.card_split import CardSplit
from wholecard.host.facts.split_state import PfState, SplitState
from wholecard.host.operations.bind_vf import BindVf
from wholecard.host.operations.load_module import LoadModule
from wholecard.host.operations.make_vfs import SRIOV_MANAGE, MakeVfs
from wholecard.host.operations.mig_instances import geometry_text
from wholecard.host.operations.mix_sizes import MixSizes
from wholecard.host.operations.operation import HostContext
from wholecard.host.operations.set_mig import SetMig
from wholecard.host.operations.set_scheduling import FOR_ALL, SetScheduling
from wholecard.host.operations.set_vgpu_type import NONE, SetVgpuType
from wholecard.host.operations.start_mdev import StartMdev
from wholecard.host.planning.mdev_definitions import Definition, definitions, is_mdev_parent
from wholecard.pci.vfio_drivers import PCI_STUB, VFIO_PCI, module_of

NVIDIA, AMD = "10de", "1002"


def split_actions(split: CardSplit, state: SplitState) -> tuple[Action, ...]:
    """What gives one card its parts, as it is now; empty where it has them."""
    pf = state.pf(split.card)
    mig = _mig(split, state)
    makes_vfs = split.is_function and wanted_vfs(split, state) > 0
    actions: list[Action] = []
    fresh = makes_vfs and pf.vendor != AMD and (pf.count != wanted_vfs(split, state) or bool(mig))
    if (fresh or mig) and pf.count:
        actions += _ending(pf, state)
    actions += mig
    if fresh:
        actions.append(_making(split, pf, wanted_vfs(split, state)))
    if split.parts == "vfs":
        actions += _of_vfs(split, pf, state, fresh)
    elif split.made_by == "host":
        actions += _mdevs(split, state)
    return tuple(actions)


def wanted_vfs(split: CardSplit, state: SplitState) -> int:
    """How many VFs the card must have: NVIDIA's script makes all of them.

    A card that is the parent of its mediated devices itself needs none.
    """
    pf = state.pf(split.card)
    if split.parts == "mdev":
        return 0 if is_mdev_parent(split.card, state) else pf.total
    return pf.total if pf.vendor == NVIDIA and pf.total else split.vfs


def is_ready(split: CardSplit, state: SplitState) -> bool:
    """Whether the card can be split now: its own driver has it, not one that is for guests."""
    pf = state.pf(split.card)
    if not split.is_function:
        return is_mdev_parent(split.card, state)
    return pf.present and pf.driver not in (None, VFIO_PCI, PCI_STUB)


def _mig(split: CardSplit, state: SplitState) -> list[Action]:
    if split.way != "mig":
        return []
    mig = next((mig for mig in state.mig if mig.card == split.card), None)
    present = mig.instances if mig is not None and mig.mode else None
    if geometry_text(present) == geometry_text(split.geometry):
        return []
    return [_action(SetMig(split.card, split.geometry, present), split.card,
                    "MIG instances are gone after each boot; they come before VFs.",
                    f"give back: {geometry_text(present)}")]  # fmt: skip


def _ending(pf: PfState, state: SplitState) -> Iterator[Action]:
    """VFs that end lose types and drivers first, so that undoing it gives these back."""
    typed = {vf.address: vf.current for vf in state.offered.typed_vfs}
    bound = [vf for vf in pf.vfs if vf.override]
    for vf in pf.vfs:
        if typed.get(vf.address):
            yield _type(pf, vf.index, "", str(typed[vf.address]))
    for vf in bound:
        yield _action(BindVf(pf.address, vf.index, ""), f"{pf.address} VF {vf.index}",
                      "The VF ends.", f"bind it to {vf.driver or 'no driver'} again")  # fmt: skip
    tool = SRIOV_MANAGE if pf.vendor == NVIDIA else ""
    yield _action(
        MakeVfs(pf.address, 0, pf.count, probe=not bound, tool=tool),
        pf.address,
        f"The {pf.count} VFs that it has end first: the kernel changes the number only from 0.",
        f"make {pf.count} VFs again",
    )


def _making(split: CardSplit, pf: PfState, count: int) -> Action:
    is_typed = bool(split.types) or split.parts == "mdev"
    tool = SRIOV_MANAGE if pf.vendor == NVIDIA else ""
    return _action(
        MakeVfs(pf.address, count, 0, is_typed, tool, again=bool(pf.count)),
        pf.address,
        f"The card is given as {count} VFs; they are gone after each boot.",
        "end them",
    )


def _of_vfs(split: CardSplit, pf: PfState, state: SplitState, fresh: bool) -> Iterator[Action]:
    types = list(_types(split, pf, state, fresh))
    if split.mixed_sizes and types:
        yield _action(MixSizes(pf.address), pf.address, "Its vGPUs have several sizes.",
                      "none: the mode ends with the VFs")  # fmt: skip
    yield from types
    yield from _scheduling(split, pf, fresh)
    yield from _drivers(split, pf, fresh)


def _types(split: CardSplit, pf: PfState, state: SplitState, fresh: bool) -> Iterator[Action]:
    """Types that are right stay; the others are cleared first, for they take up room."""
    typed = {vf.address: vf.current for vf in state.offered.typed_vfs}
    current = {} if fresh else {vf.index: typed.get(vf.address) or 0 for vf in pf.vfs}
    kept, left = _right_types(split, state, current)
    wrong = {index: type_id for index, type_id in current.items() if type_id and index not in kept}
    for index, type_id in wrong.items() if split.types else ():
        yield _type(pf, index, "", str(type_id))
    free = (index for index in range(wanted_vfs(split, state)) if index not in kept)
    for index, name in zip(free, left.elements()):
        yield _type(pf, index, name, NONE)


def _right_types(
    split: CardSplit, state: SplitState, current: Mapping[int, int]
) -> tuple[set[int], Counter[str]]:
    """The VFs whose types are requested, and how many of each type are to be set yet.

    Only the first VFs count, as many as types are requested: nova is told of those
    (`nova/desired/vf_slices.py`), and a type on a later one would be given to nobody.
    """
    left, kept = Counter(dict(split.types)), set()
    names = {state.type_id(name): name for name in left}
    first = sum(left.values())
    for index, type_id in current.items():
        name = names.get(type_id, "")
        if type_id and index < first and left[name] > 0:
            left[name] -= 1
            kept.add(index)
    return kept, left


def _type(pf: PfState, index: int, name: str, before: str) -> Action:
    reason = f"Servers get VFs of the type {name}." if name else "The type was not asked for."
    undo = f"set the type {before} again" if before != NONE else "clear it"
    return _action(
        SetVgpuType(pf.address, index, name, before), f"{pf.address} VF {index}", reason, undo
    )


def _scheduling(split: CardSplit, pf: PfState, fresh: bool) -> Iterator[Action]:
    for index in range(split.vfs):
        present = dict(pf.scheduling[index]) if index < len(pf.scheduling) else {}
        for name, value in split.scheduling:
            if (fresh or present.get(name) != value) and not (index and name in FOR_ALL):
                yield _action(SetScheduling(pf.address, index, name, value, present.get(name, "")),
                              f"{pf.address} VF {index} {name}",
                              "xe forgets it when VFs end.", "set the former value")  # fmt: skip


def vf_driver(split: CardSplit, pf: PfState) -> str:
    """The driver to which VFs are bound; empty where they stay with the one of their PF."""
    driver = split.driver or ("" if split.types else VFIO_PCI)
    return "" if driver == pf.driver else driver


def _drivers(split: CardSplit, pf: PfState, fresh: bool) -> Iterator[Action]:
    driver = vf_driver(split, pf)
    bound = {} if fresh else {vf.index: (vf.driver, vf.override) for vf in pf.vfs}
    indices = [index for index in range(split.vfs) if driver and bound.get(index) != (driver,) * 2]
    if indices:
        yield _action(LoadModule(module_of(driver)), module_of(driver),
                      "A driver must be loaded before it can bind a function.",
                      "none: it stays loaded until the host is rebooted")  # fmt: skip
    for index in indices:
        yield _action(BindVf(pf.address, index, driver), f"{pf.address} VF {index}",
                      f"{driver} gives the VF to a server.", "bind it as before")  # fmt: skip


def _mdevs(split: CardSplit, state: SplitState) -> Iterator[Action]:
    active = {mdev.uuid for mdev in state.mdevs if mdev.active}
    for definition in definitions(split, state):
        if definition.uuid not in active:
            yield _action(_start(definition), definition.uuid,
                          f"A mediated device of {definition.parent} for a server.",
                          "end it")  # fmt: skip


def _start(definition: Definition) -> StartMdev:
    return StartMdev(definition.uuid, definition.parent, definition.type)


def _action(do: Operation[HostContext], subject: str, reason: str, undo: str) -> Action:
    return Action(kind=do.kind, subject=subject, reason=reason, do=do, undo=undo)
