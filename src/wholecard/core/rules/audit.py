"""WC5xx: where nova, Placement, libvirt and the host disagree; what repair, moves and health say.

WC510-519 nova's rows and libvirt; WC520-539 Placement; WC540-549 the host; WC550-559 the audit
itself; WC560-569 repair; WC570-579 hand-over; WC580-589 health; WC590-599 moves and cards.
"""

from __future__ import annotations

from wholecard.core.rules.rule import Rule, Severity

_E, _W, _N = Severity.ERROR, Severity.WARNING, Severity.NOTE

RULES = (
    Rule("WC501", "card-not-free", "A card is not free again", _E,
         "The servers are deleted, but a card is still in use in nova, Placement or the host."),
    Rule("WC510", "row-without-device", "nova has a row for a device that is gone", _E,
         "nova's pci_devices has a device that the host does not have."),
    Rule("WC511", "row-held-by-deleted-server", "A deleted server still holds a device in nova", _E,
         "nova's pci_devices gives a device to a server that is deleted or unknown."),
    Rule("WC512", "server-without-hostdev", "A server runs without its device", _E,
         "nova gives a device to a server, and its running domain does not have it."),
    Rule("WC513", "hostdev-without-row", "A domain has a device that is free in nova", _E,
         "A domain has a device that nova's pci_devices shows as available, or does not have: nova "
         "can give it to a second server."),
    Rule("WC514", "two-servers-one-card", "Two servers have the same device", _E,
         "The views give one device to two different servers."),
    Rule("WC515", "row-on-old-host", "A device is held on a host that the server has left", _E,
         "nova's pci_devices gives a device to a server that runs on another host, and no "
         "migration of it is in progress."),
    Rule("WC516", "half-deleted-row", "A row of nova contradicts itself", _E,
         "A row of pci_devices is deleted in one column only, or available with a server; or a "
         "device has two rows."),
    Rule("WC517", "device-spec-removed", "device_spec no longer selects a device in use", _W,
         "A server has a device that nova-compute's device_spec does not select any more; nova "
         "removes it when the server goes."),
    Rule("WC518", "card-split", "The functions of one card are with two servers", _E,
         "One card's functions are given to different servers."),
    Rule("WC519", "claimed-for-ever", "A device is claimed and nobody builds with it", _E,
         "A row of pci_devices is claimed, and nova neither builds nor moves its server."),
    Rule("WC520", "allocation-without-server", "Placement counts a device for nobody", _E,
         "An allocation's consumer is neither a server nor a migration of nova."),
    Rule("WC521", "dead-migration-holds-card", "A finished migration still holds a device", _E,
         "An allocation's consumer is a migration that has ended: Placement never gives the device "
         "again."),
    Rule("WC522", "allocation-on-two-hosts", "A server holds resources on a host it has left", _E,
         "A server's allocation names a host that the server is not on, and no migration of it is "
         "in progress."),
    Rule("WC523", "device-not-allocated", "A device in use is free in Placement", _E,
         "A server has a device, and Placement has no allocation for it: the scheduler can offer "
         "it to a second server."),
    Rule("WC524", "allocation-without-device", "Placement counts a device the server lacks", _E,
         "A server's allocation names a device of its host that nova's pci_devices does not give "
         "to it."),
    Rule("WC525", "provider-without-device", "A device that is gone has a provider", _E,
         "A resource provider names a device that the host does not have."),
    Rule("WC526", "inventory-without-row", "Placement offers a device that nova lacks", _E,
         "A resource provider has an inventory, and nova's pci_devices has no row for its device."),
    Rule("WC527", "row-without-provider", "Placement does not have a device of nova's", _W,
         "nova reports devices of this host in Placement, but not this one."),
    Rule("WC528", "wrong-parent", "A device's provider is below the wrong provider", _E,
         "A device's resource provider is not below its host's."),
    Rule("WC529", "wrong-resource-class", "A provider's resource class or amount is wrong", _E,
         "A device's inventory has another resource class or total than nova's row gives."),
    Rule("WC530", "wrong-trait", "A provider's traits are not what nova writes", _W,
         "A device's provider lacks a trait that nova sets, or has one that contradicts its row."),
    Rule("WC531", "wrong-numa-node", "nova has another NUMA node for a device than the host", _W,
         "A row's NUMA node differs from the host's."),
    Rule("WC532", "reserved-for-ever", "A free device is reserved in Placement", _E,
         "An inventory's reserved amount keeps a device from every server, and nobody uses it."),
    Rule("WC533", "row-differs-from-device", "nova's row describes another device", _E,
         "A row's vendor, product or device type differs from what the host has at this address."),
    Rule("WC540", "driver-not-vfio", "A free device does not have a VFIO driver", _E,
         "nova can give the device to a server, and the host's own driver has it, or none.",
         "warning without a driver, for libvirt binds a managed device itself"),
    Rule("WC541", "mdev-missing", "A server's mediated device is gone", _E,
         "A domain names a mediated device that the host does not have."),
    Rule("WC542", "domain-unknown-to-nova", "A domain with a device is unknown to nova", _E,
         "A running domain has a device, and nova has no such server on this host."),
    Rule("WC550", "view-not-read", "A view could not be read", _W,
         "One of the four views was not read, so the audit is not complete."),
    Rule("WC551", "in-flight", "A change is in progress", _N,
         "Two views disagree while nova changes something there, so it does not count yet."),
    Rule("WC570", "memory-kept", "A card shows memory of its last server after the reset", _E,
         "Pages of a card's memory are the same before and after its reset: the next server could "
         "read what the last one left."),
    Rule("WC571", "not-in-order-after-reset", "A card does not work as before after its reset", _E,
         "After the reset a card does not answer, reports errors, or has fewer lanes than before."),
    Rule("WC572", "no-sufficient-reset", "A card has no reset that cleans it", _E,
         "No reset that the host can do is known to clear this card without resetting others."),
    Rule("WC573", "freed-card-in-use", "A card that is free in Placement is in use on its host", _E,
         "Placement counts nobody for a card, and a domain, a process or another driver has it."),
    Rule("WC574", "memory-not-visible", "A card's memory cannot be looked at from the host", _N,
         "No BAR shows the card's memory without the GPU's own driver, so nothing is known of what "
         "its reset left there."),
    Rule("WC575", "card-waits-for-cleaning", "A used card waits to be cleaned", _W,
         "A card is reserved after its use, and its host could not be asked to clean it."),
    Rule("WC576", "card-kept-out", "A card is kept out by an operator", _N,
         "An operator has told the hand-over not to give this card back."),
    Rule("WC590", "server-cannot-move", "A server cannot leave its host", _E,
         "nova would refuse to move the server, or no other host can take it."),
    Rule("WC591", "move-stops-server", "The move stops the server", _N,
         "nova does not migrate the server live, so that its guest is shut down for the move."),
    Rule("WC592", "move-failed", "A move failed", _E,
         "nova did not move the server, and it is where it was or in ERROR."),
    Rule("WC593", "not-as-before-the-move", "A moved server is not as it was", _E,
         "After the move the server's host, status, allocation or devices are not as asked.",
         "note while the host that an evacuated server left is still down"),
    Rule("WC594", "drained-host-not-ready", "A host is not ready for servers again", _E,
         "The proof or the audit of a drained host failed, so that it stays disabled."),
    Rule("WC595", "function-renumbered", "A function has another address", _W,
         "After a change of cards the same function is at another PCI address.",
         "note where nothing on the host or in nova names the old address"),
    Rule("WC596", "held-address-changed", "A server holds an address that is another's now", _E,
         "nova gives a server a PCI address at which the host has nothing, or another device."),
    Rule("WC597", "card-not-as-planned", "The change of a card is not what was planned", _E,
         "A card is missing, has another identity, or sits in another slot than was planned."),
    Rule("WC598", "binding-names-old-address", "A file still names the old address", _E,
         "A binding of the host, or nova's device_spec, names an address that changed."),
)  # fmt: skip
