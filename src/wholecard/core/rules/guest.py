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
    Rule("WC406", "foreign-report", "The report has another nonce", _E,
         "The console has a report that was not made for this run."),
    Rule("WC407", "unreadable-report", "The guest's report cannot be read", _E,
         "Undamaged records contradict each other or have values that no agent writes."),
    Rule("WC408", "gpu-not-counted", "No driver in the guest counts the GPU", _E,
         "The guest has the function, and neither the vendor's tool nor DRM counts it.",
         "note without any driver"),
    Rule("WC409", "server-refused", "nova did not start the server", _E,
         "The server that was to prove its cards is in ERROR."),
    Rule("WC430", "allocations-left", "A deleted server still has allocations", _E,
         "Placement still has allocations of the deleted server."),
    Rule("WC431", "benchmark-failed", "The benchmark did not run or failed its own check", _E,
         "wholecard-bench gave no result in the guest, or a wrong one."),
    Rule("WC432", "container-without-card", "A container did not get the cards", _E,
         "Containers did not run side by side, or one saw no device."),
    Rule("WC433", "guest-tool-failed", "A tool in the guest failed", Severity.WARNING,
         "The vendor's tool or another one ended with an error in the guest."),
    Rule("WC434", "no-bar-mapped", "A function in the guest has no memory mapped", _E,
         "No BAR of the function has an address, so no driver can use it."),
    Rule("WC435", "gpu-seen-twice", "Two servers report the same GPU", _E,
         "One UUID was reported by two servers that ran at one time."),
    Rule("WC436", "ids-not-known", "Which card a flavor asks for is not known", Severity.NOTE,
         "Neither the site file nor Placement says which ids the alias has."),
)  # fmt: skip
