"""An answer for people, in tables that fit 80 columns where names are not long."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from wholecard.audit.views.placement_view import NOVAS_TRAITS
from wholecard.capacity.answer import Capacity, FlavorRow, HostRow, UnitsRow
from wholecard.capacity.request import CapacityAnswer
from wholecard.core.report_text import findings_text, table, wrapped

_MOST_HOSTS = 20
_UNITS = ("total", "given", "reserved", "free", "stranded")


def answer_text(
    answer: CapacityAnswer, width: int, every_host: bool = False, blazar: bool = False
) -> str:
    """The answer from its types to its findings; of many hosts those with the most free cards."""
    today, planned = answer.today, answer.planned
    parts = [f"Cards and slices: {today.source}\n\n{_types(today.types)}"]
    if planned is not None:
        lost = f"\n{planned.displaced} that are given today have no card." * bool(planned.displaced)
        parts.append(f"Planned: {planned.source}\n\n{_types(planned.types)}{lost}")
    flavors = _flavors(today.flavors, planned.flavors if planned else None, blazar)
    parts.append(f"Servers that still fit, each flavor alone\n\n{flavors}")
    parts += _mix(today, "")
    parts += _mix(planned, ", planned") if planned is not None else ()
    parts.append("\n".join(_hosts(today.hosts, every_host)))
    if planned is not None:
        parts.append("\n".join(("Planned:", "", *_hosts(planned.hosts, every_host))))
    notes = dict.fromkeys((*today.not_known, *(planned.not_known if planned else ())))
    if not today.all_tried:
        notes["whether other combinations of flavors would strand less"] = None
    if notes:
        parts.append("\n".join(wrapped(f"Not known: {'; '.join(notes)}.", "  ", "", width)))
    if answer.findings:
        parts.append(findings_text(answer.findings, width))
    return "\n\n".join(parts)


def _types(rows: Iterable[UnitsRow]) -> str:
    lines = []
    for row in rows:
        lines.append([row.resource_class, *(_number(getattr(row, name)) for name in _UNITS)])
        lines += ([f"  {trait}", *[""] * len(_UNITS)] for trait in row.traits
                  if trait not in NOVAS_TRAITS)  # fmt: skip
    return table(["TYPE", *map(str.upper, _UNITS)], lines)


def _flavors(rows: Iterable[FlavorRow], planned: Iterable[FlavorRow] | None, blazar: bool) -> str:
    head = ["FLAVOR", "CARDS", "FIT", "OF EMPTY", "STRANDS"]
    head += ["PLANNED"] * (planned is not None) + ["BLAZAR"] * blazar
    before, later = ({row.flavor: row for row in each} for each in (rows, planned or ()))
    lines = []
    for name in dict.fromkeys((*before, *later)):
        row = before.get(name, FlavorRow(name, unknown="it is only planned"))
        then = later.get(name, FlavorRow(name, unknown="it is not planned"))
        cells = [str(row.units), _fits(row), str(row.empty), str(row.strands)]
        cells = ["?"] * 4 if row.unknown else cells
        lines.append([name, *cells, *[_fits(then)] * (planned is not None),
                      *[str(row.reservable)] * blazar])  # fmt: skip
    return table(head, lines)


def _fits(row: FlavorRow) -> str:
    """`3`, `>=3` where more may fit, `?` where it was not counted."""
    return "?" if row.unknown else f"{'' if row.exact else '>='}{row.fits}"


def _mix(capacity: Capacity, word: str) -> list[str]:
    return [f"Mix{word}: {placed} of {asked} servers of {name} got a place."
            for name, (placed, asked) in capacity.mix.items()]  # fmt: skip


def _hosts(rows: Sequence[HostRow], every: bool) -> Iterator[str]:
    """A line for each type and NUMA node of a host."""
    shown = rows if every else sorted(rows, key=lambda row: -row.total("free"))[:_MOST_HOSTS]
    lines = []
    for row in shown:
        name = row.host
        for units in row.units:
            numbers = map(_number, (units.given, units.reserved, units.free, units.stranded))
            lines.append([name, units.resource_class, _number(units.numa_node), *numbers])
            name = ""
    yield table(["HOST", "TYPE", "NODE", *map(str.upper, _UNITS[1:])], lines)
    if len(shown) < len(rows):
        yield f"and {len(rows) - len(shown)} with as many free or fewer (--all)"


def _number(value: int | None) -> str:
    return "?" if value is None else str(value)
