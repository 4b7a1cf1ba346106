"""The scheduler's filters."""

from __future__ import annotations

from collections.abc import Iterator

from wholecard.core.position import Position
from wholecard.nova.conf.conf_file import ConfEntry
from wholecard.nova.desired import scheduler_filters
from wholecard.nova.desired.scheduler_filters import PCI_FILTER, default_filters
from wholecard.nova.lint.checks.value_shapes import ListForm, list_form, wrapped_line
from wholecard.nova.lint.diagnostic import (
    Diagnostic,
    Spot,
    TextEdit,
    entry_diagnostic,
    file_diagnostic,
)
from wholecard.nova.lint.option_spelling import section_end
from wholecard.nova.lint.service import Service
from wholecard.nova.options import by_name

# nova has some twenty filters; of a longer list only these are checked.
MOST_FILTERS = 200
_PCI_AVAILABLE = {scheduler_filters.ALL_FILTERS, scheduler_filters.PCI_FILTER_CLASS}


def check_pci_filter(service: Service) -> Iterator[Diagnostic]:
    """The filter that checks PCI requests has to be in the list; nova's default lacks it."""
    effective = service.effective("enabled_filters")
    if (service.role is None and not effective.is_set) or PCI_FILTER in _names(service):
        return
    if _goes_on(service):
        return
    message = (
        "is not enabled: nova may send a server with a card to a host without a free card, where "
        "it fails"
    )
    if not effective.is_set:
        option = by_name("enabled_filters").spelling(service.major)
        filters = ",".join((*default_filters(service.major), PCI_FILTER))
        for file in service.conf.files[-1:]:
            yield file_diagnostic(
                "WC236", file, Position(1, 1),
                f"no file sets {option}, and nova's default has no {PCI_FILTER}: it {message}",
                f"Write {option} = {filters}",
            )  # fmt: skip
    # A misspelled one is WC237.
    elif all(wrong.right != PCI_FILTER for wrong in _wrong(service)):
        entry = effective.entries[-1]
        yield entry_diagnostic(
            "WC236", entry, f"{PCI_FILTER} {message}", f"Append ,{PCI_FILTER} to the list.",
            () if _form(service) else _appended(entry),
        )  # fmt: skip


def _form(service: Service) -> ListForm | None:
    """The list's form, where it is not names with commas between."""
    entries = service.effective("enabled_filters").entries
    return list_form(entries[-1]) if entries else None


def _goes_on(service: Service) -> bool:
    """Whether the list goes on where nova has ended it, in a line that is not indented (WC201)."""
    for entry in service.effective("enabled_filters").entries[-1:]:
        after = entry.line + entry.count
        lines = entry.file.lines[after - 1 : after]
        return bool(lines) and "=" not in lines[0] and wrapped_line(entry, lines[0])
    return False


def _names(service: Service) -> tuple[str, ...]:
    """The names of the list, as they are meant where its form is wrong."""
    form = _form(service)
    return form.names if form else service.effective("enabled_filters").values


def _appended(entry: ConfEntry) -> tuple[TextEdit, ...]:
    if "$" in entry.value or not entry.value.strip():
        return ()
    text = entry.value.rstrip()
    comma = "" if text.endswith(",") else ","
    return (Spot(entry, len(text), 0).edit(f"{comma}{PCI_FILTER}"),)


def _wrong(service: Service) -> list[scheduler_filters.WrongFilter]:
    """The names that are no filters, without those that contain another option's value."""
    entries = service.effective("available_filters").entries
    available = [service.conf.substituted(entry).text for entry in entries]
    names = _names(service)[:MOST_FILTERS]
    wrong = scheduler_filters.wrong_filters(names, service.major, available)
    # Where the filter for cards is not available either, WC239 says so of all.
    return [
        each for each in wrong if "$" not in each.name
        and not (each.unavailable and not _PCI_AVAILABLE & set(available))
    ]  # fmt: skip


def check_filter_names(service: Service) -> Iterator[Diagnostic]:
    """Filters that do not exist: nova-scheduler does not start."""
    effective = service.effective("enabled_filters")
    if not effective.is_set or len(effective.values) > MOST_FILTERS:
        return
    entry = effective.entries[-1]
    form = _form(service)
    if form is not None:
        yield form.diagnostic("WC237")
        return
    items = entry.value.split(",")
    for wrong in _wrong(service):
        before = sum(len(item) + 1 for item in items[: wrong.index])
        item = items[wrong.index]
        spot = Spot(entry, before + len(item) - len(item.lstrip()), len(wrong.name))
        yield entry_diagnostic(
            "WC237", spot, f"{wrong.problem(service.release)}; nova-scheduler cannot start",
            wrong.resolution, (spot.edit(wrong.right),) if wrong.right else (),
        )  # fmt: skip


def check_standard_filters(service: Service) -> Iterator[Diagnostic]:
    """A list that was replaced where it should have been extended."""
    effective = service.effective("enabled_filters")
    if not effective.is_set or _goes_on(service):
        return
    meant = {*_names(service), *(wrong.right for wrong in _wrong(service))}
    lost = [name for name in default_filters(service.major) if name not in meant]
    if lost:
        yield entry_diagnostic(
            "WC238", effective.entries[-1],
            f"the list lacks filters of nova's default: {', '.join(lost)}",
            f"Add {', '.join(lost)}, unless you removed it on purpose.",
        )  # fmt: skip


def check_available(service: Service) -> Iterator[Diagnostic]:
    """The PCI filter has to be among the filters that the scheduler may use."""
    effective = service.effective("available_filters")
    if not effective.is_set or _PCI_AVAILABLE & set(effective.values) or _wrong_lines(service):
        return
    entry = effective.entries[-1]
    line = f"{entry.name} = {scheduler_filters.ALL_FILTERS}"
    target = section_end(entry.file, entry.section)
    edits: tuple[TextEdit, ...] = ()
    if target is not None and "$" not in entry.value:
        offset, text = target
        edits = (TextEdit(entry.file, offset, offset, f"{text}{line}\n"),)
    yield entry_diagnostic(
        "WC239", entry, f"{PCI_FILTER} is not among the filters that these lines make available",
        f"Add a line {line}", edits,
    )  # fmt: skip


def check_available_lines(service: Service) -> Iterator[Diagnostic]:
    """Lines of available_filters that nova-scheduler cannot import: it does not start."""
    for entry, wrong in _wrong_lines(service):
        text = entry.value.rstrip()
        edits: tuple[TextEdit, ...] = ()
        if wrong.right and "\n" not in text and "$" not in text:
            lines = f"\n{entry.name} = ".join(wrong.right)
            edits = (Spot(entry, 0, len(text)).edit(lines),)
        yield entry_diagnostic(
            "WC262", Spot(entry, 0, len(text.split("\n")[0])),
            f"nova-scheduler cannot load this, {wrong.reason}: it does not start",
            wrong.resolution.replace("available_filters = ", f"{entry.name} = "), edits,
        )  # fmt: skip


def _wrong_lines(service: Service) -> list[tuple[ConfEntry, scheduler_filters.WrongAvailable]]:
    """The entries of available_filters that cannot be imported, of the first ones."""
    entries = service.effective("available_filters").entries[:MOST_FILTERS]
    values = [service.conf.substituted(entry).text for entry in entries]
    wrong = scheduler_filters.wrong_available(values, service.major)
    return [(entries[one.index], one) for one in wrong]
