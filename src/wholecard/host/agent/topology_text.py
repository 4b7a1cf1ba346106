"""What `inspect --topology` prints: the host's devices as a tree, a device in a line or a few."""

from __future__ import annotations

from wholecard.core.report_text import wrapped
from wholecard.host.agent.facts_text import machine_lines
from wholecard.host.facts.device_words import (
    bridge_title,
    device_facts,
    device_title,
    folded_words,
    link_text,
    node_facts,
    node_title,
)
from wholecard.host.facts.topology import Branch, topology

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from wholecard.host.facts.host import Host
    from wholecard.host.facts.topology import Device, Item

_STEP = "  "


def topology_text(host: Host, width: int | None = None) -> str:
    """The machine, then each NUMA node with what is below it; no line is longer than `width`.

    A card's line begins with `card`. What is folded is counted at the end of its node.
    """
    lines = machine_lines(host, width)
    for node in topology(host).nodes:
        facts = ", ".join(node_facts(node))
        title = node_title(node)
        lines += ["", *_fitted(f"{title}: {facts}" if facts else title, _STEP, width)]
        lines += _item_lines(node.items, _STEP, width)
        if node.folded:
            words = folded_words(node.folded)
            lines += _list_lines(f"{_STEP}not shown: ", words, _STEP * 2, width)
    return "\n".join(lines)


def _item_lines(items: Iterable[Item], indent: str, width: int | None) -> list[str]:
    lines = []
    for item in items:
        if isinstance(item, Branch):
            link = link_text(item.bridge.function)
            title = f"{indent}{bridge_title(item.bridge)}{'' if link == '-' else f', {link}'}"
            lines += _fitted(title, indent + _STEP * 2, width)
            lines += _item_lines(item.items, indent + _STEP, width)
        else:
            lines += _device_lines(item, indent, width)
    return lines


def _device_lines(device: Device, indent: str, width: int | None) -> list[str]:
    """The device and its facts in one line where that fits, else the facts below it."""
    word = "card " if device.card else ""
    head = f"{indent}{word}{device.functions[0].address} {device_title(device)}"
    facts = device_facts(device)
    whole = f"{head}: {', '.join(facts)}"
    if width is None or len(whole) <= width:
        return [whole]
    below = indent + _STEP * 2
    return [*_fitted(head, below, width), *_list_lines(below, facts, below, width)]


def _list_lines(head: str, words: Sequence[str], indent: str, width: int | None) -> list[str]:
    """Words with commas behind a head; a line ends between two words, which stay whole if short."""
    lines, line, is_begun = [], head, False
    for word in words:
        joined = f"{line}, {word}" if is_begun else f"{line}{word}"
        if is_begun and width is not None and len(joined) >= width:
            lines.append(f"{line},")
            joined = f"{indent}{word}"
        line, is_begun = joined, True
    return [*lines, *_fitted(line, indent, width)]


def _fitted(text: str, indent: str, width: int | None) -> list[str]:
    """The text on lines of at most `width`, where it is too long for one."""
    if width is None or len(text) <= width:
        return [text]
    bare = text.lstrip()
    return wrapped(bare, indent, text[: len(text) - len(bare)], width)
