"""What only a person can do: the step, and why Wholecard does not do it."""

from __future__ import annotations

from wholecard.repair.remedies.case import ManualStep, Remedy, RepairCase


def by_hand(text: str, reason: str) -> Remedy:
    """A remedy that is always this step; `text` may have {host}, {address} and {server}."""

    def remedy(case: RepairCase) -> ManualStep:
        return case.by_hand(text, reason)

    return remedy


def heal_allocations(case: RepairCase) -> ManualStep | None:
    """A server whose whole allocation is gone: nova-manage writes it again from the flavor.

    It writes the host's own provider alone; nova-compute then adds the cards.
    """
    if case.placement.consumer(case.disagreement.server).generation is not None:
        return None
    return case.by_hand(
        "Run on a controller: nova-manage placement heal_allocations --instance {server}. Then "
        "restart nova-compute on {host}, which adds the card.",
        "Placement has nothing of this server any more, and what its flavor asks for is nova's own "
        "computation. It refuses a server with VGPU: migrate such a server.",
    )


def server_must_go(case: RepairCase) -> ManualStep:
    """A device is gone that a server has."""
    return case.by_hand(
        "Migrate or delete server {server}: wholecard migrate {server}. Then restart nova-compute "
        "on {host}, which removes the row.",
        "nova keeps the row as long as the server has it, and its guest has lost its device.",
    )


HARD_REBOOT = by_hand(
    "Hard-reboot the server: openstack server reboot --hard {server}. nova defines its domain "
    "again, with its devices.",
    "It stops the guest, and when that may be is its owner's decision.",
)

END_ONE = by_hand(
    "Find out whose the device is ({host} {address}), and stop or delete the other server. Start "
    "or reboot neither of the two before.",
    "Which server keeps the device cannot be known from the views, and a guest would lose it.",
)

MOVE_THE_SERVER = by_hand(
    "Migrate server {server} to another host: wholecard migrate {server}. It gets devices that "
    "nova and Placement count there.",
    "A change below a running guest would be wrong as soon as the guest is started again.",
)

DEVICE_SPEC = by_hand(
    "Write the device_spec of {address} back on {host} before the next restart of nova-compute, "
    "or let the server end: nova then removes the device.",
    "Whether the device was removed on purpose is not known. Nothing is wrong as long as the "
    "server runs.",
)

PARENT_GONE = by_hand(
    "Make the VFs of {host} again and restart nova-compute there, or, where the card is gone for "
    "good, delete the provider of {address}.",
    "Whether the card comes back is not known, and what a parent had is lost with its provider.",
)

ONE_CARD = by_hand(
    "Migrate one of the servers, and write an alias that gives the whole card: wholecard nova "
    "render.",
    "Both guests use their functions, and a reset of the card reaches both.",
)

BIND = by_hand(
    "Bind the device as the host's plan says: wholecard --on {host} host apply {address} --now.",
    "It changes the host and not the cloud, and has its own plan, journal and rollback.",
)

END_DOMAIN = by_hand(
    "Look at the domain on {host}: virsh dominfo {server}. If nobody needs it: virsh destroy "
    "{server}. Audit again after it.",
    "A guest runs in it, and it may be the only copy of somebody's work.",
)

HELD_PROVIDER = by_hand(
    "Repair first what holds the provider (audit shows it under its own rule), then this again.",
    "Placement keeps a provider as long as something is allocated of it.",
)

ALL_OF_IT = by_hand(
    "See what server {server} holds: openstack resource provider allocation show {server}. If its "
    "build failed or never ends, delete the server: nova then removes its allocation. Else repair "
    "its other findings first, then this again.",
    "It holds nothing on the host where it is: without this part it would hold nothing at all.",
)

LOOK = by_hand(
    "Look at {host} {address} in all four views: wholecard audit --host {host}.",
    "What the audit knows of it is not enough to guard a change.",
)
