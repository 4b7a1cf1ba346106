"""What a person is told last, and asked, before a host is changed.

A person is at a terminal: standard input and output are one. A script, a pipe, ssh without a
terminal and `--json` are not asked: they have decided, and go on as with --yes.
"""

from __future__ import annotations

import sys

from wholecard.core import Plan
from wholecard.core.units import counted
from wholecard.host.operations.run_tool import RunTool
from wholecard.host.operations.write_file import WriteFile


def plan_summary(plan: Plan) -> str:
    """`8 changes: 6 files (6 new), 2 tools (dracut, grubby). …`; empty for no change."""
    if not plan.actions:
        return ""
    operations = [action.do for action in plan.actions]
    files = [each.before is None for each in operations if isinstance(each, WriteFile)]
    tools = [each.argv[0].rpartition("/")[2] for each in operations if isinstance(each, RunTool)]
    others = len(operations) - len(files) - len(tools)
    new = sum(files)
    parts = [
        (files, f"{counted(len(files), 'file')} ({new} new, {len(files) - new} changed)"),
        (tools, f"{counted(len(tools), 'tool')} ({', '.join(tools)})"),
        (others, counted(others, "other step")),
    ]
    what = ", ".join(text for is_there, text in parts if is_there)
    reboot = "A reboot is needed." if plan.reboot_needed else "No reboot is needed."
    return f"{counted(len(operations), 'change')}: {what}. {reboot} rollback undoes everything."


def is_asked(yes: bool, for_person: bool) -> bool:
    """Whether a person is there to be asked."""
    return for_person and not yes and sys.stdin.isatty() and sys.stdout.isatty()


def agreed(question: str) -> bool:
    """Ask a person; without an answer it is no."""
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
