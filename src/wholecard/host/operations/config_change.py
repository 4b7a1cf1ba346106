"""What one kind of change asks of a host: the desired files, and the tools that follow them."""

from __future__ import annotations

from wholecard.core.marks import WRITTEN
from wholecard.core.record import dataclass
from wholecard.host.config_files import FileText
from wholecard.host.operations.run_tool import RunTool

# The first line of each file that Wholecard writes on a host, behind a script's `#!`.
HEAD_LINE = f"# {WRITTEN}; `wholecard-host rollback` takes it back.\n"


@dataclass(frozen=True)
class FollowUp:
    """A tool that carries changed files into what the next boot reads.

    It runs where one of the files `after` changes, or always where it names none. `undo` is a
    sentence for the person.
    """

    subject: str
    reason: str
    do: RunTool
    undo: str
    after: tuple[str, ...] = ()


@dataclass(frozen=True)
class ConfigChange:
    """Files, each with the reason for it, and tools in the order in which they run."""

    files: tuple[tuple[FileText, str], ...] = ()
    tools: tuple[FollowUp, ...] = ()
