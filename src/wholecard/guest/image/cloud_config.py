"""The writer `cloud-config`: the recipe as user data, carried out by cloud-init at the first boot.

Source: https://cloudinit.readthedocs.io/en/latest/reference/modules.html. cloud-init writes
`write_files` before any package is installed, and runs `runcmd` late, once for each new server. So
that the order is the recipe's, each file that follows a command is written aside first, and a
command puts it in its place.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from wholecard.core import UsageError
from wholecard.core.units import size_text
from wholecard.guest.image.package_tools import GuestChange, guest_changes
from wholecard.guest.image.recipe import Recipe, RunInGuest, WriteGuestFile
from wholecard.guest.image.writer import Say, Target

HEADER = "#cloud-config"
# nova's API: `user_data` has at most 65,535 characters of base64
# (nova/api/openstack/compute/schemas/servers.py).
MOST_BYTES = 65_535 // 4 * 3
ASIDE = "/var/lib/wholecard/first-boot"


@dataclass(frozen=True)
class CloudConfig:
    """See the module."""

    name: str = "cloud-config"
    target: Target = Target.USER_DATA

    def unusable(self) -> str:
        """Empty: it needs nothing of this machine."""
        return ""

    def write(self, recipe: Recipe, target: Path, say: Say) -> None:
        """Write the user data for the recipe to `target`. Raises UsageError where nova refuses."""
        text = user_data(recipe)
        say(f"user data of {size_text(len(text.encode()))}")
        target.write_text(text)


def user_data(recipe: Recipe) -> str:
    """The user data of a server that carries out the recipe at its first boot.

    Raises UsageError where it is larger than nova takes.
    """
    changes = guest_changes(recipe)
    text = f"{HEADER}\n{_comments(recipe, changes)}{_yaml(_document(changes))}"
    size = len(text.encode())
    if size > MOST_BYTES:
        raise UsageError(
            f"the user data has {size} bytes, and nova takes at most {MOST_BYTES}",
            resolution="Build the image instead (without --on-boot), or give fewer or smaller "
            "files; a file can be fetched by a command of `run`.",
        )
    return text


def _document(changes: Sequence[GuestChange]) -> dict[str, Any]:
    """`write_files` for what comes before the first command, `runcmd` for all that follows."""
    first = next(
        (at for at, change in enumerate(changes) if isinstance(change, RunInGuest)), len(changes)
    )
    before = [change for change in changes[:first] if isinstance(change, WriteGuestFile)]
    files = [_file(change, change.path) for change in before]
    # cloud-init's script of the commands goes on after one that fails; an image's build does not.
    commands: list[list[str]] = [["set", "-e"]]
    for number, change in enumerate(changes[first:], first):
        if isinstance(change, RunInGuest):
            commands.append(list(change.argv))
            continue
        aside = f"{ASIDE}/{number:04}"
        files.append(_file(change, aside))
        commands.append(
            ["install", "-D", "-o", "0", "-g", "0", "-m", f"{change.mode:04o}", aside, change.path]
        )
    if any(file["path"].startswith(ASIDE) for file in files):
        commands.append(["rm", "-r", ASIDE])
    document: dict[str, Any] = {}
    if files:
        document["write_files"] = files
    if len(commands) > 1:
        document["runcmd"] = [_Words(words) for words in commands]
    return document


def _file(change: WriteGuestFile, path: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"path": path, "owner": "root:root",
                             "permissions": f"{change.mode:04o}"}  # fmt: skip
    try:
        text = change.content.decode()
    except UnicodeDecodeError:
        text = "\0"
    # YAML changes a carriage return and cannot have most control characters (YAML 1.2.2, 5.1).
    if all(character == "\n" or character.isprintable() for character in text):
        return {**entry, "content": text}
    return {**entry, "encoding": "b64", "content": base64.b64encode(change.content).decode()}


def _comments(recipe: Recipe, changes: Sequence[GuestChange]) -> str:
    lines = [f"# {recipe.os.name}, at the first boot:"]
    lines += [
        f"#  {number}. {_one_line(change.reason)}" for number, change in enumerate(changes, 1)
    ]
    return "".join(f"{line}\n" for line in lines)


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


class _Words(list[str]):
    """A command, written on one line."""


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as literal blocks, which a person can read; commands as one line."""


def _literal(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _flow(dumper: yaml.SafeDumper, words: _Words) -> yaml.SequenceNode:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", words, flow_style=True)


_Dumper.add_representer(str, _literal)
_Dumper.add_representer(_Words, _flow)


def _yaml(document: dict[str, Any]) -> str:
    text: str = yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=100, allow_unicode=True)
    return text
