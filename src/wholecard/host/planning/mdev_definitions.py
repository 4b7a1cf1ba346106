"""Mediated devices that the host makes, not nova: which ones, and mdevctl's files for them. Pure.

By default they are nova's: it makes one when a server asks for it. nova 30.3.0 and later define
each (`_create_mdev`, with autostart) and start all that are defined when nova-compute starts
(`_start_inactive_mediated_devices`); nova 27.5.1 makes those of its servers again
(`_recreate_assigned_mediated_devices`). A second owner of the same devices would be in its way. The
host makes them where the operator asks for it: to see at boot, and not when a server starts, that
the driver gives all of them, or for other users of libvirt beside nova. nova takes what exists and
no server has before it makes one (`_allocate_mdevs`, `_get_existing_mdevs_not_assigned`), and
counts both (`_count_mediated_devices`).

The files are mdevctl's own (mdevctl README, "Architecture": /etc/mdevctl.d/PARENT/UUID as JSON), so
libvirt and nova see the devices as defined, and mdevctl's udev rule starts them when the parent
comes. The UUIDs follow from host, parent, type and number: the same plan gives the same devices.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from wholecard.core import Action
from wholecard.host.card_split import CardSplit
from wholecard.host.facts.mediated_devices import DEFINED
from wholecard.host.facts.split_state import SplitState
from wholecard.host.operations.write_file import WriteFile

# Made once for this purpose.
_NAMESPACE = uuid.UUID("6d1f3c4e-9d0b-5c0e-8f5a-3b0c6a1d7e42")


@dataclass(frozen=True)
class Definition:
    """One mediated device."""

    parent: str
    type: str
    uuid: str

    @property
    def path(self) -> str:
        """mdevctl's file."""
        return f"/{DEFINED}/{self.parent}/{self.uuid}"

    @property
    def text(self) -> str:
        """As mdevctl writes it."""
        data = {"mdev_type": self.type, "start": "auto", "attrs": []}
        return f"{json.dumps(data, indent=2)}\n"


def is_mdev_parent(name: str, state: SplitState) -> bool:
    """Whether the driver offers mediated devices below this parent now."""
    return any(row.parent == name for row in state.offered.mdev_types)


def definitions(split: CardSplit, state: SplitState) -> Iterator[Definition]:
    """The devices that the host makes for this card; a VF is the parent of one."""
    if split.parts != "mdev" or split.made_by != "host":
        return
    pf = state.pf(split.card)
    own = not split.is_function or is_mdev_parent(split.card, state) or not pf.total
    names = [name for name, count in split.types for _ in range(count)]
    for index, name in enumerate(names):
        parent = split.card if own else pf.vf_address(index)
        number = names[:index].count(name)
        if parent:
            key = f"{state.salt}/{parent}/{name}/{number}"
            yield Definition(parent, name, str(uuid.uuid5(_NAMESPACE, key)))


def definition_files(split: CardSplit, state: SplitState) -> Iterator[Action]:
    """The files that mdevctl does not have yet."""
    present = dict(state.definitions)
    for definition in definitions(split, state):
        before = present.get(definition.path)
        if before != definition.text:
            yield Action(
                "write-file",
                definition.path,
                f"mdevctl knows the device, and starts it when {definition.parent} comes.",
                WriteFile(definition.path, definition.text, 0o644, before,
                          None if before is None else 0o644),
                "remove it" if before is None else "restore the former text",
            )  # fmt: skip
