"""WC64x: what can still be given, and who counts it wrongly."""

from __future__ import annotations

from wholecard.core.rules.rule import Rule, Severity

_E, _W, _N = Severity.ERROR, Severity.WARNING, Severity.NOTE

RULES = (
    Rule("WC640", "blazar-counts-otherwise", "Blazar counts other servers than fit", _N,
         "Blazar would reserve more or fewer servers of a flavor than the hosts' cards allow."),
    Rule("WC641", "cards-stranded", "Free cards that no flavor can use", _N,
         "Cards or slices are free, and no flavor fits on their host any more."),
    Rule("WC642", "mix-does-not-fit", "A mix of flavors does not fit", _E,
         "Not all servers of the mix that was asked about got a place."),
    Rule("WC643", "resources-of-pci-cards", "A flavor takes cards and gets no device", _W,
         "A flavor asks by resources: for a class that PCI devices have; Placement counts them as "
         "used, and nova gives its servers no device."),
    Rule("WC644", "flavor-not-counted", "A flavor was not counted", _N,
         "What a flavor with cards takes is not known, so that it is not in the answer."),
)  # fmt: skip
