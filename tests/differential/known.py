"""Every difference from nova there is, with its reason. One that is no longer there fails too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from differential.compare import Difference

__all__ = ["KNOWN", "Known", "known_for"]

Answer = Mapping[str, Any]


@dataclass(frozen=True)
class Known:
    """A difference on purpose: where it is seen, and why it stays."""

    name: str
    reason: str
    applies: Callable[[Difference, Answer, Answer, Answer], bool]


def _dangerous(_difference: Difference, _case: Answer, ours: Answer, _nova: Answer) -> bool:
    # Without that spec everything further on in the case is decided from fewer specs.
    return {"refused": "SpecError:dangerous-regex"} in ours["specs"]


def _unreportable(difference: Difference, _case: Answer, _ours: Answer, nova: Answer) -> bool:
    return not nova["reportable"] and difference.path in ("pools", "supports")


def _no_topology(difference: Difference, case: Answer, _ours: Answer, nova: Answer) -> bool:
    return (
        difference.path == "supports"
        and case["host_cells"] is None
        and nova["supports"] == {"refused": "AttributeError"}
    )


KNOWN = (
    Known(
        "dangerous-regex",
        "We refuse a regular expression that could be tried in more than 100,000 ways on four "
        "digits. nova compiles it, and may then match for hours; nobody needs one for an address.",
        _dangerous,
    ),
    Known(
        "unreportable-tag",
        "An unknown key whose value is a list or an object becomes a tag that nova-compute cannot "
        "write into its report: its periodic task fails (ValueError), and the scheduler never "
        "sees the pools. We judge the pools as they would be.",
        _unreportable,
    ),
    Known(
        "no-topology",
        "With the NUMA policy `socket` on a host that reports no NUMA topology nova stumbles "
        "(AttributeError) instead of answering. We say that the host cannot take the server.",
        _no_topology,
    ),
)


def known_for(difference: Difference, case: Answer, ours: Answer, nova: Answer) -> Known | None:
    """The known difference that this one is; None where it is a new one."""
    return next((each for each in KNOWN if each.applies(difference, case, ours, nova)), None)
