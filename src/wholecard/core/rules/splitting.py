"""Rules of splitting a card: WC600 to WC699."""

from __future__ import annotations

from wholecard.core.rules.rule import Rule, Severity

_E = Severity.ERROR
_W = Severity.WARNING

RULES = (
    Rule("WC601", "two-ways-for-one-card", "A card is asked for in two ways at once", _E,
         "One card cannot be given whole and in parts, or as mediated devices and as VFs."),
    Rule("WC602", "two-types-below-one-card", "One card cannot have these vGPU types together", _E,
         "As they are set up, nova or the card's driver cannot have these types below one card."),
    Rule("WC603", "mig-driver-too-old", "The driver is too old for MIG on this card", _E,
         "Each card has a first driver that can split it by MIG, and the host's is older."),
    Rule("WC604", "mig-geometry-does-not-fit", "The MIG instances do not fit on the card", _E,
         "The card has no place for all of these MIG instances at once, or no such profile."),
    Rule("WC605", "too-many-vfs", "The card cannot have that many VFs", _E,
         "The card's PF, or the vendor's table, allows another number of virtual functions."),
    Rule("WC606", "way-not-possible", "The card cannot be split in this way", _E,
         "The card, the host's driver or its kernel cannot split it in the way that is asked for."),
    Rule("WC607", "gpus-no-partition", "GPUs of a board are no partition of its NVSwitches", _E,
         "Fabric Manager connects only certain sets of GPUs, and these are none of them."),
    Rule("WC608", "flavor-without-partition", "A flavor's GPUs may be no partition of a board", _W,
         "nova may give its servers GPUs that Fabric Manager cannot connect for one server.",
         "error for a set in part, or for two sets"),
    Rule("WC610", "unknown-slice-type", "The driver has no such type", _E,
         "The vGPU type or the type of mediated devices is not among those of the card's driver."),
    Rule("WC611", "too-many-of-a-type", "The card has no room for so many of a type", _E,
         "The driver can have fewer mediated devices of this type than are requested."),
    Rule("WC612", "not-split-as-requested", "A card is not split as requested", _E,
         "VFs, types, mediated devices or MIG instances are not there, or are others."),
)  # fmt: skip
