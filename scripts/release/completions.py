"""Completion of wholecard-host for bash, zsh and fish, made from its parser: static scripts.

A host has neither typer nor the table that `wholecard` reads, and a Tab should start no Python.
"""

from __future__ import annotations

from typing import Any

from completion_table import agent_options

from wholecard.host.agent.help import COMMANDS

_GLOBAL = {
    "--help": "Show the help and exit",
    "--verbose": "Log each external command",
    "--version": "Print the version",
}
Options = dict[str, dict[str, Any]]


def bash_script() -> str:
    """For bash-completion's folder, which loads it at the first Tab behind the command."""
    lines = [
        "# wholecard-host, completed in bash",
        "_wholecard_host() {",
        "    local word command= current=${COMP_WORDS[COMP_CWORD]}",
        '    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do',
        f"        case $word in {'|'.join(COMMANDS)}) command=$word; break ;; esac",
        "    done",
        "    local words=",
        "    case $command in",
        f"        '') words='{' '.join((*COMMANDS, *_GLOBAL))}' ;;",
    ]
    lines += (f"        {name}) [[ $current == -* ]] && words='{' '.join(agent_options(name))}' ;;"
              for name in COMMANDS)  # fmt: skip
    lines += [
        "    esac",
        '    COMPREPLY=($(compgen -W "$words" -- "$current"))',
        "}",
        "complete -o default -F _wholecard_host wholecard-host",
    ]
    return "\n".join(lines) + "\n"


def zsh_script() -> str:
    """A function for zsh's fpath."""
    lines = [
        "#compdef wholecard-host",
        "local -a commands=(",
        *(f"    {_zsh(f'{name}:{text}')}" for name, text in COMMANDS.items()),
        ")",
        "local state line",
        "_arguments -C \\",
        *(f"    {_zsh(f'{name}[{text}]')} \\" for name, text in _GLOBAL.items()),
        "    '1:command:->command' '*::option:->options'",
        "case $state in",
        "    command) _describe command commands ;;",
        "    options)",
        "        case $line[1] in",
    ]
    for name in COMMANDS:
        specs = " ".join(_zsh_option(*option) for option in agent_options(name).items())
        lines.append(f"            {name}) _arguments {specs} ;;")
    return "\n".join([*lines, "        esac ;;", "esac", ""])


def fish_script() -> str:
    """For fish's folder of completions."""
    lines = [f"complete -c wholecard-host -n __fish_use_subcommand -l {name[2:]} -d {_fish(text)}"
             for name, text in _GLOBAL.items()]  # fmt: skip
    lines += (f"complete -c wholecard-host -f -n __fish_use_subcommand -a {name} -d {_fish(text)}"
              for name, text in COMMANDS.items())  # fmt: skip
    for name in COMMANDS:
        seen = _fish(f"__fish_seen_subcommand_from {name}")
        for option, about in agent_options(name).items():
            value = " -r" if about["value"] else ""
            lines.append(f"complete -c wholecard-host -n {seen} -l {option[2:]}{value} "
                         f"-d {_fish(about['help'])}")  # fmt: skip
    return "\n".join(lines) + "\n"


def _zsh(text: str) -> str:
    quoted = text.replace("'", "'\\''")
    return f"'{quoted}'"


def _zsh_option(option: str, about: dict[str, Any]) -> str:
    text = str(about["help"]).replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")
    return _zsh(f"{option}[{text}]" + (":value:_files" if about["value"] else ""))


def _fish(text: str) -> str:
    quoted = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{quoted}'"
