"""An explanation for people: a mark for each link, the first break in bold with its mend."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from wholecard.explain.explain import Explanation, HostAnswer
from wholecard.explain.link import HOST_LINKS, CheckResult, State, first_broken

_MARKS: dict[State, tuple[str, str]] = {
    "ok": ("✓", "green"),
    "broken": ("✗", "bold red"),
    "unknown": ("?", "yellow"),
    "later": ("·", "dim"),
}
_LATENT = ("!", "yellow")
_WORDS = {
    "yes": "would take it",
    "no": "would not take it",
    "perhaps": "cannot be told",
    "chance": "could take it, and need not be chosen",
}
_COLOURS = {"yes": "green", "no": "red", "perhaps": "yellow", "chance": "red"}
# More groups of hosts than this are shown by their breaks alone.
_IN_FULL = 4
_MOST_NAMES = 8
_LONGEST_PLACE = 160
_NAME_WIDTH = max(map(len, HOST_LINKS))
# Where the third column begins: the padding, a mark, and two gaps.
_INDENT = 2 + 1 + 2 + _NAME_WIDTH + 2

Block = Text | Table | Padding


def blocks(explanation: Explanation, everything: bool = False) -> Iterator[Block]:
    """The explanation from its head to the answer; `everything` shows each link of every host."""
    evidence = explanation.evidence
    head = Text.assemble(("flavor ", "dim"), (evidence.request.flavor_said, "bold"))
    if evidence.request.image:
        head.append_text(Text.assemble((" image ", "dim"), (evidence.request.image, "bold")))
    yield head.append_text(Text(f"  nova {evidence.release}", "dim"))
    yield from _links(explanation.links, full=True)
    groups = _alike(explanation.hosts) if any(host.links for host in explanation.hosts) else []
    for hosts in groups:
        yield Text()
        yield _names(hosts)
        yield from _links(hosts[0].links, full=everything or len(groups) <= _IN_FULL)
    yield Text()
    yield Text(explanation.answer, "bold")


def _alike(hosts: tuple[HostAnswer, ...]) -> list[list[HostAnswer]]:
    """The hosts that break in the same way together, those that break latest first."""
    found: dict[tuple[object, ...], list[HostAnswer]] = {}
    for host in hosts:
        link = host.broken
        key = (
            host.answer,
            (link.name, link.says.replace(host.name, "")) if link else None,
            tuple((each.name, each.state) for each in host.links),
        )
        found.setdefault(key, []).append(host)
    return sorted(found.values(), key=lambda each: _far(each[0]), reverse=True)


def _far(host: HostAnswer) -> int:
    return sum(link.state in ("ok", "unknown") for link in host.links)


def _names(hosts: list[HostAnswer]) -> Text:
    names = [host.name for host in hosts]
    shown = ", ".join(names[:_MOST_NAMES])
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    link = hosts[0].broken
    answer = "chance" if link and link.rule == "WC327" else hosts[0].answer
    word = "host" if len(names) == 1 else f"{len(names)} hosts"
    return Text.assemble(
        (f"{word} ", "dim"), (shown + more, "bold"), " ", (_WORDS[answer], _COLOURS[answer])
    )


def _links(links: tuple[CheckResult, ...], full: bool) -> Iterator[Block]:
    yield from _table(_joined(link for link in links if link.state in ("ok", "unknown")
                              and (full or link.warning or link.state == "unknown")))  # fmt: skip
    broken = first_broken(links)
    if broken is None:
        return
    yield from _table([broken])
    for line in f"fix: {broken.fix}".splitlines() if broken.fix else ():
        if line.startswith(" "):
            # A command is pasted: it keeps its line however long that is.
            yield Text(f"{'':{_INDENT}}{line}", no_wrap=True, overflow="ignore")
        else:
            yield Padding(Text(line), (0, 0, 0, _INDENT))
    later = [link.name for link in links if link.state == "later"]
    if later:
        yield from _table([CheckResult("not judged", "later", ", ".join(later))])


def _joined(links: Iterable[CheckResult]) -> list[CheckResult]:
    """The links, with those that hold for the same reason as one."""
    found: dict[tuple[str, str], list[CheckResult]] = {}
    for link in links:
        same = link.name if link.warning else link.says
        found.setdefault((link.state, same), []).append(link)
    return [replace(each[0], name=", ".join(link.name for link in each)) for each in found.values()]


def _table(links: list[CheckResult]) -> Iterator[Padding]:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(width=_NAME_WIDTH)
    table.add_column(overflow="fold")
    for link in links:
        # What holds and has a rule would break with another host beside this one.
        mark, style = _LATENT if link.state == "ok" and link.rule else _MARKS[link.state]
        name_style = "" if link.state == "ok" else style
        table.add_row(Text(mark, style), Text(link.name, name_style), _cell(link))
    if links:
        yield Padding(table, (0, 0, 0, 2))


def _short(place: str) -> str:
    """A place, of which a long one (a question with a group for each card) keeps its two ends."""
    return place if len(place) <= _LONGEST_PLACE else f"{place[:80]} … {place[-60:]}"


def _cell(link: CheckResult) -> Text:
    places = ", ".join(_short(each) for each in link.seen if each)
    seen = Text(f"  [{places}]" if places else "", "dim")
    if link.state == "broken":
        text = Text.assemble((f"{link.rule} ", "bold red"), (link.says, "bold"))
        return text.append_text(seen)
    text = Text(link.says, "dim" if link.state == "later" else "")
    text.append_text(seen)
    if link.state == "unknown" and link.fix:
        text.append_text(Text(f"\ntell: {link.fix}", "yellow"))
    if link.warning and link.warning != link.says:
        text.append_text(Text(f"\nnote: {link.warning}", "yellow"))
    return text
