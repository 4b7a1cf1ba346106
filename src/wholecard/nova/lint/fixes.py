"""The edits that are certain, as a plan of files for a journal (see `fix_journal`)."""

from __future__ import annotations

import difflib
import os
import stat
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from wholecard.core import Action, Plan
from wholecard.host.operations.write_file import WriteFile
from wholecard.nova.conf.conf_file import ConfFile
from wholecard.nova.conf.service_conf import NovaConf
from wholecard.nova.lint.diagnostic import Diagnostic, TextEdit, shown_line
from wholecard.nova.lint.option_spelling import NEW_SECTION, is_ours
from wholecard.nova.lint.service import Service

# Each round fixes what the one before made visible; two or three are usual. The limit ends edits
# that undo each other.
MOST_ROUNDS = 100

# Rules whose fix makes an option count that nova ignored before.
_ACTIVATING = frozenset({"WC210", "WC212", "WC213", "WC214"})

Lint = Callable[[Sequence[Service]], list[Diagnostic]]


@dataclass(frozen=True)
class FixedFiles:
    """Files as they would be: the new text of each changed one and the fixed rules, by path."""

    texts: dict[str, str]
    rules: dict[str, tuple[str, ...]]
    services: tuple[Service, ...]


def fixed(services: Sequence[Service], lint: Lint) -> FixedFiles:
    """The services with every certain edit made, and those edits that this makes possible.

    All characters outside the edits stay as they are.
    """
    texts: dict[str, str] = {}
    rules: dict[str, dict[str, None]] = {}
    for _ in range(MOST_ROUNDS):
        diagnostics = chosen(lint(services))
        if not diagnostics:
            break
        edits: dict[str, list[TextEdit]] = {}
        for diagnostic in diagnostics:
            for edit in diagnostic.edits:
                edits.setdefault(edit.file.path, []).append(edit)
                rules.setdefault(edit.file.path, {})[diagnostic.finding.rule] = None
        changed = {path: applied(in_file[0].file.text, in_file) for path, in_file in edits.items()}
        # Edits that change nothing would repeat for ever.
        if all(texts.get(path) == text for path, text in changed.items()):
            break
        texts |= changed
        services = [_with(service, changed) for service in services]
    return FixedFiles(texts, {path: tuple(codes) for path, codes in rules.items()}, tuple(services))


def chosen(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Those whose edits do not overlap another's; the rest waits for the next round."""
    taken: dict[str, list[tuple[int, int]]] = {}
    activated: set[str] = set()
    kept = []
    for diagnostic in diagnostics:
        if not diagnostic.edits or any(_overlaps(edit, taken) for edit in diagnostic.edits):
            continue
        if diagnostic.finding.rule in _ACTIVATING:
            # The next one is checked again with this one counting: nova may refuse both together.
            if diagnostic.finding.fix in activated:
                continue
            activated.add(diagnostic.finding.fix)
        for edit in diagnostic.edits:
            taken.setdefault(edit.file.path, []).append((edit.start, edit.end))
        kept.append(diagnostic)
    return kept


def _overlaps(edit: TextEdit, taken: dict[str, list[tuple[int, int]]]) -> bool:
    return any(
        (edit.start < end and start < edit.end) or (edit.start, edit.end) == (start, end)
        for start, end in taken.get(edit.file.path, ())
        # Lines added at one offset follow each other there.
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
    # A new NovaConf: the old one caches what it has read.
    return replace(service, conf=NovaConf(files))


def plan_of(result: FixedFiles, services: Sequence[Service]) -> Plan:
    """A plan of one action for each file that changes."""
    before = {file.path: file.text for service in services for file in service.conf.files}
    actions = []
    for path, text in result.texts.items():
        # A symbolic link (conf.d, a config map) is followed: its target is what is edited.
        target = os.path.realpath(path)
        mode = stat.S_IMODE(Path(path).stat().st_mode)
        rules = ", ".join(result.rules[path])
        actions.append(
            Action(
                kind="edit",
                subject=path,
                reason=f"fixes {rules}",
                do=WriteFile(target, text, mode, before[path], mode, private=True),
                undo="the file gets its former content",
            )
        )
    return Plan(tuple(actions))


def shown_difference(result: FixedFiles, services: Sequence[Service]) -> str:
    """The changes as a diff that shows options for cards alone: others may hold passwords."""
    before = {file.path: file for service in services for file in service.conf.files}
    after = {file.path: file for service in result.services for file in service.conf.files}
    parts: list[str] = []
    for path in result.texts:
        old, new = _shown(before[path]), _shown(after[path])
        parts += difflib.unified_diff(old, new, path, path, n=1, lineterm="")
    return "\n".join(parts)


def _shown(file: ConfFile) -> list[str]:
    """A file's lines, with the text of all but the options for cards replaced."""
    visible = {header.line for header in file.headers}
    for entry in file.entries:
        if is_ours(entry):
            numbers = range(entry.line, entry.line + entry.count)
            visible.update(number for number in numbers if shown_line(entry, number))
    return [
        line if number in visible or not line else "(a line that is not shown)"
        for number, line in enumerate(file.lines, 1)
    ]
