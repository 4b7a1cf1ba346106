"""nova.conf for cards: one drop-in for each role, holding only what that role reads."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from wholecard.core import UsageError
from wholecard.core.capabilities import Capability, has
from wholecard.core.releases import LATEST, Release
from wholecard.nova.desired.required_options import (
    PciConfig,
    RequiredOption,
    joined,
    required_options,
)
from wholecard.nova.options import ROLES, Role
from wholecard.nova.render.managed_files import OURS

__all__ = ["ROLES", "PciConfig", "Role", "header", "render", "sections", "service", "text"]


def render(
    role: Role,
    pci: PciConfig,
    current_filters: Sequence[str],
    release: Release = LATEST,
    filter_class: Sequence[str] = (),
) -> str:
    """The text of a file for `nova.conf.d` (or `placement.conf.d`) of one role of that release.

    nova adds up the repeated options of all its files, but takes the last `enabled_filters`, so
    the list is written in full. Parameters and errors are those of `required_options`.
    """
    return text(role, required_options(role, pci, current_filters, release, filter_class), release)


def text(role: Role, options: Iterable[RequiredOption], release: Release) -> str:
    """The drop-in with these options, each below a comment with its reason."""
    blocks = sections(options, release)
    head = header(f"for {service(role, release)}", release)
    if not blocks:
        return f"{head}#\n# This service reads no option about cards in this release.\n"
    return "\n".join([head, *(f"[{name}]\n{lines}" for name, lines in blocks.items())])


def header(what: str, release: Release) -> str:
    """The first lines of each managed file; `what` says what it is for."""
    return (
        f"{OURS} {what} ({release}, nova {release.nova}).\n"
        "# Changes in this file are lost when it is rendered again.\n"
    )


def service(role: Role, release: Release) -> str:
    """The service's name; until Rocky Placement is a part of nova and reads nova.conf."""
    is_alone = role == "placement" and has(release, Capability.PLACEMENT_ALONE)
    return "placement" if is_alone else f"nova-{role}"


def sections(options: Iterable[RequiredOption], release: Release) -> dict[str, str]:
    """Each section's options as lines, by the section's name, in the options' order."""
    blocks: dict[str, str] = {}
    for required in options:
        spelling = required.option.spelling(release.nova)
        if spelling is None:
            raise UsageError(f"nova of {release} has no {required.option.name}")
        values = (f"{spelling.name} = {value}" for value in written(required))
        lines = [*comment(required.reason), *values]
        blocks[spelling.section] = blocks.get(spelling.section, "") + "\n".join([*lines, ""])
    return blocks


def written(required: RequiredOption) -> tuple[str, ...]:
    """The option's values as a file has them, one for each line.

    oslo.config replaces `$name` by another option's value; `$$` is a plain dollar sign.
    """
    values = (joined(required.values),) if required.option.kind == "list" else required.values
    return tuple(value.replace("$", "$$") for value in values)


def comment(reason: str) -> list[str]:
    """A reason as lines of comment."""
    return textwrap.wrap(reason, 98, initial_indent="# ", subsequent_indent="# ")
