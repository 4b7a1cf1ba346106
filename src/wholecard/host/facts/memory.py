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
# systemd-system.conf(5), DefaultLimitMEMLOCK=.
_SYSTEMD_DEFAULT = 8 << 20
_UNITS_OF_SIZE = {"K": 10, "M": 20, "G": 30, "T": 40, "P": 50, "E": 60}


def read_memory(root: Root) -> Memory:
    """RAM in all and by NUMA node, the pools of huge pages, and libvirt's limit."""
    sizes = []
    pools = list(_pools(root, POOLS, None))
    for node in nodes(root):
        folder = f"{NODES}/node{node}"
        sizes.append((node, _total(read_text(under(root, f"{folder}/meminfo")))))
        pools += _pools(root, f"{folder}/hugepages", node)
    return Memory(
        total=_total(read_text(under(root, "proc/meminfo"))),
        nodes=tuple(sizes),
        hugepages=tuple(pools),
        memlock=read_memlock(root),
    )


def read_memlock(root: Root) -> int | None:
    """The limit that libvirt's service gives itself, else systemd's default, in bytes.

    -1 is without limit. None where the host has no unit of libvirt: it may run in a container, and
    the container's limit is not in the host's files.
    """
    service = _service(root)
    if service is None:
        return None
    limit = _last(_texts(root, _UNITS, service), "LimitMEMLOCK")
    if limit is None:
        limit = _last(_texts(root, _CONFIGURATION, "system.conf"), "DefaultLimitMEMLOCK")
    return _SYSTEMD_DEFAULT if limit is None else limit


def _total(text: str) -> int:
    """Bytes from the line `MemTotal: 16384 kB`, which a node's file begins with its name."""
    for line in text.splitlines():
        words = line.partition("MemTotal:")[2].split()
        if words and words[0].isascii() and words[0].isdigit():
            return int(words[0]) << 10
    return 0


def _pools(root: Root, folder: str, node: int | None) -> Iterator[HugePagePool]:
    folders = {}
    for name in listed(under(root, folder)):
        kib = name[len("hugepages-") : -len("kB")]
        if name.startswith("hugepages-") and kib.isascii() and kib.isdigit():
            folders[int(kib) << 10] = under(root, f"{folder}/{name}")
    for size, pool in sorted(folders.items()):
        total, free = (_count(read_text(f"{pool}/{name}_hugepages")) for name in ("nr", "free"))
        yield HugePagePool(size=size, total=total, free=free, node=node)


def _count(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0


def _service(root: Root) -> str | None:
    installed = [
        f"{name}.service"
        for name in _SERVICES
        if any(exists(under(root, f"{folder}/{name}.service")) for folder in _UNITS)
    ]
    enabled = [unit for unit in installed if _enabled(root, unit)]
    return next(iter(enabled or installed), None)


def _enabled(root: Root, unit: str) -> bool:
    name = unit.partition(".")[0]
    return any(
        f"{name}.{kind}" in listed(under(root, f"etc/systemd/system/{target}.target.wants"))
        for target, kind in (("multi-user", "service"), ("sockets", "socket"))
    )


def _texts(root: Root, folders: tuple[str, ...], name: str) -> list[str]:
    """The file of that name that is in effect, then its drop-ins."""
    files = (read_text(under(root, f"{folder}/{name}")) for folder in folders)
    paths: dict[str, str] = {}
    for folder in reversed(folders):
        path = under(root, f"{folder}/{name}.d")
        paths.update((part, f"{path}/{part}") for part in listed(path) if part.endswith(".conf"))
    return [next(filter(None, files), ""), *(read_text(paths[part]) for part in sorted(paths))]


def _last(texts: list[str], key: str) -> int | None:
    """The last assignment, which is the one in effect; an empty one restores the default."""
    limit = None
    for text in texts:
        for line in text.splitlines():
            name, equals, value = line.partition("=")
            if equals and name.strip() == key:
                limit = _limit(value.strip())
    return limit


def _limit(text: str) -> int | None:
    """`64M`, `infinity` or `soft:hard`, of which the first is what a process runs under."""
    text = text.partition(":")[0]
    if text == "infinity":
        return -1
    shift = _UNITS_OF_SIZE.get(text[-1:], 0)
    digits = text[:-1] if shift else text
    return int(digits) << shift if digits.isascii() and digits.isdigit() else None
