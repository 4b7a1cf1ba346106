"""RAM, huge pages, and how much of it libvirt may lock.

Sources: linux, Documentation/admin-guide/mm/hugetlbpage.rst; systemd.exec(5), "LimitMEMLOCK=";
systemd.unit(5), the order of unit files and drop-ins; systemd-system.conf(5).
"""

from __future__ import annotations

from wholecard.core.small_files import exists, listed, read_text, under
from wholecard.host.facts.cpu import NODES, nodes
from wholecard.host.facts.host import HugePagePool, Memory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from wholecard.core.small_files import Root

POOLS = "sys/kernel/mm/hugepages"

# First of these wins, for a unit and for each drop-in by its name.
_UNITS = ("etc/systemd/system", "run/systemd/system", "usr/lib/systemd/system",
          "lib/systemd/system")  # fmt: skip
_CONFIGURATION = ("etc/systemd", "run/systemd", "usr/lib/systemd")
# The modular daemon goes first: where both are installed it is the one that distributions enable.
_SERVICES = ("virtqemud", "libvirtd")
_SYSTEMD_DEFAULT = 8 << 20
_UNITS_OF_SIZE = {"K": 10, "M": 20, "G": 30, "T": 40, "P": 50, "E": 60}


def read_memory(root: Root) -> Memory:
    """RAM in all and by NUMA node, the pools of huge pages, and libvirt's limit."""
    by_node = ((node, f"{NODES}/node{node}") for node in nodes(root))
    found = [(node, _total(read_text(under(root, f"{place}/meminfo")))) for node, place in by_node]
    pools = list(_pools(root, POOLS, None))
    for node in nodes(root):
        pools += _pools(root, f"{NODES}/node{node}/hugepages", node)
    return Memory(
        total=_total(read_text(under(root, "proc/meminfo"))),
        nodes=tuple(found),
        hugepages=tuple(pools),
        memlock=read_memlock(root),
    )


def read_memlock(root: Root) -> int | None:
    """The limit that libvirt's service gives itself, else systemd's default, in bytes.

    -1 is without limit. None where no unit of libvirt is there: it may run in a container, whose
    limit the host's files do not tell.
    """
    service = _service(root)
    if service is None:
        return None
    texts = [_first(root, _UNITS, service), *_parts(root, _UNITS, f"{service}.d")]
    limit = _last(texts, "LimitMEMLOCK")
    if limit is None:
        texts = [
            _first(root, _CONFIGURATION, "system.conf"),
            *_parts(root, _CONFIGURATION, "system.conf.d"),
        ]
        limit = _last(texts, "DefaultLimitMEMLOCK")
    return _SYSTEMD_DEFAULT if limit is None else limit


def _total(text: str) -> int:
    """Bytes from the line `MemTotal: 16384 kB`, which a node's file begins with its name."""
    for line in text.splitlines():
        words = line.partition("MemTotal:")[2].split()
        if words and words[0].isascii() and words[0].isdigit():
            return int(words[0]) << 10
    return 0


def _pools(root: Root, folder: str, node: int | None) -> Iterator[HugePagePool]:
    sizes = {}
    for name in listed(under(root, folder)):
        kib = name[len("hugepages-") : -len("kB")]
        if name.startswith("hugepages-") and kib.isascii() and kib.isdigit():
            sizes[int(kib) << 10] = under(root, f"{folder}/{name}")
    for size, place in sorted(sizes.items()):
        total, free = (_count(read_text(f"{place}/{each}_hugepages")) for each in ("nr", "free"))
        yield HugePagePool(size=size, total=total, free=free, node=node)


def _count(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0


def _service(root: Root) -> str | None:
    there = [f"{name}.service" for name in _SERVICES if _there(root, f"{name}.service")]
    enabled = [each for each in there if _enabled(root, each)]
    return next(iter(enabled or there), None)


def _there(root: Root, unit: str) -> bool:
    return any(exists(under(root, f"{folder}/{unit}")) for folder in _UNITS)


def _enabled(root: Root, unit: str) -> bool:
    name = unit.partition(".")[0]
    wants = ((target, kind) for target, kind in
             (("multi-user", "service"), ("sockets", "socket")))  # fmt: skip
    return any(
        f"{name}.{kind}" in listed(under(root, f"etc/systemd/system/{target}.target.wants"))
        for target, kind in wants
    )


def _first(root: Root, folders: tuple[str, ...], name: str) -> str:
    texts = (read_text(under(root, f"{folder}/{name}")) for folder in folders)
    return next((text for text in texts if text), "")


def _parts(root: Root, folders: tuple[str, ...], name: str) -> list[str]:
    places: dict[str, str] = {}
    for folder in reversed(folders):
        place = under(root, f"{folder}/{name}")
        places.update((part, f"{place}/{part}") for part in listed(place) if part.endswith(".conf"))
    return [read_text(places[part]) for part in sorted(places)]


def _last(texts: list[str], key: str) -> int | None:
    """The last assignment that stands; an empty one goes back to the default."""
    found = None
    for text in texts:
        for line in text.splitlines():
            name, equals, value = line.partition("=")
            if equals and name.strip() == key:
                found = _limit(value.strip())
    return found


def _limit(text: str) -> int | None:
    """`64M`, `infinity` or `soft:hard`, of which the first is what a process runs under."""
    text = text.partition(":")[0]
    if text == "infinity":
        return -1
    shift = _UNITS_OF_SIZE.get(text[-1:], 0)
    digits = text[:-1] if shift else text
    return int(digits) << shift if digits.isascii() and digits.isdigit() else None
