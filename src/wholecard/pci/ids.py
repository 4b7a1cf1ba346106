"""Names for ids, from the pci.ids file that pciutils or hwdata installs.

The file has 38,000 lines, of which a host needs a dozen: it is searched, not parsed. Source: the
format described at the head of https://pci-ids.ucw.cz/v2.2/pci.ids.
"""

from __future__ import annotations

from wholecard.core.record import replace
from wholecard.pci.files import exists, read_bytes, under

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from wholecard.pci.files import Root
    from wholecard.pci.function import Function

    Finder = Callable[..., str]

PLACES = ("usr/share/misc/pci.ids", "usr/share/hwdata/pci.ids", "usr/share/pci.ids")

# More bytes than any vendor (Intel: 340,000) and any device has lines, by their indent: what is
# not there is not looked for in the rest of the file.
_LONGEST = {b"\t": 1 << 20, b"\t\t": 1 << 15}


def find_ids_file(root: Root) -> str | None:
    """The names file of `root`, else this machine's own, else None."""
    for base in (root, "/"):
        for place in PLACES:
            if exists(under(base, place)):
                return under(base, place)
    return None


class Names:
    """What pci.ids calls vendors, devices, subsystems and classes; empty where it has no name.

    Ids are lower-case hex: four digits, a class six. Each is looked for once.
    """

    def __init__(self, root: Root) -> None:
        path = find_ids_file(root)
        data = (read_bytes(path) if path else None) or b""
        # Every entry is found by the newline before it; the file as published begins with a note.
        self._data = data if data.startswith(b"#") else b"\n" + data
        self._starts: dict[str, int] = {}
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
        return self._name(self._start(head), f"\n{head}  ")

    def _inner(self, head: str, device: str) -> str:
        marker = f"\n\t{device}  "
        return self._name(self._inside(self._start(head), b"\t", marker), marker)

    def _innermost(self, vendor: str, device: str, sub_vendor: str, sub_device: str) -> str:
        start = self._inside(self._start(vendor), b"\t", f"\n\t{device}  ")
        marker = f"\n\t\t{sub_vendor} {sub_device}  "
        return self._name(self._inside(start, b"\t\t", marker), marker)

    def _start(self, head: str) -> int:
        """Where the lines of a vendor or base class begin; -1 for none."""
        if head not in self._starts:
            # Classes stand at the end of the file.
            find = self._data.rfind if head.startswith("C ") else self._data.find
            self._starts[head] = find(f"\n{head}  ".encode())
        return self._starts[head]

    def _inside(self, start: int, indent: bytes, marker: str) -> int:
        """Where `marker` stands in the block that begins at `start`; -1 for nowhere.

        Still inside are we where every line in between is indented as the block's are. Intel
        alone has 9,000: they are counted, in C, and not looked at.
        """
        limit = start + _LONGEST[indent]
        place = self._data.find(marker.encode(), start, limit) if start >= 0 else -1
        if place < 0:
            return -1
        count = self._data.count
        lines = count(b"\n", start + 1, place)
        inner = count(b"\n" + indent, start + 1, place) + count(b"\n#", start + 1, place)
        return place if lines == inner else -1

    def _name(self, place: int, marker: str) -> str:
        if place < 0:
            return ""
        end = self._data.find(b"\n", place + 1)
        line = self._data[place + len(marker) : end if end >= 0 else None]
        return line.decode(errors="replace").strip()


def name_functions(root: Root, functions: Iterable[Function]) -> tuple[Function, ...]:
    """The functions with their names; empty where none is known."""
    names = Names(root)
    return tuple(
        replace(
            function,
            vendor_name=names.vendor(function.vendor),
            device_name=names.device(function.vendor, function.device),
            class_name=names.class_name(function.class_code),
            subsystem_name=names.subsystem(
                function.vendor,
                function.device,
                function.subsystem_vendor,
                function.subsystem_device,
            ),
        )
        for function in functions
    )
