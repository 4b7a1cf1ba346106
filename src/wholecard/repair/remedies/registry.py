"""The remedies of each rule, the least invasive first, and why they are safe.

`docs/rules/` gets its sections "Repair" from here (scripts/docs/rule_pages.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wholecard.repair.remedies import by_hand, database, nova_itself, placement
from wholecard.repair.remedies.case import Remedy
from wholecard.repair.remedies.nova_itself import CORRECTED_BY_COMPUTE, restart_compute


@dataclass(frozen=True)
class RuleRepair:
    """What repair does about a rule's findings. The first remedy that answers counts.

    `does` and `safe` are sentences for the rule's page.
    """

    remedies: tuple[Remedy, ...]
    does: str
    safe: str


_GUARDED_ROW = (
    "The row is changed in one transaction, which is guarded by its id, status, instance_uuid and "
    "updated_at as the audit read them, and by all its other columns as the journal has them. The "
    "host's domains are read before it and again in it: a device that a domain has is never freed. "
    "The whole former row is in the journal, and rollback writes it back."
)
_GUARDED_ALLOCATION = (
    "Placement gets the consumer's generation and refuses the change where anybody wrote it since; "
    "then it is read and guarded again. No domain of the host may have the device. Rollback gives "
    "back the same amounts, with the same project, user and type."
)
_GUARDED_ALLOCATION_OF_HOLDER = (
    "The only running domain with the device has to be the server's. Placement gets the "
    "generations of the consumers and refuses the change where anybody wrote them since. Rollback "
    "gives back the same amounts."
)
_NOVA_ITSELF = (
    "nova-compute alone knows what its host has. Servers run on while it is restarted, and nothing "
    "is written by Wholecard."
)
_NOTHING = "Nothing is changed."
_RESTART = "It waits for nova-compute's next run, then restarts nova-compute or asks you to"
# What nova-compute reads of its host: nova/compute/resource_tracker.py, _setup_pci_tracker.
_AT_ITS_START = (
    "It restarts nova-compute or asks you to: only then does nova-compute read its devices and "
    "device_spec"
)
_FREES = (
    f"{_RESTART}. Where nova-compute is down, or was restarted without effect (--beyond-restart), "
    "repair sets the row of pci_devices to available."
)
_BY_HAND = "It names the step and leaves it to a person"

_ROW_FREED: tuple[Remedy, ...] = (restart_compute, database.free_row, by_hand.LOOK)
_CORRECTED = RuleRepair(
    CORRECTED_BY_COMPUTE, f"{_RESTART}: nova-compute corrects this at every start.", _NOVA_ITSELF
)
_READ_AT_START = RuleRepair(
    CORRECTED_BY_COMPUTE, f"{_AT_ITS_START}, and corrects this.", _NOVA_ITSELF
)

REPAIRS: Mapping[str, RuleRepair] = {
    "WC510": RuleRepair(
        (nova_itself.unless_held, restart_compute, database.mark_deleted, by_hand.LOOK),
        f"{_AT_ITS_START}, and it removes the row of a device that is gone. Where nova-compute is "
        "down, repair marks the row deleted as nova does. A row that a server has is left until "
        "the server has gone.",
        _GUARDED_ROW,
    ),
    "WC511": RuleRepair(_ROW_FREED, _FREES, _GUARDED_ROW),
    "WC512": RuleRepair((by_hand.HARD_REBOOT,), f"{_BY_HAND}: a hard reboot.", _NOTHING),
    "WC513": RuleRepair(
        (database.claim_row, by_hand.MOVE_THE_SERVER),
        "It gives the row of pci_devices to the server whose running domain has the device. "
        "nova-compute has to be restarted after it. Where the row or its request_id is missing, "
        "the server has to be migrated.",
        "The only running domain with the device has to be this server's, before and within the "
        "transaction. The row is guarded as every row is: by id, status, instance_uuid, updated_at "
        "and all its other columns. Rollback writes the former row back.",
    ),
    "WC514": RuleRepair(
        (placement.give_to_holder, by_hand.END_ONE),
        "Where nova's row and the running domain are one server's, and Placement counts the device "
        "for another, it moves the device in Placement from one to the other in one request, and "
        "before any restart of nova-compute, which would not start again (ReshapeFailed). In every "
        "other case a person decides which server keeps the device.",
        _GUARDED_ALLOCATION_OF_HOLDER,
    ),
    "WC515": RuleRepair(
        _ROW_FREED,
        f"{_FREES} What nova-compute keeps for a migration in error is freed at once, and "
        "nova-compute is restarted after it.",
        _GUARDED_ROW,
    ),
    "WC516": RuleRepair(
        (restart_compute, database.mark_deleted, database.free_row, by_hand.LOOK),
        f"{_RESTART}. Where that has no effect or nova-compute is down, repair marks a row "
        "without a server deleted as nova does, and frees a row with one.",
        _GUARDED_ROW,
    ),
    "WC517": RuleRepair((by_hand.DEVICE_SPEC,), f"{_BY_HAND}: the device_spec.", _NOTHING),
    "WC518": RuleRepair((by_hand.ONE_CARD,), f"{_BY_HAND}: one of the servers moves.", _NOTHING),
    "WC519": RuleRepair(_ROW_FREED, _FREES, _GUARDED_ROW),
    "WC520": RuleRepair(
        (placement.drop_consumer, by_hand.LOOK),
        "It takes from the consumer what it holds on this host.",
        f"When it is done nova must have no server with this id. {_GUARDED_ALLOCATION}",
    ),
    "WC521": RuleRepair(
        (placement.give_to_server, placement.drop_consumer, by_hand.LOOK),
        "It takes from the migration what it holds on this host. Where the server itself is there "
        "and has no allocation there, the server gets it, in the same request.",
        _GUARDED_ALLOCATION,
    ),
    "WC522": RuleRepair(
        (placement.drop_old_host, by_hand.ALL_OF_IT),
        "It takes from the server what it holds in the tree of the host that it has left, as nova "
        "does at the end of a move.",
        f"nova must have the server on another host, and this host no domain of it. "
        f"{_GUARDED_ALLOCATION}",
    ),
    "WC523": RuleRepair(
        (by_hand.heal_allocations, restart_compute, placement.add_device, *CORRECTED_BY_COMPUTE),
        f"{_RESTART}: nova-compute adds the device to the server's allocation. Where it is down "
        "or that has no effect, repair adds it. Where the server's whole allocation is gone, "
        "nova-manage writes it first.",
        _GUARDED_ALLOCATION_OF_HOLDER,
    ),
    "WC524": RuleRepair(
        (placement.drop_device, by_hand.LOOK),
        "It takes this device's provider from the server's allocation, and nothing else.",
        _GUARDED_ALLOCATION,
    ),
    "WC525": RuleRepair(
        (restart_compute, placement.remove_provider, by_hand.HELD_PROVIDER),
        f"{_RESTART}: nova-compute removes the provider of a device that is gone. Where it is "
        "down or that has no effect, repair deletes the provider.",
        "Placement itself refuses to delete a provider of which anything is allocated, or that has "
        "providers below it. Rollback makes it again with its uuid, inventories, traits and "
        "aggregates.",
    ),
    "WC526": RuleRepair(
        (restart_compute, placement.remove_provider, by_hand.HELD_PROVIDER),
        f"{_RESTART}: nova-compute makes the row, or removes the provider. Where it is down or "
        "that has no effect, repair deletes the provider.",
        "Placement itself refuses to delete a provider of which anything is allocated. "
        "nova-compute makes it again where device_spec selects the device.",
    ),
    "WC527": _CORRECTED,
    "WC528": RuleRepair(
        (placement.set_parent, by_hand.LOOK),
        "It puts the provider directly below its host's.",
        "What is allocated of the provider stays allocated. Rollback puts it where it was.",
    ),
    "WC529": _CORRECTED,
    "WC530": _CORRECTED,
    "WC531": _READ_AT_START,
    "WC532": RuleRepair(
        (placement.free_reserved, by_hand.LOOK),
        "It sets reserved to 0. A card with one_time_use is left to wholecard handover, which "
        "cleans it first.",
        "The inventory is written with the provider's generation, and only where nobody uses it "
        "and no domain has the device; a conflict is read and guarded again. Rollback sets the "
        "former amount.",
    ),
    "WC533": _READ_AT_START,
    "WC534": RuleRepair(
        (by_hand.HARD_REBOOT,),
        f"{_BY_HAND}: the device is taken from the domain, then a hard reboot.",
        _NOTHING,
    ),
    "WC535": RuleRepair(
        (by_hand.PARENT_GONE,),
        f"{_BY_HAND}: VFs that are made again, or the provider's deletion.",
        _NOTHING,
    ),
    "WC540": RuleRepair((by_hand.BIND,), f"{_BY_HAND}: the host's own apply.", _NOTHING),
    "WC541": RuleRepair(
        (by_hand.HARD_REBOOT,),
        f"{_BY_HAND}: the device is started again on the host, then a hard reboot.",
        _NOTHING,
    ),
    "WC542": RuleRepair((by_hand.END_DOMAIN,), f"{_BY_HAND}: the domain's end.", _NOTHING),
}


def repair_section(code: str) -> str:
    """The section of a rule's page as Markdown, empty for a rule without repair."""
    repair = REPAIRS.get(code)
    if repair is None:
        return ""
    more = "See [Repair what the audit finds](../how-to/repair.md)."
    return f"## Repair\n\n{repair.does}\n\nWhy it is safe: {repair.safe}\n\n{more}\n"
