"""What `inspect` prints for a person: the host, then each card with its functions.

A card is a table where that fits, and a few lines for each function where it does not.
"""

from __future__ import annotations

from wholecard.core.report_text import table, wrapped
from wholecard.core.units import size_text
from wholecard.host.facts.device_words import link_text
from wholecard.pci.boards import is_on_nvlink_board, nvswitches

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from wholecard.host.facts.host import Host, Iommu, KernelUse
    from wholecard.pci import Card, Function

_HEAD = ("FUNCTION", "CLASS", "DRIVER", "MODULES", "GROUP", "LINK", "RESET", "POWER", "NAME")


def host_text(host: Host, width: int | None = None) -> str:
    """The host's own facts, one a line, and each card; no line is longer than `width`."""
    boot = host.boot
    facts = [
        ("IOMMU", _iommu_text(host.iommu)),
        ("processors", _cpu_text(host)),
        ("memory", _memory_text(host)),
        ("kernel", boot.release),
        ("arguments", boot.command_line),
        ("boot", _boot_text(host)),
        (
            "system",
            boot.distribution + (boot.image_based and f", image-based ({boot.image_based})"),
        ),
        ("missing", ", ".join(boot.missing)),
        ("board", _board_text(host)),
        *(("console", f"{console.name} on {console.address}") for console in host.framebuffers),
        *((_use_name(use), f"{use.address} {use.kind}: {use.what}") for use in host.uses),
        *(("not read", sentence) for sentence in host.unread),
    ]
    lines = _fact_lines(facts, width)
    if not host.cards:
        lines.append("cards:      none")
    for card in host.cards:
        lines += ["", *_card_lines(host, card, width)]
    return "\n".join(lines)


def machine_lines(host: Host, width: int | None = None) -> list[str]:
    """What there is to know of the machine itself before its devices are shown as a tree."""
    facts = [
        ("IOMMU", _iommu_text(host.iommu)),
        ("processors", _cpu_text(host)),
        ("memory", size_text(host.memory.total) if host.memory.total else ""),
        ("board", _board_text(host)),
    ]
    return _fact_lines(facts, width)


def _fact_lines(facts: Iterable[tuple[str, str]], width: int | None) -> list[str]:
    lines: list[str] = []
    for name, text in facts:
        if text:
            lines += _fitted(f"{name + ':':<12}", text, " " * 12, width)
    return lines


def _use_name(use: KernelUse) -> str:
    return "not empty" if use.kind == "data" else "in use"


def _board_text(host: Host) -> str:
    switches = nvswitches(host.functions)
    gpus = sum(is_on_nvlink_board(card.gpu[0], switches) for card in host.cards)
    if not gpus:
        return ""
    names = ", ".join(str(switch.address) for switch in switches) or "not PCI devices of this host"
    return f"{gpus} GPUs connected by NVSwitches ({names}), which need a fabric manager: WC180"


def _iommu_text(iommu: Iommu) -> str:
    kind, state = iommu.kind or "none in the firmware", "on" if iommu.on else "off"
    remapping = {True: "on", False: "off", None: "unknown"}[iommu.interrupt_remapping]
    override = ", groups made smaller by an ACS override" if iommu.acs_override else ""
    return f"{kind}, {state}, interrupt remapping {remapping}{override}"


def _cpu_text(host: Host) -> str:
    cpu = host.cpu
    if not cpu.threads:
        return ""
    parts = [
        cpu.model or cpu.vendor,
        f"sockets {cpu.sockets}, cores {cpu.cores}, threads {cpu.threads}",
        f"{cpu.physical_bits} address bits" if cpu.physical_bits else "",
        f"isolated {cpu.isolated}" if cpu.isolated else "",
    ]
    return ", ".join(part for part in parts if part)


