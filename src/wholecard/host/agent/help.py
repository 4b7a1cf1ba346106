"""What `--help` teaches about each of the agent's commands."""

from __future__ import annotations

# One line for each command, in the order in which a person meets them.
COMMANDS = {
    "inspect": "print what the host has; change nothing",
    "check": "list what prevents passthrough of cards",
    "plan": "print what apply would change; change nothing",
    "apply": "prepare these cards, and only these, for passthrough from the next boot on",
    "verify": "check after the reboot that the host is as applied",
    "rollback": "undo the last apply",
    "status": "print what is applied, what changed since, and where a run stopped",
}

AGENT = """\
How a host is prepared, as root:
  inspect              see the cards, their drivers and their IOMMU groups
  check --all-cards    see what prevents passthrough
  plan --all-cards     see every change as a diff; nothing is touched
  apply --all-cards    make the changes, through a journal
  (reboot)
  verify               see that vfio-pci has every function, since boot
  rollback             restore every byte that apply changed; then reboot
  status               see what is applied, and what has changed since

A card is bound whole: all functions of its slot, and with it every card that
shares its IOMMU group. If a run was killed, apply finishes it and rollback
undoes it; status shows where it stopped.

Exit status: 0 all is well, 1 there are findings, 2 called wrongly, 3 something
broke.
"""

# argparse replaces %(prog)s by the command as it was called; a per cent sign is doubled.
_EPILOGS = {
    "inspect": """\
Reads sysfs, procfs and the boot loader's files. Needs root only for what the
kernel shows to root alone, and wakes no sleeping card.

  %(prog)s
      the cards of this host, function by function
  %(prog)s --json
      the same and more, for a program
  %(prog)s --root /mnt/image
      what an image or a copy of a host has

Exit status: 0 it was read, 2 called wrongly, 3 something broke.
""",
    "check": """\
Each finding has a code (WC101), its subject, and a fix. Without --card it
checks every card but the boot display. Changes nothing.

  %(prog)s
      all cards
  %(prog)s --card 0000:88:00
      one card, with what shares its IOMMU group

Exit status: 0 no findings but notes, 1 there are findings, 2 called wrongly,
3 something broke.
""",
    "plan": """\
Prints each change with its reason, how it is undone, and a diff. What is
already as requested is not planned again.

  %(prog)s --all-cards
      every card but the host's displays and coprocessors
  %(prog)s --card 0000:88:00
      one card; may be repeated

Exit status: 0 planned, 1 refused: something in a card's IOMMU group would not
be bound with it, 2 called wrongly, 3 something broke.
""",
    "apply": """\
Makes the changes that plan prints. Each is written to a journal before and
after it is made: if the run is killed, apply finishes it and rollback undoes
it. A second apply changes nothing. Reboot afterwards, then run verify. Needs
root.

  %(prog)s --all-cards --dry-run
      print the plan and stop
  %(prog)s --all-cards
      every card but the host's displays and coprocessors
  %(prog)s --all-cards --now
      bind them in this boot too, if the IOMMU is on and nothing uses them

Exit status: 0 applied, or nothing to do; 1 refused before any change, 2 called
wrongly, 3 something broke: status shows where it stopped.
""",
    "verify": """\
Reads the host again, and the kernel's log: each function of the cards with its
driver, its IOMMU group, and when in the boot it was claimed; then the findings.

  %(prog)s
      a row for each function, then the findings

Exit status: 0 the host is as applied, 1 there are findings, 2 nothing is
applied, 3 something broke, or an apply is unfinished.
""",
    "rollback": """\
Undoes the newest journal in reverse order: every file gets back its bytes, mode
and owner. If a file was edited since, nothing is changed. Reboot afterwards.
Needs root.

  %(prog)s
      undo the last apply
  %(prog)s --discard-edits
      also where files were edited since
  %(prog)s --to 0
      undo every apply; --to 2 leaves the host as journal 0002 left it

Exit status: 0 undone, 2 there is nothing to undo, 3 something broke: status
shows where.
""",
    "status": """\
Shows what is applied, whether the host was rebooted since, what a person or a
package changed since, and where a killed run stopped. Changes nothing.

  %(prog)s
      for a person; --json for a program

Exit status: 0 nothing is applied or nothing has changed since, 1 a run is
unfinished (apply finishes it and rollback undoes it) or a file differs,
2 called wrongly, 3 something broke.
""",
}


def epilog(command: str) -> str:
    """The text below a command's options: what it does, examples, its exit status."""
    return _EPILOGS.get(command, "")
