"""What differs since a plan was applied: each file, each output of a tool, each binding."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wholecard.host.operations.bind_driver import BindDriver, driver_of
from wholecard.host.operations.registry import operation_of
from wholecard.host.operations.run_tool import RunTool
from wholecard.host.operations.write_file import WriteFile, diff, text_digest
from wholecard.pci.sysfs import DEVICES
from wholecard.transaction.atomic_files import expand, state_of, under

if TYPE_CHECKING:
    from wholecard.host.changing.journal import HostJournalEntry

AS_APPLIED = "as-applied"
EDITED = "edited"
CHANGED = "changed"
GONE = "gone"
NEW = "new"
UNREADABLE = "unreadable"


@dataclass(frozen=True)
class Drift:
    """How one thing stands that a journal left.

    `kind` is `file`, `output` or `binding`; `state` is `as-applied`, `edited` (a file, with its
    diff in `detail`), `changed` (an output or a binding, by somebody since), `gone`, `new` (an
    output that came since) or `unreadable`.
    """

    journal: str
    kind: str
    subject: str
    state: str
    detail: str = ""

    def to_json(self) -> dict[str, str]:
        """The five fields by name."""
        return dict(self.__dict__)


def drift(root: Path, standing: Sequence[HostJournalEntry]) -> tuple[Drift, ...]:
    """Everything that the journals `standing`, oldest first, left and that is to be so still.

    What a later journal left anew is compared with that one alone.
    """
    found: dict[str, Drift] = {}
    for entry in standing:
        for each in _of_entry(root, entry):
            found[each.subject] = each
    return tuple(found[subject] for subject in sorted(found))


def _of_entry(root: Path, entry: HostJournalEntry) -> Iterator[Drift]:
    undone = entry.actions_with("undone")
    actions = entry.read().plan.actions
    for place, record in sorted(entry.actions_with("done").items()):
        if place in undone or not 0 <= place < len(actions):
            continue
        operation = operation_of(actions[place])
        if isinstance(operation, WriteFile):
            yield _file(root, entry.id, operation, record)
        elif isinstance(operation, RunTool):
            yield from _outputs(root, entry.id, operation, record)
        elif isinstance(operation, BindDriver):
            yield _binding(root, entry.id, operation)


def _file(root: Path, journal: str, operation: WriteFile, record: dict[str, Any]) -> Drift:
    place = under(root, operation.path)

    def said(state: str, detail: str = "") -> Drift:
        return Drift(journal, "file", operation.path, state, detail)

    try:
        state = state_of(place)
        if state is None:
            return said(GONE)
        if state == text_digest(operation.content):
            mode = stat.S_IMODE(place.lstat().st_mode)
            wanted = record.get("mode", operation.mode)
            return (
                said(AS_APPLIED)
                if mode == wanted
                else said(EDITED, f"mode {mode:04o}, not {wanted:04o}")
            )
        if state.startswith("-> ") or state == "special":
            return said(EDITED, f"no plain file: {state}")
        now = place.read_bytes().decode("utf-8", "surrogateescape")
        return said(EDITED, diff(operation.content, now, operation.path))
    except OSError as error:
        return said(UNREADABLE, str(error.strerror))


def _outputs(
    root: Path, journal: str, operation: RunTool, record: dict[str, Any]
) -> Iterator[Drift]:
    left: dict[str, str | None] = record.get("after", {})
    for path in sorted({*left, *expand(root, operation.outputs)}):
        try:
            state = state_of(under(root, path))
        except OSError as error:
            yield Drift(journal, "output", path, UNREADABLE, str(error.strerror))
            continue
        if state == left.get(path):
            yield Drift(journal, "output", path, AS_APPLIED)
        elif state is None:
            yield Drift(journal, "output", path, GONE)
        else:
            yield Drift(journal, "output", path, CHANGED if path in left else NEW)


def _binding(root: Path, journal: str, operation: BindDriver) -> Drift:
    if not (root / DEVICES / operation.address).exists():
        return Drift(journal, "binding", operation.address, GONE)
    driver = driver_of(root, operation.address)
    if driver == operation.driver:
        return Drift(journal, "binding", operation.address, AS_APPLIED)
    detail = f"on {driver or 'no driver'}, not on {operation.driver}"
    return Drift(journal, "binding", operation.address, CHANGED, detail)
