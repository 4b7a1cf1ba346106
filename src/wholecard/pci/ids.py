"""Names for ids, from the pci.ids file that pciutils or hwdata installs.

The file has 38,000 lines, of which a host needs a dozen: it is searched, not parsed. Source: the
format described at the head of https://pci-ids.ucw.cz/v2.2/pci.ids.
"""

from __future__ import annotations

from wholecard.core.small_files import exists, read_bytes, under

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wholecard.core.small_files import Root

    Finder = Callable[..., str]

IDS_FILES = ("usr/share/misc/pci.ids", "usr/share/hwdata/pci.ids", "usr/share/pci.ids")

# More bytes than the subsystems of any device have.
_LONGEST = 1 << 15
# Half of the file is of vendors before this one.
_MIDDLE = "14e4"
_DIGITS = "0123456789abcdef"


def find_ids_file(root: Root) -> str | None:
    """The names file of `root`, else this machine's own, else None."""
    for base in (root, "/"):
        for path in IDS_FILES:
            if exists(under(base, path)):
                return under(base, path)
    return None


class PciNames:
    """What pci.ids calls vendors, devices, subsystems and classes; empty where it has no name.

    Ids are lower-case hex: four digits, a class six. Each is searched for once.
    """

    def __init__(self, root: Root) -> None:
        path = find_ids_file(root)
        data = (read_bytes(path) if path else None) or b""
        # Every entry is found by the newline before it; the file as published begins with a note.
        self._data = data if data.startswith(b"#") else b"\n" + data
        self._blocks: dict[str, tuple[int, int]] = {}
        self._lines: dict[tuple[str, str], int] = {}
        self._names: dict[tuple[str, ...], str] = {}

    def vendor(self, vendor: str) -> str:
        """The vendor's name."""
        return self._known((vendor,), self._outer, vendor)

    def device(self, vendor: str, device: str) -> str:
        """The device's name."""
        return self._known((vendor, device), self._inner, vendor, device)

    def subsystem(self, vendor: str, device: str, sub_vendor: str, sub_device: str) -> str:
        """The subsystem's name: of this make of the device."""
        key = (vendor, device, sub_vendor, sub_device)
        return self._known(key, self._innermost, *key)

    def class_name(self, class_code: str) -> str:
        """The subclass's name, else the base class's."""
        if not class_code:
            return ""
        base = f"C {class_code[:2]}"
        return self.device(base, class_code[2:4]) or self.vendor(base)

    def _known(self, key: tuple[str, ...], find: Finder, *ids: str) -> str:
        if key not in self._names:
            self._names[key] = find(*ids) if all(ids) else ""
        return self._names[key]

    def _outer(self, head: str) -> str:
        return self._name(self._block(head)[0], f"\n{head}  ")

    def _inner(self, head: str, device: str) -> str:
        return self._name(self._line(head, device), f"\n\t{device}  ")

    def _line(self, head: str, device: str) -> int:
        """Where a device's or subclass's line begins; -1 for nowhere."""
        key = (head, device)
        if key not in self._lines:
            marker = f"\n\t{device}  ".encode()
            self._lines[key] = self._data.find(marker, *self._block(head))
        return self._lines[key]

    def _innermost(self, vendor: str, device: str, sub_vendor: str, sub_device: str) -> str:
        start = self._line(vendor, device)
        if start < 0:
            return ""
        marker = f"\n\t\t{sub_vendor} {sub_device}  "
        position = self._data.find(marker.encode(), start, start + _LONGEST)
        # It is this device's only where every line in between is a subsystem's or a comment.
        between = self._data[start + 1 : max(position, 0)]
        inner = between.count(b"\n\t\t") + between.count(b"\n#")
        return self._name(position if between.count(b"\n") == inner else -1, marker)

    def _block(self, head: str) -> tuple[int, int]:
        """Where the lines of a vendor or base class begin and end; (-1, 0) for nowhere.

        Both lists are sorted, and classes follow the last vendor. The next one is searched for by
        the digits that it most likely has, which skips the 9,000 lines of Intel alone.
        """
        if head not in self._blocks:
            data = self._data
            is_class = head.startswith("C ")
            marker = f"\n{head}  ".encode()
            # From the end that is nearer: a million bytes take as long as ten functions.
            find = data.rfind if is_class or head > _MIDDLE else data.find
            start = find(marker, *(() if is_class else self._bracket(head)))
            if start < 0:
                # In a file that somebody did not keep sorted it is elsewhere.
                start = data.find(marker)
            end = -1 if start >= 0 else 0
            above = "" if is_class else _DIGITS[_DIGITS.find(head[0]) + 1 :]
            for next_head in ("C ",) if is_class else (head[:3], head[:2], head[0], *above, "C "):
                if end < 0:
                    end = data.find(f"\n{next_head}".encode(), start + 1)
            self._blocks[head] = (start, len(data) if end < 0 else end)
        return self._blocks[head]

    def _bracket(self, head: str) -> tuple[int, int]:
        """Between which of the vendors that were found before a vendor's line must be."""
        blocks = self._blocks.items()
        known = [(other, block) for other, block in blocks if block[0] >= 0 and other[0] != "C"]
        below = [end for other, (_, end) in known if other < head]
        above = [start for other, (start, _) in known if head < other]
        return max(below, default=0), min(above, default=len(self._data))

    def _name(self, position: int, marker: str) -> str:
        if position < 0:
            return ""
        end = self._data.find(b"\n", position + 1)
        line = self._data[position + len(marker) : end if end >= 0 else None]
        return line.decode(errors="replace").strip()
