"""What a shell completes at a Tab: commands, options, and the values that can be known.

It speaks typer's protocol and imports nothing of typer, which with pydantic behind it takes longer
than a person waits. The commands are in completions.json, made from the commands themselves by
scripts/docs/completion_table.py. What cannot be read completes nothing and says nothing.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wholecard.host.facts.host import Host
    from wholecard.pci import Function

# A word that may come next, and what it means.
Candidate = tuple[str, str]
# By the command's words, joined: the words after it, and its options with whether they take a
# value.
Table = Mapping[str, Mapping[str, Mapping[str, Any]]]

TABLE = Path(__file__).with_name("completions.json")
_VARIABLE = "_WHOLECARD_COMPLETE"


def answer(environment: Mapping[str, str]) -> tuple[str, int] | None:
    """The text for the shell that asks, and the exit status; None where none of ours asks."""
    shell = environment.get(_VARIABLE, "").removeprefix("complete_")
    if shell not in ("bash", "zsh", "fish"):
        return None
    candidates = _candidates(*_line(shell, environment))
    if shell == "bash":
        return "\n".join(word for word, _ in candidates), 0
    if shell == "zsh":
        return _for_zsh(candidates), 0
    if environment.get("_TYPER_COMPLETE_FISH_ACTION") == "is-args":
        # With 1 fish completes file names.
        return "", 0 if candidates else 1
    return "\n".join(f"{word}\t{' '.join(text.split())}" for word, text in candidates), 0


def _line(shell: str, environment: Mapping[str, str]) -> tuple[list[str], str]:
    """The words after `wholecard`, and the one that is being typed, which may be empty."""
    if shell == "bash":
        words = _split(environment.get("COMP_WORDS", ""))
        position = int(environment.get("COMP_CWORD") or 0)
        before, incomplete = words[1:position], "".join(words[position : position + 1])
        # bash breaks words at "=": `--role=co` are three.
        if incomplete == "=":
            incomplete = ""
        return [word for word in before if word != "="], incomplete
    line = environment.get("_TYPER_COMPLETE_ARGS", "")
    words = _split(line)[1:]
    if words and not line.endswith(" "):
        return words[:-1], words[-1]
    return words, ""


def _split(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:
        # A quotation mark that is still open.
        return line.split()


def _candidates(words: Sequence[str], incomplete: str) -> list[Candidate]:
    table: Table = json.loads(TABLE.read_text())
    command = _command(table, words)
    options = table[command]["options"]
    if words and options.get(words[-1], {}).get("value"):
        values = VALUES.get(words[-1])
        # An error would be printed into the line that a person types.
        with suppress(Exception):
            return _starting(values(words) if values else (), incomplete)
        return []
    if incomplete.startswith("-"):
        return _starting(((name, option["help"]) for name, option in options.items()), incomplete)
    return _starting(table[command]["commands"].items(), incomplete)


def _command(table: Table, words: Sequence[str]) -> str:
    """The command that the words name, without options and their values."""
    command, is_value = "", False
    for word in words:
        if not is_value and word in table[command]["commands"]:
            command = f"{command} {word}".strip()
        is_value = not is_value and bool(table[command]["options"].get(word, {}).get("value"))
    return command


def _starting(candidates: Iterable[Candidate], incomplete: str) -> list[Candidate]:
    return [(word, text) for word, text in candidates if word.startswith(incomplete)]


def _for_zsh(candidates: Sequence[Candidate]) -> str:
    """An `_arguments` call, which typer's script for zsh evaluates: nothing in it may expand."""
    if not candidates:
        return "_files"
    escapes = str.maketrans({'"': '""', "'": "''", "$": "\\$", "`": "\\`", ":": "\\\\:"})
    lines = []
    for word, text in candidates:
        cells = [cell.translate(escapes) for cell in (word, text) if cell]
        lines.append(":".join(f'"{cell}"' for cell in cells))
    return "_arguments '*: :((" + "\n".join(lines) + "))'"


def _cards(words: Sequence[str]) -> Iterable[Candidate]:
    return _addresses(card.functions[0] for card in _host(words).cards)


def _functions(words: Sequence[str]) -> Iterable[Candidate]:
    return _addresses(_host(words).functions)


def _addresses(functions: Iterable[Function]) -> Iterable[Candidate]:
    for function in functions:
        yield str(function.address), f"{function.vendor_name} {function.device_name}".strip()


def _host(words: Sequence[str]) -> Host:
    from wholecard.host.facts.inspect import inspect

    return inspect(Path(_value("--root", words) or "/"), processes=1)


def _roles(_words: Sequence[str]) -> Iterable[Candidate]:
    from wholecard.nova.options import ROLES

    return ((role, "") for role in ROLES)


def _releases(_words: Sequence[str]) -> Iterable[Candidate]:
    from wholecard.core.releases import RELEASES

    return ((entry.series, entry.name) for entry in reversed(RELEASES))


def _of_site(section: str) -> Callable[[Sequence[str]], Iterable[Candidate]]:
    return lambda words: _in_yaml(Path(_value("--site", words) or "site.yaml"), section)


def _clouds(words: Sequence[str]) -> Iterable[Candidate]:
    """The clouds of the first clouds.yaml, where openstacksdk looks for it."""
    named = _value("--clouds-file", words) or os.environ.get("OS_CLIENT_CONFIG_FILE")
    files = ["clouds.yaml", "~/.config/openstack/clouds.yaml", "/etc/openstack/clouds.yaml"]
    for file in [named, *files] if named else files:
        clouds = _in_yaml(Path(file).expanduser(), "clouds")
        if clouds:
            return clouds
    return ()


def _in_yaml(path: Path, section: str) -> list[Candidate]:
    import yaml

    from wholecard.core.input_files import read_input

    # libyaml's loader, where PyYAML was built with it, is ten times as fast.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    with suppress(OSError, ValueError, LookupError, TypeError, yaml.YAMLError):
        return [(str(key), "") for key in yaml.load(read_input(path, 1 << 20), loader)[section]]  # noqa: S506
    return []


def _value(option: str, words: Sequence[str]) -> str | None:
    return words[words.index(option) + 1] if option in words[:-1] else None


def _one_of(*names: str) -> Callable[[Sequence[str]], Iterable[Candidate]]:
    return lambda _words: ((name, "") for name in names)


def _loaders(_words: Sequence[str]) -> list[Candidate]:
    from wholecard.host.bootloaders.registry import LOADERS

    return [(name, "") for name in sorted(loader.name for loader in LOADERS)]


def _initramfs_tools(_words: Sequence[str]) -> list[Candidate]:
    from wholecard.host.initramfs.registry import INITRAMFS_TOOLS

    return [(tool.name, "") for tool in INITRAMFS_TOOLS]


# One option name means one thing in all commands, so its values need no command.
VALUES: Mapping[str, Callable[[Sequence[str]], Iterable[Candidate]]] = {
    "--card": _cards,
    "--companion": _functions,
    "--park": _functions,
    "--loader": _loaders,
    "--initramfs": _initramfs_tools,
    "--role": _roles,
    "--conf": lambda words: ((f"{role}=", text) for role, text in _roles(words)),
    "--release": _releases,
    "--host": _of_site("hosts"),
    "--flavor": _of_site("flavors"),
    "--cloud": _clouds,
    "--layout": _one_of("drop-in", "kolla", "openstack-ansible", "charms", "rhoso"),
}
