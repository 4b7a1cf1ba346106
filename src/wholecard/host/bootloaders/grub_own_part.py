"""Wholecard's own part of GRUB's settings: shell that adds arguments to what the others set.

It is sourced last, so it needs no knowledge of the shell before it, and no file of somebody else's
is edited: on Debian and its kin it is a file in /etc/default/grub.d; elsewhere, where a value is
more than plain, the end of /etc/default/grub. grub-mkconfig runs it with `sh -e`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from wholecard.core import WholecardError
from wholecard.host.bootloaders.grub_defaults import BOTH, DEFAULT, edit, set_words
from wholecard.host.config_files import GRUB, GRUB_PART, FileText
from wholecard.host.kernel_args import command_line
from wholecard.host.kernel_args.command_line import KernelArgs
from wholecard.host.operations.config_change import HEAD_LINE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wholecard.host.bootloaders.registry import BootState

_END_LINE = "# The end of what Wholecard wrote.\n"
_BLOCK = re.compile(f"(?:^|(?<=\n)){re.escape(HEAD_LINE)}(?:.*\n)*?{re.escape(_END_LINE)}")
_WITHOUT = re.compile(r"^# Without: (.*)$", re.MULTILINE)
_ADDED = re.compile(
    rf'^(?:{DEFAULT}="\${DEFAULT} (?P<last>[^"]*)"|{BOTH}="(?P<first>[^"]*) \${BOTH}")$',
    re.MULTILINE,
)
_END_WORD = re.compile(r"""^(?!\s*#).*["' \t]--(?=["' \t\n])""", re.MULTILINE)


def change_part(state: BootState, kernel_args: KernelArgs) -> tuple[FileText, ...]:
    """The drop-in, where it changes. Raises WholecardError where a file is read after it."""
    others, part = _others(state)
    later = [
        file.path for file in others if file.path.lower() > GRUB_PART and BOTH in (file.text or "")
    ]
    if later:
        raise WholecardError(
            f"{later[-1]} is read after {GRUB_PART}",
            "It could replace the kernel's arguments, without those that Wholecard adds.",
            f"Rename the file: its name must sort before {GRUB_PART}.",
        )
    text = _text(others, kernel_args)
    if not text and part.text is None:
        return ()
    file = FileText(GRUB_PART, HEAD_LINE + text)
    return () if file == part else (file,)


def change_in_place(state: BootState, kernel_args: KernelArgs) -> tuple[FileText, ...]:
    """What changes where no drop-in is read: plain values in place, else a block at the end."""
    others, _ = _others(state)
    plain = set_words(others)
    if plain is not None and plain == command_line.for_kernel(plain):
        changed = {file.path: file for file in edit(others, kernel_args)}
        files = [changed.get(file.path, file) for file in others]
    else:
        text = _text(others, kernel_args)
        files = [_with_block(file, text) for file in others]
    present = {file.path: file for file in state.settings.grub}
    return tuple(file for file in files if file != present[file.path])


def _with_block(file: FileText, text: str) -> FileText:
    """/etc/default/grub with Wholecard's block of shell at its end; other files as they are."""
    if file.path != GRUB or not text:
        return file
    former = file.text or ""
    if former and not former.endswith("\n"):
        former += "\n"
    return FileText(file.path, f"{former}{HEAD_LINE}{text}{_END_LINE}", file.mode)


def shell_text(state: BootState, kernel_args: KernelArgs) -> str:
    """The shell that adds the arguments to GRUB's settings; empty where they have them."""
    others, _ = _others(state)
    return _text(others, kernel_args)


def configured_command_line(state: BootState) -> str | None:
    """What the settings give to the kernel, None where they are more than plain values."""
    others, part = _others(state)
    present = set_words(others)
    if present is None:
        return None
    blocks = [_BLOCK.search(file.text or "") for file in state.settings.grub if file.path == GRUB]
    own = (part.text or "") + "".join(block[0] for block in blocks if block)
    return " ".join(command_line.for_kernel(_after_own_shell(own, present)))


def _after_own_shell(own: str, present: Sequence[str]) -> list[str]:
    """The words that are set once Wholecard's shell `own` has changed the words `present`."""
    unwanted = {word for line in _WITHOUT.findall(own) for word in line.split()}
    kept = [word for word in present if word not in unwanted]
    added = _ADDED.search(own)
    if not added:
        return kept
    if added["first"]:
        return [*command_line.words(added["first"]), *kept]
    return [*kept, *command_line.words(added["last"])]


def _others(state: BootState) -> tuple[list[FileText], FileText]:
    """GRUB's settings that are read, without what Wholecard wrote, and the drop-in."""
    others = [
        FileText(file.path, _BLOCK.sub("", file.text or ""), file.mode)
        for file in state.settings.grub
        if file.path == GRUB or (state.reads_parts and file.path != GRUB_PART)
    ]
    return others, state.settings.file(GRUB_PART)


def _text(others: Sequence[FileText], kernel_args: KernelArgs) -> str:
    """Shell that changes what `others` set; empty where they set what is asked for."""
    present = set_words(others)
    if present is None:
        whole = "\n".join(file.text or "" for file in others)
        unwanted = _contrary_in(whole, kernel_args)
        added = command_line.missing([], kernel_args)
        ends = bool(_END_WORD.search(whole))
    else:
        read = command_line.for_kernel(present)
        unwanted, added = command_line.exchanged(read, kernel_args)
        ends = read != present
    lines = []
    if unwanted:
        lines.append(f"# Without: {' '.join(dict.fromkeys(unwanted))}\n")
        lines += [_filter(name, tuple(dict.fromkeys(unwanted))) for name in (BOTH, DEFAULT)]
    if added and ends:
        # The kernel passes everything after `--` to init.
        lines.append(f'{BOTH}="{" ".join(added)} ${BOTH}"\n')
    elif added:
        lines.append(f'{DEFAULT}="${DEFAULT} {" ".join(added)}"\n')
    return "".join(lines)


def _contrary_in(shell: str, kernel_args: KernelArgs) -> list[str]:
    """The patterns of unwanted arguments that shell, whose value is not known, may set."""
    return [
        pattern
        for pattern in command_line.contrary_patterns(kernel_args)
        if re.search(rf"(?<![\w.-]){re.escape(pattern.rstrip('*'))}", shell)
    ]


def _filter(name: str, unwanted: Sequence[str]) -> str:
    """An assignment that takes whole words out of a variable."""
    patterns = (re.sub(r"[][\\.^$/]", r"\\\g<0>", word).replace("*", "[^ ]*") for word in unwanted)
    expressions = [":again", *(f"s/ {pattern} / /" for pattern in patterns), "tagain"]
    expressions += ["s/^ *//", "s/ *$//"]
    script = " ".join(f"-e {shlex.quote(expression)}" for expression in expressions)
    return f'{name}="$(printf " %s \\n" "${name}" | sed {script})"\n'
