"""A host's tree of devices as a picture in the style of lstopo. Pure.

Lengths are pixels of a canvas as wide as is asked for; the template draws them as SVG and adds
nothing. Two hosts whose pictures are equal look the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wholecard.host.facts.device_words import (
    bridge_title,
    device_facts,
    device_title,
    folded_words,
    link_text,
    node_facts,
    node_title,
)
from wholecard.host.facts.topology import Branch, Device, NumaNode, Topology

if TYPE_CHECKING:
    from wholecard.host.facts.topology import Item

GAP, PAD, STEP, LINE, FOOT = 10, 12, 22, 15, 8
# The line with a box's title, and the square of a bridge beside its words.
HEAD, SQUARE = 22, 10
# 11.5 px of any monospaced face in use is at most this wide, 13 px of a bold title a little more.
CHARACTER, TITLE_CHARACTER = 7.05, 8.7
# No column of devices is narrower than this where there are two.
_COLUMN = 400

LOOKS = {
    "GPU": "card", "accelerator": "card", "coprocessor": "card", "NVSwitch": "fabric",
    "network": "network", "InfiniBand": "network", "Fibre Channel": "network", "NVMe": "disk",
    "storage": "disk", "CXL memory": "disk",
}  # fmt: skip


@dataclass(frozen=True)
class Box:
    """A box with a title and lines below it; `look` is its colour, `tip` all that is said of it.

    A `bridge` is a small square with words beside it. `shared` marks what is in one IOMMU group
    with a card.
    """

    look: str
    x: float
    y: float
    width: float
    height: float
    title: str
    lines: tuple[str, ...] = ()
    tip: str = ""
    shared: bool = False

    @property
    def placed_lines(self) -> tuple[tuple[float, str], ...]:
        """Each line with its baseline."""
        top = self.y + HEAD + 11
        return tuple((top + number * LINE, line) for number, line in enumerate(self.lines))


@dataclass(frozen=True)
class Wire:
    """A straight line of a tree; `lanes` are those of the link that it is, 0 for none known."""

    x1: float
    y1: float
    x2: float
    y2: float
    lanes: int = 0

    @property
    def thickness(self) -> float:
        """From 1 pixel to 3 for sixteen lanes."""
        return 1 + min(self.lanes, 16) / 8


@dataclass(frozen=True)
class Picture:
    """Everything that is drawn: the frames of NUMA nodes, then wires, then boxes."""

    width: float
    height: float
    frames: tuple[Box, ...]
    boxes: tuple[Box, ...]
    wires: tuple[Wire, ...]


def draw(tree: Topology, width: int) -> Picture:
    """The picture of a host, `width` pixels wide; NUMA nodes in two columns where they fit."""
    drawing = _Drawing()
    columns = 2 if len(tree.nodes) > 1 and width >= 2 * _COLUMN else 1
    node_width = (width - GAP * (columns - 1)) / columns
    bottoms = [0.0] * columns
    for node in tree.nodes:
        column = bottoms.index(min(bottoms))
        top = bottoms[column]
        bottoms[column] = drawing.node(node, column * (node_width + GAP), top, node_width) + GAP
    height = max(bottoms) - GAP if tree.nodes else 0
    return Picture(width, height, tuple(drawing.frames), tuple(drawing.boxes), tuple(drawing.wires))


class _Drawing:
    """Boxes and wires as they are drawn from top to bottom; each method returns where it ends."""

    def __init__(self) -> None:
        self.frames: list[Box] = []
        self.boxes: list[Box] = []
        self.wires: list[Wire] = []

    def node(self, node: NumaNode, x: float, y: float, width: float) -> float:
        """A NUMA node: its frame, its devices in one column or two, what is not shown."""
        bottom = y + HEAD + 4
        inner = width - 2 * PAD
        columns = 2 if inner >= 2 * _COLUMN and len(node.items) > 1 else 1
        item_width = (inner - GAP * (columns - 1)) / columns
        for number, items in enumerate(_halves(node.items, columns, item_width)):
            left = x + PAD + number * (item_width + GAP)
            end = self._tree(items, left, y + HEAD, y + HEAD + 8, item_width)
            bottom = max(bottom, end + PAD)
        words = "".join(f"not shown: {', '.join(folded_words(node.folded))}" if node.folded else "")
        lines = _folded(words.split(), _room(inner), " ") if words else ()
        if lines:
            self.boxes.append(Box("words", x + PAD, bottom - HEAD - 2, inner, 0, "", lines))
            bottom += len(lines) * LINE + 4
        title = " · ".join((node_title(node), *node_facts(node)))
        shown = _cut(title, int((width - 2 * PAD) / TITLE_CHARACTER))
        self.frames.append(Box("node", x, y, width, bottom - y, shown, tip=title))
        return bottom

    def _tree(self, items: Sequence[Item], x: float, begin: float, y: float, width: float) -> float:
        """Things below each other that hang from a line which begins at `begin`."""
        end = y - GAP
        trunk, joint = x + SQUARE / 2, begin
        for item in items:
            top = end + GAP
            joint = top + HEAD / 2
            self.wires.append(Wire(trunk, joint, x + STEP, joint, _lanes(item)))
            end = self._item(item, x + STEP, top, width - STEP)
        if items:
            self.wires.append(Wire(trunk, begin, trunk, joint))
        return end

    def _item(self, item: Item, x: float, y: float, width: float) -> float:
        if isinstance(item, Device):
            return self._device(item, x, y, width)
        bridge = item.bridge.function
        words = (bridge_title(item.bridge), link_text(bridge))
        facts = tuple(word for word in words if word != "-")
        lines = _folded(facts, int((width - SQUARE - 6) / CHARACTER))
        height = HEAD / 2 + len(lines) * LINE
        self.boxes.append(Box("bridge", x, y, width, height, "", lines, " · ".join(facts)))
        return self._tree(item.items, x, y + (HEAD + SQUARE) / 2, y + height, width)

    def _device(self, device: Device, x: float, y: float, width: float) -> float:
        title = device_title(device)
        facts = (str(device.functions[0].address), *device_facts(device))
        lines = _folded(facts, _room(width))
        height = HEAD + len(lines) * LINE + FOOT
        shown = _cut(title, int((width - 20) / TITLE_CHARACTER))
        self.boxes.append(
            Box(LOOKS.get(device.kind, "other"), x, y, width, height, shown, lines,
                "\n".join((title, *facts)), bool(device.together))
        )  # fmt: skip
        return y + height


def _halves(items: Sequence[Item], columns: int, width: float) -> list[Sequence[Item]]:
    """The items in columns, in their order, about as high as each other."""
    if columns == 1:
        return [items]
    heights = []
    for item in items:
        measured = _Drawing()
        heights.append(measured._tree([item], 0, 0, 0, width))
    cut = min(range(1, len(items) + 1), key=lambda n: max(sum(heights[:n]), sum(heights[n:])))
    return [items[:cut], items[cut:]]


def _lanes(item: Item) -> int:
    if isinstance(item, Branch):
        return item.bridge.function.link_width or 0
    return max(function.link_width or 0 for function in item.functions)


def _room(width: float) -> int:
    return int((width - 20) / CHARACTER)


def _folded(words: Sequence[str], room: int, between: str = " · ") -> tuple[str, ...]:
    """Words in lines of at most `room` characters, each cut where it is too long alone."""
    lines: list[str] = []
    for word in words:
        if lines and len(lines[-1]) + len(between) + len(word) <= room:
            lines[-1] = f"{lines[-1]}{between}{word}"
        else:
            lines.append(_cut(word, room))
    return tuple(lines)


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else f"{text[: max(room - 1, 1)]}…"
