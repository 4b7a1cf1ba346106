"""WC5xx: where nova, Placement and the host disagree."""

from __future__ import annotations

from wholecard.core.rules.rule import Rule, Severity

_E = Severity.ERROR

RULES = (
    Rule("WC501", "card-not-free", "A card is not free again", _E,
         "The servers are deleted, but a card is still in use in nova, Placement or the host."),
)  # fmt: skip
