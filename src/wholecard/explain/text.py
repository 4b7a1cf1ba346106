"""An explanation for people: a mark for each check, the failed one in bold with its fix."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from wholecard.explain.check_result import CheckResult, State, first_failed
from wholecard.explain.checks.filters import MISSING_FILTER
from wholecard.explain.checks.registry import CHECKS, MDEV_REQUEST_CHECKS
from wholecard.explain.explain import Explanation
from wholecard.explain.host_answer import HostAnswer

_MARKS: dict[State, tuple[str, str]] = {
    "ok": ("✓", "green"),
    "failed": ("✗", "bold red"),
    "unknown": ("?", "yellow"),
    "not run": ("·", "dim"),
}
_LATENT = ("!", "yellow")
_ANSWERS = {
    "yes": ("can run this server", "green"),
    "no": ("cannot run this server", "red"),
    "unknown": ("may run this server; not everything was checked", "yellow"),
}
_BY_CHANCE = ("can run this server, but nova may choose another host", "red")
# Of more groups of hosts than this only the failures are shown.
_IN_FULL = 4
_MOST_NAMES = 8
_LONGEST_POSITION = 160
_NAME_WIDTH = max(map(len, (*CHECKS, *MDEV_REQUEST_CHECKS)))
# Where the third column begins: the padding, a mark, and two gaps.
_INDENT = 2 + 1 + 2 + _NAME_WIDTH + 2

Block = Text | Table | Padding


def blocks(explanation: Explanation, everything: bool = False) -> Iterator[Block]:
    """The explanation from its head to the answer; `everything` shows each check of every host."""
    request, release = explanation.evidence.request, explanation.evidence.release
    head = Text.assemble(("flavor ", "dim"), (request.flavor_text, "bold"))
    if request.image:
        head.append_text(Text.assemble((" image ", "dim"), (request.image, "bold")))
    yield head.append_text(Text(f"  nova {release}", "dim"))
    yield from _results(explanation.checks, full=True)
    groups = _alike(explanation.hosts) if any(host.checks for host in explanation.hosts) else []
    for hosts in groups:
        yield Text()
        yield _head(hosts)
        yield from _results(hosts[0].checks, full=everything or len(groups) <= _IN_FULL)
    yield Text()
    yield Text(explanation.answer, "bold")


def _alike(hosts: tuple[HostAnswer, ...]) -> list[list[HostAnswer]]:
    """The hosts that fail in the same way together, those that fail latest first."""
    groups: dict[tuple[object, ...], list[HostAnswer]] = {}
    for host in hosts:
        failure = host.failed
        key = (
            host.answer,
            (failure.name, failure.says.replace(host.name, "")) if failure else None,
            host.states,
        )
        groups.setdefault(key, []).append(host)
    return sorted(
        groups.values(),
        key=lambda group: sum(row.state in ("ok", "unknown") for row in group[0].checks),
        reverse=True,
    )


def _head(hosts: list[HostAnswer]) -> Text:
    """The names of hosts that are alike, and whether they would take the server."""
    names = [host.name for host in hosts]
    shown = ", ".join(names[:_MOST_NAMES])
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    failure = hosts[0].failed
    by_chance = failure is not None and failure.rule == MISSING_FILTER
    word = "host" if len(names) == 1 else f"{len(names)} hosts"
    answer = _BY_CHANCE if by_chance else _ANSWERS[hosts[0].answer]
    return Text.assemble((f"{word} ", "dim"), (shown + more, "bold"), " ", answer)


def _results(results: tuple[CheckResult, ...], full: bool) -> Iterator[Block]:
    """The results before the failed one, that one with its fix, and the names of the others.

    Not in `full`: of those that passed only the ones with a warning.
    """
    yield from _table(_joined(result for result in results if _is_shown(result, full)))
    failure = first_failed(results)
    if failure is None:
        return
    yield from _table([failure])
    yield from _fix(failure.fix)
    names = ", ".join(
        result.name for result in results if result.state == "not run" and not result.says
    )
    if names:
        yield from _table([CheckResult("not run", names, name="not run")])


def _is_shown(result: CheckResult, full: bool) -> bool:
    """Whether a result that did not fail has a row of its own."""
    if result.state == "ok":
        return full or bool(result.warning)
    # Nobody looked, and it says so; what is behind a failure says nothing.
    unasked = result.state == "not run" and bool(result.says)
    return result.state == "unknown" or (unasked and full)


def _fix(fix: str) -> Iterator[Block]:
    for line in f"fix: {fix}".splitlines() if fix else ():
        if line.startswith(" "):
            # A command is pasted: it stays one line however long that is.
            yield Text(f"{'':{_INDENT}}{line}", no_wrap=True, overflow="ignore")
        else:
            yield Padding(Text(line), (0, 0, 0, _INDENT))


def _joined(results: Iterable[CheckResult]) -> list[CheckResult]:
    """The results, with those that say the same as one."""
    groups: dict[tuple[str, str], list[CheckResult]] = {}
    for result in results:
        same = result.name if result.warning else result.says
        groups.setdefault((result.state, same), []).append(result)
    named = ((group[0], ", ".join(row.name for row in group)) for group in groups.values())
    return [replace(result, name=names) for result, names in named]


def _table(results: list[CheckResult]) -> Iterator[Padding]:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(width=_NAME_WIDTH)
    table.add_column(overflow="fold")
    for result in results:
        # What passed and has a rule would fail with another host beside this one.
        mark, style = _LATENT if result.state == "ok" and result.rule else _MARKS[result.state]
        name_style = "" if result.state == "ok" else style
        table.add_row(Text(mark, style), Text(result.name, name_style), _cell(result))
    if results:
        yield Padding(table, (0, 0, 0, 2))


def _short(position: str) -> str:
    """A position; a long one (a query with a group for each card) is cut in its middle."""
    if len(position) <= _LONGEST_POSITION:
        return position
    return f"{position[:80]} … {position[-60:]}"


def _cell(result: CheckResult) -> Text:
    positions = ", ".join(_short(position) for position in result.seen if position)
    seen = Text(f"  [{positions}]" if positions else "", "dim")
    if result.state == "failed":
        text = Text.assemble((f"{result.rule} ", "bold red"), (result.says, "bold"))
        return text.append_text(seen)
    text = Text(result.says, "dim" if result.state == "not run" else "")
    text.append_text(seen)
    if result.state == "unknown" and result.fix:
        text.append_text(Text(f"\nto check it: {result.fix}", "yellow"))
    if result.warning and result.warning != result.says:
        text.append_text(Text(f"\nnote: {result.warning}", "yellow"))
    return text
