"""What a person should know of an answer: mixes that do not fit, stranded cards, blind services."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from wholecard.capacity.answer import Capacity, HostRow
from wholecard.capacity.demand import NO_DEVICE
from wholecard.core import Finding, Severity
from wholecard.core.units import counted

_BOTH = (
    "Give each host a class of its own for its cards (CUSTOM_CARDS, total: N) in nova-compute's "
    "provider.yaml, and each flavor resources:CUSTOM_CARDS=N beside its alias: nova and Blazar "
    "both count it. Of resources:VGPU make resources1:VGPU, which Blazar passes over."
)


def findings_of(answer: Capacity, blazar: bool, planned: bool = False) -> Iterator[Finding]:
    """The answer's findings; `blazar` is whether reservations matter to who asks.

    Those of a `planned` cloud say so in their subject.
    """
    for finding in _findings(answer, blazar):
        named = f"{finding.subject} (planned)" if planned else finding.subject
        yield replace(finding, subject=named)


def _findings(answer: Capacity, blazar: bool) -> Iterator[Finding]:
    for name, (placed, asked) in answer.mix.items():
        if placed < asked:
            yield Finding(
                "WC642", f"flavor {name}", Severity.ERROR,
                f"{placed} of {counted(asked, 'server')} got a place beside the mix's "
                "others. It was packed greedily: another order may place more.",
                "WC641 says what is missing on hosts that have free cards.",
            )  # fmt: skip
    yield from _stranded(answer)
    for flavor in answer.flavors:
        if flavor.unknown:
            known = flavor.unknown == NO_DEVICE
            yield Finding(
                "WC643" if known else "WC644", f"flavor {flavor.flavor}",
                Severity.WARNING if known else Severity.NOTE, f"Not counted: {flavor.unknown}.",
                "Ask by pci_passthrough:alias alone." if known else "",
            )  # fmt: skip
    if blazar:
        yield from _blind(answer)


def _stranded(answer: Capacity) -> Iterator[Finding]:
    """One finding for each reason, with its hosts and units."""
    by_reason: dict[str, list[HostRow]] = {}
    for row in answer.hosts:
        if row.stranded:
            by_reason.setdefault(row.why, []).append(row)
    for why, rows in by_reason.items():
        more = f" and {len(rows) - 1} more" if len(rows) > 1 else ""
        number = sum(row.stranded or 0 for row in rows)
        units = "1 unit is" if number == 1 else f"{number} units are"
        message = f"{units} free and cannot be given: {why}."
        yield Finding("WC641", f"{rows[0].host}{more}", Severity.NOTE, message)


def _blind(answer: Capacity) -> Iterator[Finding]:
    wrong = [row for row in answer.flavors if not row.unknown and row.reservable != row.empty]
    if wrong:
        rows = ", ".join(f"{row.reservable} of {row.flavor} ({row.empty} fit)" for row in wrong)
        yield Finding("WC640", "Blazar", Severity.NOTE,
                      "It counts resources: of the flavor and the inventories of the host's own "
                      f"provider, and no card below it. It would reserve {rows}.",
                      _BOTH)  # fmt: skip