def _memory_text(host: Host) -> str:
    memory = host.memory
    parts = [size_text(memory.total)] if memory.total else []
    parts += [f"NUMA node {node} {size_text(size)}" for node, size in memory.nodes]
    parts += [
        f"{pool.total} huge pages of {size_text(pool.size)} ({pool.free} free)"
        for pool in memory.hugepages
        if pool.node is None and pool.total
    ]
    if memory.memlock is not None:
        limit = "no limit" if memory.memlock < 0 else size_text(memory.memlock)
        parts.append(f"libvirt may lock {limit}")
    return ", ".join(parts)


def _boot_text(host: Host) -> str:
    boot = host.boot
    secure = {True: "secure boot on", False: "secure boot off", None: ""}[boot.secure_boot]
    parts = [
        {"uefi": "UEFI", "bios": "BIOS"}.get(boot.firmware or "", ""),
        secure,
        boot.loader or "unknown loader",
        boot.initramfs or "unknown initramfs",
    ]
    return ", ".join(part for part in parts if part)


def _fitted(head: str, text: str, indent: str, width: int | None) -> list[str]:
    """The text behind its head, on lines of at most `width`, where one is too long."""
    if width is None or len(head) + len(text) <= width:
        return [f"{head}{text}"]
    return wrapped(text, indent, head, width)


def _card_lines(host: Host, card: Card, width: int | None) -> list[str]:
    notes = ", ".join(_notes(host, card))
    rows = [_function_row(function, _prefix(card, function)) for function in card.functions]
    rows += [_function_row(companion, "companion ") for companion in card.companions]
    rows += [_function_row(function, "stays with the host: ") for function in card.kept]
    title = _fitted(f"card {card.slot} ", notes and f"({notes})", "      ", width)
    title[0] = title[0].rstrip()
    lines = table(_HEAD, rows).splitlines()
    if width is not None and max(map(len, lines)) > width:
        lines = [line for row in rows for line in _function_lines(row, width)]
    return [*title, *lines]


def _function_lines(row: tuple[str, ...], width: int) -> list[str]:
    """A row of the table as a few lines: the function and its name, then all else by its column."""
    address, *cells, name = row
    heads = [head.lower() for head in _HEAD[1:-1]]
    facts = [f"{head} {cell}" for head, cell in zip(heads, cells) if cell != "-"]
    lines = _fitted(f"  {address}  ", name, " " * 16, width)
    line = "   "
    for fact in facts:
        more = f"{line}, {fact}" if line.strip() else f"{line} {fact}"
        if len(more) > width and line.strip():
            lines.append(f"{line},")
            more = f"    {fact}"
        line = more
    return [*lines, line]


def _prefix(card: Card, function: Function) -> str:
    """Why a function is the card's, where its slot does not say it."""
    return "" if function.address.slot_key == card.slot else "behind the card's switch: "


def _notes(host: Host, card: Card) -> list[str]:
    """What is worth knowing of the whole card."""
    node = card.functions[0].numa_node
    # Of a predicted group it is not known yet whether it will be viable.
    groups = () if host.groups_predicted else host.groups_of(card)
    notes = [
        (card.variants, f"for guests {', '.join(card.variants)}"),
        (card.boot_display, "boot display"),
        (node is not None, f"NUMA node {node}"),
        (card.bar_bytes, f"BARs {size_text(card.bar_bytes)}"),
        (card.serial, f"serial {card.serial}"),
        *((not group.viable, f"{group.name} not viable") for group in groups),
        *((group.is_direct, f"{group.name} mapped one to one") for group in groups),
    ]
    return [note for is_so, note in notes if is_so]


def _function_row(function: Function, prefix: str) -> tuple[str, ...]:
    name = f"{function.vendor_name} {function.device_name}".strip()
    reset = function.reset_methods
    return (
        str(function.address),
        f"{function.class_name} [{function.class_code[:4]}]".strip(),
        function.driver or "-",
        ",".join(function.modules) or "-",
        "-" if function.iommu_group is None else str(function.iommu_group),
        link_text(function),
        "-" if reset is None else ",".join(reset) or "none",
        function.power or "-",
        f"{prefix}{name} [{function.ids}]".strip(),
    )
