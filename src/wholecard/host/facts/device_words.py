"""What is said of a device in a tree or a picture: short names, links, drivers, groups. Pure."""

from __future__ import annotations

from wholecard.core.units import counted
from wholecard.pci.vfio_drivers import VFIO_PCI

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from wholecard.host.facts.host import KernelUse
    from wholecard.host.facts.topology import Above, Device, NumaNode
    from wholecard.pci import Address, Function

# What follows a maker's name in pci.ids.
_LEGAL_FORMS = frozenset(
    (
        "co",
        "company",
        "corp",
        "corporation",
        "electronics",
        "group",
        "inc",
        "limited",
        "llc",
        "ltd",
        "semiconductor",
        "semiconductors",
        "technologies",
        "technology",
    )
)
# More than these are counted.
_MOST_NAMED = 2


def short_name(function: Function) -> str:
    """`NVIDIA H100 SXM5 80GB`: the maker, and the name that it is sold under; ids where unknown."""
    inside = _in_brackets(function.device_name)
    device = inside or function.device_name or f"[{function.ids}]"
    maker = _maker(function.vendor_name)
    return device if device.startswith(maker) else f"{maker} {device}"


def _maker(name: str) -> str:
    inside = _in_brackets(name)
    if inside:
        return inside
    words = name.partition(",")[0].partition(" / ")[0].split()
    while len(words) > 1 and words[-1].strip(".").lower() in _LEGAL_FORMS:
        words.pop()
    return " ".join(words)


def _in_brackets(name: str) -> str:
    """What the last brackets of a name hold, empty where it has none."""
    before, sign, inside = name.rpartition("[")
    return inside[:-1].strip() if sign and before and inside.endswith("]") else ""


def device_title(device: Device) -> str:
    """Its kind and name: `GPU NVIDIA H100 SXM5 80GB`."""
    kind = _class_words(device.functions[0]) if device.is_other else device.kind
    return f"{kind} {short_name(_named(device))}".strip()


def _named(device: Device) -> Function:
    """The function that gives the device its name."""
    gpus = [function for function in device.functions if function.is_display]
    return (gpus or device.functions)[0]


def bridge_title(bridge: Above) -> str:
    """`switch 0000:16:00.0 Broadcom PEX890xx`; ports are not named, for they are many."""
    function = bridge.function
    title = f"{bridge.kind} {function.address}"
    return title if bridge.kind.endswith("port") else f"{title} {short_name(function)}"


def device_facts(device: Device) -> tuple[str, ...]:
    """All else that is said of it, the driver first: a fact each."""
    first = _named(device)
    facts = [
        _drivers(device.functions),
        _groups(device.functions),
        link_text(first),
        _vfs(device, first),
        "NVLink" if device.nvlink else "",
        *(f"{above.kind} {above.function.address}" for above in device.through),
        _together(device.together),
        _uses(device.uses),
        "boot display" if any(function.boot_vga for function in device.functions) else "",
    ]
    return tuple(fact for fact in facts if fact not in ("", "-"))


def link_text(function: Function) -> str:
    """`8.0 GT/s x16 (of 16.0 GT/s x16)`; the second only where it differs, `-` for no link."""
    now = _link(function.link_speed, function.link_width)
    most = _link(function.link_speed_max, function.link_width_max)
    return f"{now} (of {most})" if most not in ("-", now) else now


def _link(speed: float | None, width: int | None) -> str:
    parts = [f"{speed} GT/s" if speed else "", f"x{width}" if width else ""]
    return " ".join(part for part in parts if part) or "-"


def _drivers(functions: tuple[Function, ...]) -> str:
    """The driver that all functions have, else that of each by the function's number."""
    drivers = [function.driver or "no driver" for function in functions]
    if len(set(drivers)) == 1:
        more = f" ({counted(len(drivers), 'function')})" if len(drivers) > 1 else ""
        return f"{drivers[0]}{more}"
    numbered = zip(functions, drivers)
    return ", ".join(f".{function.address.function:x} {driver}" for function, driver in numbered)


def _groups(functions: tuple[Function, ...]) -> str:
    groups = sorted({f.iommu_group for f in functions if f.iommu_group is not None})
    if not groups:
        return ""
    return f"group{'s' if len(groups) > 1 else ''} {', '.join(map(str, groups))}"


def _vfs(device: Device, first: Function) -> str:
    if not device.vfs:
        return ""
    total = sum(function.sriov_total for function in device.functions)
    of = f"{len(device.vfs)} of {total} VFs" if total else counted(len(device.vfs), "VF")
    on_vfio = sum(vf.is_on_vfio for vf in device.vfs)
    return f"{of}, {on_vfio} on {VFIO_PCI}" if on_vfio and not first.is_on_vfio else of


def _together(addresses: tuple[Address, ...]) -> str:
    return f"in one group with {_some(map(str, addresses))}" if addresses else ""


def _uses(uses: Iterable[KernelUse]) -> str:
    words = {"default-route": "default route", "data": "holds data"}
    texts = dict.fromkeys(
        " ".join(filter(None, (words.get(use.kind, ""), use.what))) for use in uses
    )
    return f"used by the host: {_some(texts)}" if texts else ""


def _some(texts: Iterable[str]) -> str:
    """The first of some texts, and how many more."""
    first, more = list(texts), 0
    if len(first) > _MOST_NAMED + 1:
        more = len(first) - _MOST_NAMED
        first = first[:_MOST_NAMED]
    return ", ".join(first) + (f" and {more} more" if more else "")


def node_title(node: NumaNode) -> str:
    """`NUMA node 0`, or what is said of devices whose node is not known."""
    return "NUMA node not known" if node.number is None else f"NUMA node {node.number}"


def node_facts(node: NumaNode) -> tuple[str, ...]:
    """Its CPUs and its memory; whole GiB, for what the kernel keeps differs from boot to boot."""
    gib = (node.memory + (1 << 29)) >> 30
    return tuple(
        filter(None, (f"CPUs {node.cpus}" if node.cpus else "", f"{gib} GiB" if gib else ""))
    )


def folded_words(functions: tuple[Function, ...]) -> tuple[str, ...]:
    """What is not shown, counted by class: `bridges (4)`, `USB controller (3)`."""
    counts = {"bridges": sum(function.is_bridge for function in functions)}
    for words in sorted(_class_words(f) for f in functions if not f.is_bridge):
        counts[words] = counts.get(words, 0) + 1
    return tuple(f"{words} ({number})" for words, number in counts.items() if number)


def _class_words(function: Function) -> str:
    return function.class_name or f"class {function.class_code[:4] or '?'}"
