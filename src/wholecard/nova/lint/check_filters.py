"""The scheduler's filters."""

from __future__ import annotations

from collections.abc import Iterator

from wholecard.nova.conf_file import Entry, Place
from wholecard.nova.filters import FILTERS, PCI_FILTER, default_filters, filters_there
from wholecard.nova.lint.remark import ERROR, WARNING, Edit, Remark, Spot, file_remark, remark
from wholecard.nova.lint.service import Service
from wholecard.nova.lint.spelling import section_end
from wholecard.nova.names import Names
from wholecard.nova.options import by_name

_ALL = ("nova.scheduler.filters.all_filters", "nova.scheduler.filters.standard_filters")
# nova has some twenty; a list that is longer is looked at so far.
MOST_FILTERS = 200
_OWN = "nova.scheduler.filters.pci_passthrough_filter.PciPassthroughFilter"


def check_pci_filter(service: Service) -> Iterator[Remark]:
    """The filter that looks at PCI requests has to be in the list, which by default it is not."""
    effective = service.effective("enabled_filters")
    if service.role is None and not effective.is_set:
        return
    if PCI_FILTER in effective.values:
        return
    message = (
        "is not enabled: a server that asks for a card is sent to hosts that have none free, and "
        "fails there"
    )
    if not effective.is_set:
        option = by_name("enabled_filters").spelling(service.major)
        wanted = ",".join((*default_filters(service.major), PCI_FILTER))
        for file in service.conf.files[-1:]:
            yield file_remark(
                "WC236", ERROR, file, Place(1, 1),
                f"no file sets {option}, and nova's own list has no {PCI_FILTER}: it {message}",
                f"Write {option} = {wanted}",
            )  # fmt: skip
        return
    entry = effective.entries[-1]
    known = _known(service)
    if any(known.near(item) == PCI_FILTER for item in effective.values[:MOST_FILTERS]):
        # It is there and spelled wrong: that is said of it.
        return
    yield remark(
        "WC236", ERROR, entry, f"{PCI_FILTER} {message}", f"Append ,{PCI_FILTER} to the list.",
        _appended(entry),
    )  # fmt: skip


def _appended(entry: Entry) -> tuple[Edit, ...]:
    if "$" in entry.value or not entry.value.strip():
        return ()
    text = entry.value.rstrip()
    comma = "" if text.endswith(",") else ","
    return (Spot(entry, len(text), 0).edit(f"{comma}{PCI_FILTER}"),)


def _known(service: Service) -> Names:
    return Names(filters_there(service.major))


def check_filter_names(service: Service) -> Iterator[Remark]:
    """Filters that nova does not have: nova-scheduler does not start."""
    effective = service.effective("enabled_filters")
    if not effective.is_set or len(effective.values) > MOST_FILTERS:
        return
    entry = effective.entries[-1]
    there, known = set(filters_there(service.major)), _known(service)
    others = [
        name for name in service.effective("available_filters").values if name not in (*_ALL, _OWN)
    ]
    offset = 0
    for item in entry.value.split(","):
        start = offset + len(item) - len(item.lstrip())
        offset += len(item) + 1
        name = item.strip()
        if not name or name in there or "$" in name:
            continue
        spot = Spot(entry, start, len(name))
        right = known.near(name)
        gone = FILTERS.get(name)
        # A filter of somebody else's may be among those that are available.
        if right or gone or not others:
            yield _unknown_filter(service, spot, name, right, gone)


def _unknown_filter(
    service: Service, spot: Spot, name: str, right: str | None, gone: tuple[int, int] | None
) -> Remark:
    shown = name if len(name) <= 80 else "this"
    if gone:
        return remark(
            "WC237", ERROR, spot,
            f"{service.release} has no {shown} any more: nova-scheduler does not start",
            "Delete it from the list.",
        )  # fmt: skip
    return remark(
        "WC237", ERROR, spot, f"nova has no filter {shown}: nova-scheduler does not start",
        f"Write {right}." if right else "Name its class in available_filters, or delete it here.",
        (spot.edit(right),) if right else (),
    )  # fmt: skip


def check_standard_filters(service: Service) -> Iterator[Remark]:
    """A list that was replaced where it should have been extended."""
    effective = service.effective("enabled_filters")
    if not effective.is_set:
        return
    values = set(effective.values)
    known = _known(service)
    meant = values | {
        right for name in effective.values[:MOST_FILTERS] if (right := known.near(name))
    }
    lost = [name for name in default_filters(service.major) if name not in meant]
    if lost:
        yield remark(
            "WC238", WARNING, effective.entries[-1],
            f"the list lacks what is in nova's own: {', '.join(lost)}",
            f"Add {', '.join(lost)}, unless it was left out on purpose.",
        )  # fmt: skip


def check_available(service: Service) -> Iterator[Remark]:
    """Where the scheduler may take filters from, the PCI filter has to be."""
    effective = service.effective("available_filters")
    if not effective.is_set or {*_ALL, _OWN} & set(effective.values):
        return
    entry = effective.entries[-1]
    target = section_end(entry.file, entry.section)
    mend: tuple[Edit, ...] = ()
    if target is not None and "$" not in entry.value:
        where, text = target
        mend = (Edit(entry.file, where, where, f"{text}{entry.name} = {_ALL[0]}\n"),)
    yield remark(
        "WC239", ERROR, entry,
        f"{PCI_FILTER} is not among the filters that these lines make available",
        f"Add a line {entry.name} = {_ALL[0]}", mend,
    )  # fmt: skip
