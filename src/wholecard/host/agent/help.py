"""What `--help` teaches about each of the agent's commands."""

from __future__ import annotations

# One line for each command, in the order in which a person meets them.
COMMANDS = {
    "inspect": "print what the host has; change nothing",
    "check": "say what keeps cards from being given",
    "plan": "print what apply would change; change nothing",
    "apply": "change the host so that it gives these cards, and only these, after a reboot",
    "verify": "say whether the host stands as applied, after the reboot",
    "rollback": "undo the last apply that stands",
    "status": "say what is applied, what differs since, and where an unfinished run stopped",
}

AGENT = """\
The way of a host, as root:
  inspect              see the cards, their drivers and their IOMMU groups
  check --all-cards    see what keeps them from being given
  plan --all-cards     see every change as a diff; nothing is touched
  apply --all-cards    make the changes, through a journal
  (reboot)
  verify               see that vfio-pci has every function, since boot
  rollback             put back every byte that apply changed; then reboot
  status               see what stands applied, and what differs since

A card is given whole: all functions of its slot, and with it every card that
shares its IOMMU group. A run that was killed is finished by apply or undone by
rollback; status says where it is.

Exit status: 0 all is well, 1 there are findings, 2 called wrongly, 3 something
broke.
"""

# argparse puts the command as it was called in the place of %(prog)s; a per cent sign is doubled.
_EPILOGS = {
    "inspect": """\
Reads sysfs, procfs and the boot loader's files. Needs no root for what the
kernel shows to all, and wakes no sleeping card.

  %(prog)s
      the cards of this host, function by function
  %(prog)s --json
      the same and more, for a program
  %(prog)s --root /mnt/image
      what an image or a copy of a host has

Exit status: 0 it was read, 2 called wrongly, 3 something broke.
""",
    "check": """\
Each finding has a code (WC101), what it is about, and its fix. Without a card's
name it is about every card but the boot display. Changes nothing.

  %(prog)s
      all cards
  %(prog)s --card 0000:88:00
      one card, with what shares its IOMMU group

Exit status: 0 nothing keeps them, 1 there are findings, 2 called wrongly,
3 something broke.
""",
    "plan": """\
Prints each change with why it is made, how it is undone, and as a diff. What
stands already as wished is not planned again.

  %(prog)s --all-cards
      every card but the boot display and the BMC's
  %(prog)s --card 0000:88:00
      one card; may be repeated

Exit status: 0 planned, 1 refused: something in a card's IOMMU group would not
be given with it, 2 called wrongly, 3 something broke.
""",
    "apply": """\
Makes the changes that plan prints, each written to a journal before and after,
so that a run that was killed is finished by apply or undone by rollback. Run
twice it changes nothing more. Afterwards reboot, then run verify. Needs root.

  %(prog)s --all-cards --dry-run
      print the plan and stop
  %(prog)s --all-cards
      every card but the boot display and the BMC's
  %(prog)s --all-cards --now
      bind them in this boot too, where the IOMMU is on and nobody uses them

Exit status: 0 applied, or nothing to do; 1 refused before anything was touched,
2 called wrongly, 3 something broke: status says where it stopped.
""",
    "verify": """\
Reads the host anew, and the kernel's log: each function of the cards with its
driver, its IOMMU group, and when in the boot it was claimed; then the findings.

  %(prog)s
      a row for each function, then the findings

Exit status: 0 all stands as applied, 1 there are findings, 2 nothing is
applied, 3 something broke, or an apply is unfinished.
""",
    "rollback": """\
Plays the newest journal backwards: every file gets back its bytes, mode and
owner. A file that a person edited since stops it before anything is touched.
Afterwards reboot. Needs root.

  %(prog)s
      undo the last apply that stands
  %(prog)s --discard-edits
      also where files were edited since
  %(prog)s --to 0
      undo every apply; --to 2 leaves the host as journal 0002 left it

Exit status: 0 undone, 2 there is nothing to undo, 3 something broke: status
says where.
""",
    "status": """\
What is applied, whether the host was rebooted since, what a person or a package
changed since, and where a run that was killed stands. Changes nothing.

  %(prog)s
      for a person; --json for a program

Exit status: 0 nothing is applied or all of it stands, 1 a run is unfinished
(apply finishes it and rollback undoes it) or a file differs, 2 called wrongly,
3 something broke.
""",
}


def epilog(command: str) -> str:
    """What is said below a command's options: what it does, examples, its exit status."""
    return _EPILOGS.get(command, "")
