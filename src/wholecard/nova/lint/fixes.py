"""The edits that certainly mend, as a plan of files that the host's journal carries out."""

from __future__ import annotations

import difflib
import os
import stat
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from wholecard.core import Action, Plan, UsageError
from wholecard.host.operations.write_file import WriteFile
from wholecard.nova.conf.conf_file import ConfFile
from wholecard.nova.conf.service_conf import NovaConf
from wholecard.nova.lint.diagnostic import Diagnostic, TextEdit, shown_line
from wholecard.nova.lint.option_spelling import NEW_SECTION, is_ours
from wholecard.nova.lint.service import Service

# Each round mends what the one before made visible; two or three are the rule.
MOST_ROUNDS = 100

# What brings an option to count that nova passed over.
_WAKING = frozenset({"WC210", "WC212", "WC213", "WC214"})

Lint = Callable[[Sequence[Service]], list[Diagnostic]]


@dataclass(frozen=True)
class Mended:
    """Files as they would be: the text of each that changes, by path, and the rules mended."""

    texts: dict[str, str]
    rules: dict[str, tuple[str, ...]]
    services: tuple[Service, ...]


def mended(services: Sequence[Service], lint: Lint) -> Mended:
    """The services with every certain mend made, and the mends which that makes possible.

    All characters outside the mends stay as they are.
    """
    texts: dict[str, str] = {}
    rules: dict[str, dict[str, None]] = {}
    now = tuple(services)
    for _ in range(MOST_ROUNDS):
        chosen = _chosen(lint(now))
        if not chosen:
            break
        edits: dict[str, list[TextEdit]] = {}
        for remark in chosen:
            for edit in remark.mend:
                edits.setdefault(edit.file.path, []).append(edit)
                rules.setdefault(edit.file.path, {})[remark.finding.rule] = None
        changed = {path: applied(some[0].file.text, some) for path, some in edits.items()}
        if all(texts.get(path) == text for path, text in changed.items()):
            break
        texts |= changed
        now = tuple(_with(service, changed) for service in now)
    return Mended(texts, {path: tuple(some) for path, some in rules.items()}, now)


def _chosen(remarks: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Those with mends of which none touches another's; the rest waits for the next round."""
    taken: dict[str, list[tuple[int, int]]] = {}
    woken: set[str] = set()
    chosen = []
    for remark in remarks:
        if not remark.mend or any(_meets(edit, taken) for edit in remark.mend):
            continue
        if remark.finding.rule in _WAKING:
            # The next one is judged anew, with this one counting: of two, one may be too many.
            if remark.finding.fix in woken:
                continue
            woken.add(remark.finding.fix)
        for edit in remark.mend:
            taken.setdefault(edit.file.path, []).append((edit.start, edit.end))
        chosen.append(remark)
    return chosen


def _meets(edit: TextEdit, taken: dict[str, list[tuple[int, int]]]) -> bool:
    return any(
        (edit.start < end and start < edit.end) or (edit.start, edit.end) == (start, end)
        for start, end in taken.get(edit.file.path, ())
        # Lines that are added at one place stand there one after the other.
        if not (edit.start == edit.end == start == end and edit.text.endswith("\n"))
    )


def applied(text: str, edits: Iterable[TextEdit]) -> str:
    """The text with the edits made, which do not overlap.

    A section that several of them open is opened once.
    """
    pieces, last, opened = [], 0, ""
    for edit in sorted(edits, key=lambda each: (each.start, each.end)):
        added = edit.text
        if added.startswith(NEW_SECTION):
            header = added[: added.index("]") + 2]
            added = added.removeprefix(opened) if header == opened else added
            opened = header
        pieces += [text[last : edit.start], added]
        last = edit.end
    return "".join([*pieces, text[last:]])


def _with(service: Service, changed: dict[str, str]) -> Service:
    files = tuple(
        ConfFile.parse(changed[file.path].encode("utf-8", "surrogateescape"), file.path)
        if file.path in changed
        else file
        for file in service.conf.files
    )
    # A new one, for what it has read is kept in it.
    return replace(service, conf=NovaConf(files))


def plan_of(result: Mended, services: Sequence[Service], root: Path) -> Plan:
    """A plan for the host's journal at `root`, below which all files have to be.

    Raises UsageError for a file that is elsewhere.
    """
    before = {file.path: file.text for service in services for file in service.conf.files}
    actions = []
    for path, text in result.texts.items():
        place = _below(root, Path(path))
        mode = stat.S_IMODE(Path(path).stat().st_mode)
        rules = ", ".join(result.rules[path])
        actions.append(
            Action(
                kind="edit",
                subject=path,
                reason=f"mends {rules}",
                do=WriteFile(place, text, mode, before[path], mode, private=True),
                undo="the file is put back as it was",
            )
        )
    return Plan(tuple(actions))


def shown_difference(result: Mended, services: Sequence[Service]) -> str:
    """The changes as a diff, with the lines of our options alone: others may hold passwords."""
    before = {file.path: file for service in services for file in service.conf.files}
    after = {file.path: file for service in result.services for file in service.conf.files}
    parts: list[str] = []
    for path in result.texts:
        was, is_ = _shown(before[path]), _shown(after[path])
        parts += difflib.unified_diff(was, is_, path, path, n=1, lineterm="")
    return "\n".join(parts)


def _shown(file: ConfFile) -> list[str]:
    """A file's lines, those of options that are none of ours without what stands in them."""
    ours = {header.line for header in file.headers}
    for entry in file.entries:
        if is_ours(entry):
            numbers = range(entry.line, entry.line + entry.count)
            ours.update(number for number in numbers if shown_line(entry, number))
    return [
        line if number in ours or not line else "(a line that is not shown)"
        for number, line in enumerate(file.lines, 1)
    ]


def _below(root: Path, path: Path) -> str:
    # A symbolic link (conf.d, a config map) is followed: its target is what is edited.
    real, top = Path(os.path.realpath(path)), Path(os.path.realpath(root))
    if top not in real.parents:
        raise UsageError(
            f"{path} is not below {root}",
            "The journal by which it can be undone belongs to one root.",
            "Name a folder that holds all of the files: --root FOLDER",
        )
    return f"/{real.relative_to(top)}"
