"""What one kind of change asks of a host: files with their new texts, tools, units at boot."""

from __future__ import annotations

from wholecard.core.marks import WRITTEN
from wholecard.core.record import dataclass
from wholecard.host.config_files import UNITS, FileText
from wholecard.host.operations.run_at_rollback import RunAtRollback
from wholecard.host.operations.run_tool import RunTool

# The first line of each file that Wholecard writes on a host, behind a script's `#!`.
HEAD_LINE = f"# {WRITTEN}; `wholecard-host rollback` removes it.\n"


@dataclass(frozen=True)
class FollowUp:
    """A tool that brings changed files into what the next boot reads.

    It runs when one of the files `after` changes, or always when `after` is empty. `undo` is a
    sentence for the person.
    """

    subject: str
    reason: str
    do: RunTool
    undo: str
    after: tuple[str, ...] = ()

    def runs_after(self, changed: set[str]) -> bool:
        """Whether it runs when the files of these paths change."""
        return not self.after or not changed.isdisjoint(self.after)


@dataclass(frozen=True)
class BootCopies:
    """Copies of boot files outside the tree, and the command that makes them again."""

    subject: str
    reason: str
    do: RunAtRollback

    @property
    def undo(self) -> str:
        """A sentence for the person."""
        return "run it after the former files are restored"


@dataclass(frozen=True)
class BootUnit:
    """A systemd service that runs at each boot, for what the kernel forgets: VFs, mdevs, MIG.

    `name` is the unit's, `wholecard-*.service`, which `config_files` reads; `text` are its sections
    but `[Install]`, which names `target`. Source: systemd.unit(5), systemctl(1), "enable".
    """

    name: str
    text: str
    reason: str
    target: str = "multi-user.target"

    @property
    def file(self) -> tuple[FileText, str]:
        """The unit's file and the reason for it."""
        text = f"{HEAD_LINE}{self.text}\n[Install]\nWantedBy={self.target}\n"
        return FileText(f"{UNITS}/{self.name}", text), self.reason

    @property
    def enabling(self) -> FollowUp:
        """The tool that makes the link by which the target starts the unit."""
        return FollowUp(
            f"systemctl enable {self.name}",
            f"{self.target} starts the unit at each boot.",
            RunTool(
                ("systemctl", "enable", self.name),
                (f"{UNITS}/{self.target}.wants/{self.name}",),
                again=("systemctl", "disable", self.name),
            ),
            "remove the unit's link, or disable the unit if the link has changed since",
            after=(f"{UNITS}/{self.name}",),
        )


@dataclass(frozen=True)
class ConfigChange:
    """Files, each with the reason for it, tools in the order in which they run, and units.

    `copies` make the boot copies again at rollback, for where a tool's hooks write beyond what is
    backed up.
    """

    files: tuple[tuple[FileText, str], ...] = ()
    tools: tuple[FollowUp, ...] = ()
    units: tuple[BootUnit, ...] = ()
    copies: tuple[BootCopies, ...] = ()

    @property
    def all_files(self) -> tuple[tuple[FileText, str], ...]:
        """The files and the units' files."""
        return (*self.files, *(unit.file for unit in self.units))

    @property
    def all_tools(self) -> tuple[FollowUp, ...]:
        """The tools and those that enable the units."""
        return (*self.tools, *(unit.enabling for unit in self.units))
