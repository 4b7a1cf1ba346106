"""Random work from a seed, and each of its audits judged by the oracle."""

from __future__ import annotations

from pathlib import Path

from simulator.simulator import Simulator, found, in_flight


def judge(simulator: Simulator, wait: bool) -> None:
    """An audit: what it finds is there; after a wait, all that is there is found.

    nova frees rows while an audit waits. What comes up then has been seen once: it is in flight,
    and the next audit finds it.
    """
    report = simulator.audit() if wait else simulator.audit(wait=None)
    says, is_there = found(report), simulator.expected()
    if wait and is_there != says and is_there - says <= in_flight(report):
        report = simulator.audit()
        says, is_there = found(report), simulator.expected()
    false, missed = says - is_there, (is_there - says if wait else frozenset())
    if false or missed:
        messages = "\n".join(f"  {row.rule} {row.subject} {row.message}"
                             for row in report.disagreements)  # fmt: skip
        raise AssertionError(
            f"false alarms {sorted(false)}, missed {sorted(missed)}\n{messages}\n"
            f"begun: {simulator.begun}, away: {simulator.away}"
        )


def work(folder: Path, seed: int, operations: int) -> Simulator:
    """A cloud after so many operations, with an audit after each fifth, and one that waits after
    each 25th and at the end. Raises AssertionError that says how it is seen again."""
    with Simulator(folder, seed) as simulator:
        try:
            for number in range(1, operations + 1):
                simulator.operate()
                if number % 5 == 0:
                    judge(simulator, wait=False)
                if number % 25 == 0:
                    judge(simulator, wait=True)
            simulator.settle()
            judge(simulator, wait=True)
        except Exception as error:
            last = "\n".join(f"  {line}" for line in simulator.log[-25:])
            raise AssertionError(
                f"seed {seed}, in operation {simulator.operations}: {error}\n{last}\n"
                f"again: WHOLECARD_SEED={seed} WHOLECARD_OPERATIONS={simulator.operations}"
            ) from error
    return simulator
