"""How a command ends, whatever happens: its exit status, and what a person reads of an error.

0 all is well, 1 there are findings, 2 called wrongly, 3 something broke. Python itself ends with 1
after an uncaught exception, and click with 1 after a closed pipe: a script would read findings.
"""

from __future__ import annotations

import os
import sys

from wholecard.core.errors import WholecardError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

INTERRUPTED = 130
# What a shell says of a program that SIGPIPE ended, as with `| head`.
UNHEARD = 141


def exit_status(
    run: Callable[[], int], report: Callable[[WholecardError], None], verbose: bool = False
) -> int:
    """The exit status of `run`, whose output is written when this returns.

    An error is handed to `report`; with `verbose` an unexpected one prints its traceback too.
    """
    try:
        status = _status(run)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        _discard_output()
        return UNHEARD
    except Exception as error:
        return _failed(error, report, verbose)
    return status


def _status(run: Callable[[], int]) -> int:
    try:
        return run()
    except SystemExit as end:
        # rich leaves with 1 after a closed pipe (rich.console.Console.on_broken_pipe).
        if isinstance(end.__context__, BrokenPipeError):
            return UNHEARD
        # argparse and click leave so after --help and --version.
        return end.code if isinstance(end.code, int) else 0


def _failed(error: Exception, report: Callable[[WholecardError], None], verbose: bool) -> int:
    ours = _as_wholecard_error(error)
    try:
        if verbose and ours.__cause__ is error:
            import traceback

            traceback.print_exception(type(error), error, error.__traceback__)
        report(ours)
        sys.stdout.flush()
    except OSError:
        # The output itself is what cannot be written: a full disk, a closed terminal.
        _discard_output()
    return ours.exit_code


def _as_wholecard_error(error: Exception) -> WholecardError:
    if isinstance(error, WholecardError):
        return error
    if isinstance(error, OSError):
        from wholecard.transaction.os_errors import as_wholecard_error

        ours = as_wholecard_error(error)
    else:
        ours = WholecardError(
            _clean(f"unexpected {type(error).__name__}: {error}"),
            "This is a bug in Wholecard, not a finding.",
            _report(error),
        )
    ours.__cause__ = error
    return ours


def _report(error: BaseException) -> str:
    """Write the traceback to a file of its owner's; what the person can do with it."""
    import tempfile
    import traceback

    from wholecard import __version__

    # Of values only those that the error's own text has; not those of variables.
    lines = traceback.format_exception(type(error), error, error.__traceback__)
    python = sys.version.replace("\n", " ")
    head = f"wholecard {__version__}, Python {python}\n{' '.join(sys.argv)}\n\n"
    try:
        number, path = tempfile.mkstemp(prefix="wholecard-fault-", suffix=".txt")
        with os.fdopen(number, "w", errors="backslashreplace") as file:
            file.write(_clean(head + "".join(lines)))
    except (OSError, MemoryError):
        return "Run it again with -v before the command, and report the traceback that it prints."
    return f"Report it with {path}, which has the traceback. Read it first: it may name files."


def _clean(text: str) -> str:
    """The text without secrets: those that a name or a URL shows, and those of a cloud's entry."""
    from wholecard.core.secrets import redacted

    # Where the cloud's libraries are loaded, the factory of log records knows them.
    logging = sys.modules.get("logging")
    clean = getattr(logging.getLogRecordFactory(), "clean", None) if logging else None
    return clean(redacted(text)) if clean else redacted(text)


def _discard_output() -> None:
    """What is still buffered goes nowhere: Python would fail on it again when it ends.

    See "Note on SIGPIPE" in the documentation of Python's module signal.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def write_any_text() -> None:
    """A character that the locale's encoding does not have is written as a question mark."""
    for stream in (sys.stdout, sys.stderr):
        # Tests may put another kind of stream there.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def leave(status: int) -> NoReturn:
    """End the process at once: all that was still to be done is to free memory, piece by piece.

    With thousands of functions that takes a tenth of the whole time.
    """
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        # Whoever read it has gone.
        status = status or WholecardError.exit_code
    os._exit(status)
