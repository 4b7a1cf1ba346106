"""The scheduler's filters."""

from __future__ import annotations

from collections.abc import Iterator

from wholecard.core.position import Position
from wholecard.nova.conf.conf_file import ConfEntry
from wholecard.nova.desired import scheduler_filters
from wholecard.nova.desired.scheduler_filters import PCI_FILTER, default_filters
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


def check_pci_filter(service: Service) -> Iterator[Diagnostic]:
    """The filter that checks PCI requests has to be in the list; nova's default lacks it."""
    effective = service.effective("enabled_filters")
    if (service.role is None and not effective.is_set) or PCI_FILTER in effective.values:
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
            _appended(entry),
        )  # fmt: skip


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
    names = service.effective("enabled_filters").values[:MOST_FILTERS]
    wrong = scheduler_filters.wrong_filters(names, service.major, available)
    return [each for each in wrong if "$" not in each.name]


def check_filter_names(service: Service) -> Iterator[Diagnostic]:
    """Filters that do not exist: nova-scheduler does not start."""
    effective = service.effective("enabled_filters")
    if not effective.is_set or len(effective.values) > MOST_FILTERS:
        return
    entry = effective.entries[-1]
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
    if not effective.is_set:
        return
    meant = {*effective.values, *(wrong.right for wrong in _wrong(service))}
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
    right = {*scheduler_filters.OWN_FUNCTIONS, scheduler_filters.PCI_FILTER_CLASS}
    if not effective.is_set or right & set(effective.values):
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
