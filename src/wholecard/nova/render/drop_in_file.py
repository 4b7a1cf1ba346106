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
    of: Release = LATEST,
    filter_class: Sequence[str] = (),
) -> str:
    """The text of a file for `nova.conf.d` (or `placement.conf.d`) of one role of that release.

    nova collects the repeated options of all its files, but of `enabled_filters` it takes the
    last, so the list is written out in full. Parameters and errors are those of `required_options`.
    """
    return text(role, required_options(role, pci, current_filters, of, filter_class), of)


def text(role: Role, found: Iterable[RequiredOption], of: Release) -> str:
    """The drop-in with these options, each under a comment that says why it is there."""
    blocks = sections(found, of)
    head = header(f"for {service(role, of)}", of)
    if not blocks:
        return f"{head}#\n# It reads nothing about cards in this release.\n"
    return "\n".join([head, *(f"[{name}]\n{lines}" for name, lines in blocks.items())])


def header(what: str, of: Release) -> str:
    """The first lines of a file of ours; `what` says for whom it is."""
    return (
        f"{OURS} {what} ({of}, nova {of.nova}).\n"
        "# Changes made here by hand are lost when it is rendered again.\n"
    )


def service(role: Role, of: Release) -> str:
    """The service's name: until Rocky Placement is a part of nova, and reads nova.conf."""
    return (
        "placement"
        if role == "placement" and has(of, Capability.PLACEMENT_ALONE)
        else f"nova-{role}"
    )


def sections(found: Iterable[RequiredOption], of: Release) -> dict[str, str]:
    """Each section's options as lines, by the section's name, in the order of the needs."""
    blocks: dict[str, str] = {}
    for need in found:
        spelling = need.option.spelling(of.nova)
        if spelling is None:
            raise UsageError(f"nova of {of} has no {need.option.name}")
        lines = [*comment(need.reason), *(f"{spelling.name} = {value}" for value in written(need))]
        blocks[spelling.section] = blocks.get(spelling.section, "") + "\n".join([*lines, ""])
    return blocks


def written(need: RequiredOption) -> tuple[str, ...]:
    """The option's values as they stand in a file, one for each line of it.

    oslo.config replaces `$name` by another option's value; `$$` is a plain dollar sign.
    """
    values = (joined(need.values),) if need.option.kind == "list" else need.values
    return tuple(value.replace("$", "$$") for value in values)


def comment(reason: str) -> list[str]:
    """A reason as lines of comment."""
    return textwrap.wrap(reason, 98, initial_indent="# ", subsequent_indent="# ")
