"""What a card is now, in one word: the same word in every command."""

from __future__ import annotations

import enum


class CardState(enum.StrEnum):
    """What a card is now; the first that holds counts.

    `broken`: a finding about it is an error. `given`: a server has it. `dirty`: it was used once,
    and is not given back yet (nova's one-time-use). `reserved`: somebody reserved it in Placement,
    so that no server gets it. `free`: a server can get it. `unknown`: neither Placement nor libvirt
    was read.
    """

    BROKEN = "broken"
    GIVEN = "given"
    DIRTY = "dirty"
    RESERVED = "reserved"
    FREE = "free"
    UNKNOWN = "unknown"
