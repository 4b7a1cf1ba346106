"""WC4xx: what the proof in a guest says of its card."""

from __future__ import annotations

from wholecard.core.rules.rule import Rule, Severity

_E = Severity.ERROR

RULES = (
    Rule("WC401", "missing-in-guest", "A function is missing in the guest", _E,
         "The guest does not see a function that the server should have."),
    Rule("WC402", "unexpected-in-guest", "A function in the guest that was not requested", _E,
         "The guest sees a function that is neither requested nor the virtual machine's own."),
    Rule("WC403", "split-card", "The functions of a card do not come from one card", _E,
         "nova took the functions of one card from different slots of the host."),
    Rule("WC404", "no-guest-driver", "A function in the guest has no driver bound", _E,
         "The guest's expected driver did not bind the function."),
    Rule("WC405", "no-report", "The guest did not report", _E,
         "The guest's report did not begin, or stopped before its end."),
)  # fmt: skip
