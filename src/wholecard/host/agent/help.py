"""What `--help` teaches about each of the agent's commands."""

from __future__ import annotations

# One line for each command, in the order in which a person meets them.
COMMANDS = {
    "inspect": "print what the host has; change nothing",
    "check": "list what prevents passthrough of cards",
    "plan": "print what apply would change; change nothing",
    "apply": "prepare exactly these cards for passthrough from the next boot on",
    "verify": "after the reboot, check that the host is in the applied state",
    "split": "make the parts of cards that were requested; the unit runs it at each boot",
    "rollback": "undo the last apply",
    "status": "print what is applied, what changed after it, and where a run stopped",
    "health": "list the errors of cards that the kernel, QEMU and the link show",
    "clean-card": "reset a card that no server has, and look for what the last one left in it",
}

AGENT = """\
How a host is prepared, as root:
  inspect              see the cards, their drivers and their IOMMU groups
  check --all-cards    see what prevents passthrough
  plan --all-cards     see every change as a diff; nothing is changed
  apply --all-cards    make the changes, through a journal
  (reboot)
  verify               check that vfio-pci bound every function at boot
  rollback             restore every byte that apply changed; then reboot
  status               see what is applied, and what has changed after it

A card is bound as a whole: with all its functions, and with every card
that shares its IOMMU group. If a run was killed, apply finishes it or rollback
undoes it; status shows where it stopped.

Exit status: 0 all is well, 1 there are findings, 2 called wrongly, 3 something
broke.
"""

# argparse replaces %(prog)s by the command as it was called; a per cent sign is doubled.
_EPILOGS = {
    "inspect": """\
Reads sysfs, procfs and the boot loader's files. Root is needed only for facts
that the kernel shows only to root. A card in runtime suspend is not woken.

  %(prog)s
      the cards of this host, function by function
  %(prog)s --json
      the same facts and more, as JSON for a program
  %(prog)s --topology
      who is with whom: NUMA nodes, ports, switches, cards, links, disks
  %(prog)s --domains --json
      also which server has which device, as `wholecard audit` reads it
  %(prog)s --root /mnt/image
      the facts of an image, or of a copy of a host

Exit status: 0 the facts were read, 2 called wrongly, 3 something broke.
""",
    "check": """\
Each finding has a code (WC101), its subject, and a fix. Without --card it
checks every card except the boot display. Changes nothing.

  %(prog)s
      all cards
  %(prog)s --card 0000:88:00
      one card, with what shares its IOMMU group

Exit status: 0 no findings, or notes only, 1 there are findings, 2 called
wrongly, 3 something broke.
""",
    "plan": """\
Prints each change as a diff, with its reason and how it is undone. Settings
that are already correct are not in the plan. After it come the errors and
warnings about the cards that stay when the plan is applied, and a line that
sums it up. Of Wholecard's own scripts it prints the size; --full prints them.

  %(prog)s --all-cards
      every card except the host's own displays and coprocessors
  %(prog)s --card 0000:88:00
      one card; may be repeated

Exit status: 0 planned, also with warnings; 1 refused (the IOMMU group of a card
has an endpoint that is not selected), or an error that the plan does not
change; 2 called wrongly, 3 something broke.
""",
    "apply": """\
Makes the changes that plan prints. A journal records each change before and
after it is made. If the run is killed, run apply again to finish it, or
rollback to undo it. A second apply changes nothing. Afterwards reboot, then run
verify. Needs root. At a terminal it prints the plan and asks; a script, a pipe
or ssh without a terminal is not asked.

  %(prog)s --all-cards --dry-run
      print the plan and stop
  %(prog)s --all-cards
      every card except the host's own displays and coprocessors
  %(prog)s --all-cards --yes
      do not ask
  %(prog)s --all-cards --now
      also bind them now, if the IOMMU is on and nothing uses them

Exit status: 0 applied, also with warnings, or nothing to do; 1 refused before
any change, or applied, but an error stays that the plan does not change;
2 called wrongly, 3 something broke: status shows where it stopped.
""",
    "verify": """\
Reads the host's facts again, and the kernel's log. Prints each function of the
cards with its driver, its IOMMU group and the time in the boot at which
vfio-pci claimed it; then the findings.

  %(prog)s
      a row for each function, then the findings

Exit status: 0 the host is in the applied state, 1 there are findings,
2 nothing is applied, 3 something broke, or an apply is unfinished.
""",
    "clean-card": """\
Refuses if a domain or a process has the card, or a driver that is not of VFIO.
Then resets it by the best method that the host has for this model, and checks
that it works as before: configuration space, base addresses, power state, link,
AER's counters. Samples the memory that is visible through prefetchable BARs
before and after the reset, and counts the pages that are the same. Needs root.

  %(prog)s 0000:88:00
      reset, check, look
  %(prog)s 0000:88:00 --scrub-visible
      also set the visible memory to zero, if it is plain memory

It changes nothing in OpenStack: wholecard handover gives the card back.

Exit status: 0 clean, 1 not clean, or in use, or not in order, 2 called wrongly,
3 something broke.
""",
    "split": """\
Makes VFs, their types, mediated devices and MIG instances as the last apply
stored them in /etc/wholecard/splits.json, and finishes what a power loss left
half done. A card that is split as requested is not touched; one whose driver
refuses half way is rolled back. wholecard-splits.service runs this at each
boot, before nova-compute. Needs root.

  %(prog)s
      make what is missing
  %(prog)s --wait 180
      first wait up to 180 seconds until the cards' drivers are loaded

Exit status: 0 every card is split as requested, 2 nothing is stored or called
wrongly, 3 a card is not: status shows why.
""",
    "rollback": """\
Undoes the changes of the newest journal in reverse order, and restores the
bytes, mode and owner of every file. If a file was edited after apply, it stops
and changes nothing. Reboot afterwards. Needs root.

  %(prog)s --plan
      print what would be undone, and which files were edited since; stop
  %(prog)s
      undo the last apply; at a terminal it asks, unless --yes is given
  %(prog)s --discard-edits
      also undo files that were edited after apply; these edits are lost
  %(prog)s --to 0
      undo every apply; --to 2 leaves the host as journal 0002 left it

Exit status: 0 undone, 1 not undone because a person said no, or, with --plan,
because of edits; 2 there is nothing to undo, 3 something broke: status shows
where.
""",
    "status": """\
Shows what is applied, whether the host was rebooted after it, what a person or
a package has changed after it, and where a killed run stopped. It changes
nothing.

  %(prog)s
      text for a person; use --json for a program

Exit status: 0 nothing is applied, or nothing has changed after apply, 1 a run
is unfinished (apply finishes it or rollback undoes it) or a file differs,
2 called wrongly, 3 something broke.
""",
    "health": """\
Reads AER's counters, the links, the power states and the first bytes of each
card's configuration space, the kernel's log of this boot and QEMU's logs.
Changes nothing and wakes no card. Without root some of it is not read; the
answer names it. All counts begin at boot.

  %(prog)s
      a row for each card, then the findings
  %(prog)s --json
      every counter and every line of the logs about a card

Exit status: 0 no findings, or notes only, 1 there are findings, 2 called
wrongly, 3 something broke.
""",
}


def epilog(command: str) -> str:
    """The text below a command's options: what it does, examples, its exit status."""
    return _EPILOGS.get(command, "")
