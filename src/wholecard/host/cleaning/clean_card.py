"""Clean one card between two tenants: guard, reset, checks, a look at its memory, a verdict.

Nothing here decides whether the card may be given again: that is Placement's side, the room
`handover`. A second cleaning of a clean card does the same again and harms nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from wholecard.core import Finding, Severity, UsageError, WholecardError
from wholecard.host.changing import in_use
from wholecard.host.cleaning import video_memory
from wholecard.host.cleaning.config_space import folder_of, read_state
from wholecard.host.cleaning.record import (
    BUSY,
    CLEAN,
    NOT_CLEARED,
    OUT,
    CleanReport,
    CleanStep,
    FunctionState,
    MemoryLook,
)
from wholecard.host.cleaning.reset_choice import Choice, bridge_above, choose
from wholecard.host.cleaning.resetting import (
    SUBORDINATE,
    awake,
    decode_memory,
    reset,
    wait_until_alive,
)
from wholecard.host.facts.host import Host
from wholecard.host.facts.inspect import inspect
from wholecard.pci import Address, Card
from wholecard.transaction.atomic_files import make_directories, under
from wholecard.transaction.locks import locked

_Bars = dict[tuple[str, int], tuple[MemoryLook, video_memory.Digests]]


def clean_card(root: Path, text: str, scrub: bool = False) -> CleanReport:
    """Clean the card at the address `text`, of any of its functions.

    `scrub` overwrites what is still visible of its memory after the reset, where that is plain
    memory. Raises UsageError where no card is there, WholecardError where the host cannot be read
    or a value cannot be put back.
    """
    began = time.monotonic()
    host = inspect(root)
    address = Address.parse(text)
    card = host.card_of(address)
    if card is None:
        raise UsageError(
            f"there is no card at {address}",
            f"The cards: {', '.join(each.slot for each in host.cards) or 'none'}",
            "Name the address of any function of a card.",
        )
    folder = under(root, "run/wholecard")
    make_directories(folder)
    with locked(
        folder / f"clean-card-{card.slot}.lock",
        f"{card.slot} is being cleaned by another process",
        "Wait until it has ended.",
    ):
        report = _Cleaning(root, host, card, scrub).run()
    return replace(report, seconds=time.monotonic() - began)


@dataclass(frozen=True)
class _Done:
    """What came out of a reset."""

    after: tuple[FunctionState, ...]
    memory: tuple[MemoryLook, ...]
    findings: tuple[Finding, ...]


class _Cleaning:
    """One cleaning of one card."""

    def __init__(self, root: Path, host: Host, card: Card, scrub: bool) -> None:
        self.root, self.host, self.card, self.scrub = root, host, card, scrub
        self.addresses = tuple(str(function.address) for function in card.functions)
        self.steps: list[CleanStep] = []

    def run(self) -> CleanReport:
        held = self._held()
        if held:
            return self._report(BUSY, findings=held)
        choice = self._choice()
        if isinstance(choice, Finding):
            return self._report(OUT, findings=(choice,))
        before: tuple[FunctionState, ...] = ()
        try:
            with awake(self.root, self.card.slot, self.addresses, self._say):
                before = self._states()
                done = self._reset(choice, before)
        except WholecardError as error:
            failed = self._broken(f"{error.brief}. {error.details}".rstrip(". "))
            report = self._report(OUT, choice, before, findings=(failed,))
            return replace(report, after=self._states())
        verdict = _verdict(done.findings)
        report = self._report(verdict, choice, before, done.findings)
        return replace(report, after=done.after, memory=done.memory)

    def _reset(self, choice: Choice, before: tuple[FunctionState, ...]) -> _Done:
        seen = self._look({})
        groups = sorted({f.iommu_group for f in self.card.functions if f.iommu_group is not None})
        # Once more, at the last moment: reading the memory took seconds.
        held = self._held()
        if held:
            return _Done(before, (), held)
        reset(self.root, choice, groups, self.addresses[0], self._say)
        wait_until_alive(self.root, self.addresses)
        for address in self.addresses:
            decode_memory(self.root, address)
        after = self._states()
        findings = tuple(self._faults(before, after))
        if findings:
            return _Done(after, (), findings)
        memory = self._memory(seen)
        return _Done(after, memory, tuple(self._memory_findings(memory)))

    def _held(self) -> tuple[Finding, ...]:
        """WC573: who still has the card, its companions included, or which driver."""
        everything = (*self.card.functions, *self.card.companions)
        uses = in_use.find(self.root, None, (function.address for function in everything))
        drivers = {
            function.address: function.driver
            for function in self.card.functions
            if function.driver is not None and not function.is_on_vfio
        }
        reasons = [each.message for each in uses]
        reasons += [f"{address} is on the driver {name}." for address, name in drivers.items()]
        return tuple(
            Finding(
                "WC573",
                self.card.slot,
                Severity.ERROR,
                f"{self.card.slot} was not cleaned: {reason}",
                "See which server has it: virsh list, wholecard audit. It is tried again later.",
            )
            for reason in reasons
        )

    def _choice(self) -> Choice | Finding:
        bridge = bridge_above(self.card)
        can_reset = (
            bridge is not None and (folder_of(self.root, str(bridge)) / SUBORDINATE).exists()
        )
        return choose(self.card, self.host.functions, can_reset)

    def _states(self) -> tuple[FunctionState, ...]:
        return tuple(read_state(self.root, address) for address in self.addresses)

    def _say(self, what: str, undo: str) -> None:
        self.steps.append(CleanStep(what, undo))

    def _faults(
        self, before: Sequence[FunctionState], after: Sequence[FunctionState]
    ) -> Iterator[Finding]:
        """WC571: what does not work any more."""
        for was, now in zip(before, after):
            for fault in _faults_of(was, now):
                yield self._broken(f"{now.address} {fault}")

    def _broken(self, what: str) -> Finding:
        return Finding(
            "WC571",
            self.card.slot,
            Severity.ERROR,
            f"{self.card.slot} is not in order after its reset: {what}",
            "Keep it out. Reboot the host, then clean it again; if that does not help, replace it.",
        )

    def _look(self, before: _Bars) -> _Bars:
        return {
            (address, bar): video_memory.look(
                self.root, address, bar, size, before[address, bar][1] if before else None
            )
            for address in self.addresses
            for bar, size in video_memory.memory_bars(self.root, address)
        }

    def _memory(self, before: _Bars) -> tuple[MemoryLook, ...]:
        """What is seen after the reset; overwritten, and seen again, where that is asked for."""
        seen = self._look(before)
        for (address, bar), (look, _) in list(seen.items()):
            if not (self.scrub and look.visible and look.zero * video_memory.PAGE < look.size):
                continue
            if not video_memory.is_plain_memory(self.root, address, bar, look.size):
                continue
            count = video_memory.overwrite(self.root, address, bar, look.size)
            self._say(
                f"set {count} bytes behind BAR {bar} of {address} to zero",
                "no undo: what was there is the last tenant's and nobody may have it",
            )
            again, digests = video_memory.look(
                self.root, address, bar, look.size, before[address, bar][1]
            )
            seen[address, bar] = (replace(again, overwritten_bytes=count), digests)
        return tuple(look for look, _ in seen.values())

    def _memory_findings(self, memory: Sequence[MemoryLook]) -> Iterator[Finding]:
        for look in memory:
            if look.kept:
                pages = look.looked_at_bytes // video_memory.PAGE
                yield Finding(
                    "WC570",
                    self.card.slot,
                    Severity.ERROR,
                    f"{look.address} still has memory from before the reset: {look.kept} of "
                    f"{pages} pages behind BAR {look.bar} are the same as before",
                    "Clean it with --scrub-visible, which overwrites what the host can see.",
                )
        if not any(look.visible for look in memory):
            why = "; ".join(f"BAR {look.bar}: {look.why}" for look in memory)
            yield Finding(
                "WC574",
                self.card.slot,
                Severity.NOTE,
                f"the memory of {self.card.slot} cannot be looked at from the host"
                f" ({why or 'no function has a prefetchable BAR'})",
                "The reset is all that is known to have cleared it. Ask the vendor what its reset "
                "clears, or clear the memory from within: see the page.",
            )

    def _report(
        self,
        verdict: str,
        choice: Choice | None = None,
        before: tuple[FunctionState, ...] = (),
        findings: tuple[Finding, ...] = (),
    ) -> CleanReport:
        return CleanReport(
            self.card.slot,
            self.addresses,
            verdict,
            choice.name if choice else "",
            choice.reason if choice else "",
            tuple(self.steps),
            before,
            findings=findings,
        )


def _verdict(findings: Sequence[Finding]) -> str:
    rules = {finding.rule for finding in findings}
    if "WC573" in rules:
        return BUSY
    if "WC571" in rules:
        return OUT
    return NOT_CLEARED if "WC570" in rules else CLEAN


def _faults_of(was: FunctionState, now: FunctionState) -> Iterator[str]:
    """What is worse than before the reset, as a predicate of a sentence."""
    if not now.alive:
        yield "does not answer: its configuration space reads as all ones"
        return
    if was.alive and now.bars != was.bars:
        yield "has other base addresses than before"
    if now.power not in ("", "D0"):
        yield f"is in {now.power} and does not wake"
    if was.link_width and (now.link_width or 0) < was.link_width:
        yield f"has a link of {now.link_width or 0} lanes, and had {was.link_width}"
    for kind in ("nonfatal", "fatal"):
        more = now.errors.get(kind, 0) - was.errors.get(kind, 0)
        if more > 0:
            yield f"reports {more} {kind} errors (AER) since"
