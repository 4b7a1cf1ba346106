"""The two pages of splitting a card, made from the tables that `split types` goes by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from wholecard.pci.splitting import amd, mig, nvswitch
from wholecard.pci.splitting.record import CardKind, Software, Source, Way, dotted, driver_text
from wholecard.pci.splitting.registry import AS_OF, known_cards, ways_of

# Boots asked for, refused, and refused though the same servers in other places would have left
# room; counted by tests/pci/splitting/test_nvswitch.py.
FIGURES = {
    "best fit": (188302, 54342, 1547),
    "first fit": (188465, 54860, 3405),
    "at random": (188653, 55426, 6215),
}
_MEANS = {
    "best fit": "best fit: the choice that leaves the most room (Wholecard's)",
    "first fit": "the free partition with the lowest number",
    "at random": "a free partition at random",
}

_CARDS_HEAD = f"""# What each vendor's cards can do

What Wholecard knows of splitting cards, as of {AS_OF}. Made from the tables that
`wholecard split types` prints (contributors: `src/wholecard/pci/splitting/`, one file for each
vendor, renewed with `WHOLECARD_RENEW=1`).

    wholecard split types --card 10de:2330 --driver 580.159.01 --kernel 6.8

**Not run on hardware.** The tables are the vendors' own, with what others published who have the
cards; each row has its source. What is inferred is marked. What the host itself shows comes before
any table: `wholecard split types --facts host.tar.gz` shows both.
[Whole, slice or share: which](../explanation/whole-slice-or-share.md) compares the ways.
"""

_WHICH_HEAD = """# Whole, slice or share: which

A card can be given to servers in four ways. This page compares them, says what excludes what, and
which sets of GPUs of an NVSwitch board can be given together. Nothing of it was run on hardware;
the sources are in [What each vendor's cards can do](../reference/splitting.md).

## The four ways

| way | what a server gets | isolation | a part can move live | which cards |
| --- | --- | --- | --- | --- |
| `whole` | the card, by VFIO | the IOMMU's | no: vfio-pci cannot migrate | every card |
| `mdev` | a mediated device of the host's driver | the driver's; memory is divided, time is shared | yes, if the driver can (nova 29 and later) | NVIDIA with kernels below 6.8, Intel GVT-g |
| `vfs` | a virtual function of the card | the IOMMU's, between VFs | with a variant driver that can (nova 31 and later) | NVIDIA with kernel 6.8 and later, AMD with GIM, Intel xe |
| `mig` | a part of the card's compute units and memory | the card's own: units and memory are divided | as the vGPU through which it is given | NVIDIA A100, A30, H100 and later |

Take the card whole where a server can use all of it: nothing is shared, the guest has the vendor's
own driver, and no vGPU licence is needed. Take MIG where several tenants need their own memory and a
speed that others do not change. Take VFs or mediated devices where many servers need a little.
With NVIDIA all parts need the vGPU host driver and its licence.

## How many, and for how long

- What a card is split into is set when the host is prepared. VFs, their types and MIG geometry are
  gone after a reboot and must be made again before nova-compute starts. nova itself makes mediated
  devices only.
- `nvidia/creatable_vgpu_types` of a VF lists what can be made now. It shrinks while other VFs of the
  card are in use, also to nothing, so it is no inventory: `nvidia-smi vgpu -s` has all types.
- A VF keeps its address, and the next server gets the same one. Whoever clears its type must know
  whose it is.

## What nova reads

| way | the host shows | nova's configuration | the flavor asks |
| --- | --- | --- | --- |
| `whole` | a PCI function | `[pci] device_spec`, `alias` | `pci_passthrough:alias` |
| `mdev` | `/sys/class/mdev_bus/*/mdev_supported_types/` | `[devices] enabled_mdev_types`, `[mdev_*]` | `resources:VGPU=1`, or a class of its own |
| `vfs` with a vendor's types | `nvidia/current_vgpu_type` of each VF | `device_spec` for each VF with `managed: no` and a resource class for each type; Placement for PCI devices | an alias with `device_type: type-VF` |
| `vfs` | `sriov_numvfs` of the PF | `device_spec` for the VFs, never for the PF too | an alias with `device_type: type-VF` |
| `mig` | no PCI function of its own | as the mdev or VF through which it is given | the same |
"""  # noqa: E501 -- a row of a table is a line

_TOGETHER = """## What cannot go together

`wholecard split check` answers before a host is changed:

    wholecard split check --card 10de:2330 --give mig --mig 3g.40gb=2 --mig 1g.10gb

| what | why | rule |
| --- | --- | --- |
| a card whole, and parts of it | nova-compute does not start with a PF and its VFs in `device_spec` | [WC601](../rules/WC601.md) |
| mediated devices and VFs with types on one card | the driver, the kernel and the card decide which | [WC601](../rules/WC601.md) |
| two types below one card without Placement | nova cannot tell them apart | [WC602](../rules/WC602.md) |
| two types of one parent | nova accepts an address in one type alone | [WC602](../rules/WC602.md) |
| types of two sizes without the heterogeneous mode | the driver refuses the second | [WC602](../rules/WC602.md) |
| MIG with too old a driver | each card has a first driver | [WC603](../rules/WC603.md) |
| MIG instances that have no place | compute slices, memory slices, where an instance can begin, media engines | [WC604](../rules/WC604.md) |
| more VFs than the card has | `sriov_totalvfs`; AMD's modes | [WC605](../rules/WC605.md) |
| a way that the card, driver or kernel does not have | see the tables | [WC606](../rules/WC606.md) |
| GPUs of a board that are no partition | Fabric Manager connects only its sets | [WC607](../rules/WC607.md) |

### MIG: more than a sum

A card with seven compute slices has eight memory slices. A 3g instance has three of the first and
four of the second, and it begins at memory slice 0 or 4. So two 3g and one 1g do not fit, though
they are seven compute slices: of the 1,919 geometries of an empty H100, 77 fit, and by compute
slices alone 102 would. On an empty card the two sums together give the same answer as the
placement. Where instances stay, they do not: with one 1g at slice 1 and one at slice 5 six slices
are free, and no 3g has a place. The placements were printed on A100 40 GB, H100 80 GB and
H100 NVL, the same on all three; for later cards with seven slices they are inferred.
"""  # noqa: E501 -- a row of a table is a line

_BOARD = """## Boards with NVSwitches

On an HGX board the GPUs of one server have NVLink among each other only if they are exactly one of
Fabric Manager's partitions, in its shared mode (`FABRIC_MODE=1`), and this partition is active
before the server starts (`fmpm -a N`). Partitions are sets of module ids (`nvidia-smi -q`), which do
not follow PCI addresses. The host's Fabric Manager and the guest's driver must have the same
version. On boards before the H100 (HGX-2, HGX A100) a GPU that is reset when its server starts has
no NVLink then (NVIDIA/libvirt-hooks, README), and VFIO resets it: plain passthrough of several GPUs
with NVLink is for HGX H100 and later.

Of HGX A100 and of boards with 16 GPUs no source that was read has the table. `fmpm -l` on the host
has it, and comes before the tables here: an operator can give Fabric Manager another file.

### Which partition for the next server

Wholecard's chooser takes, of the free partitions of the size that is asked for, the one whose use
leaves the most room: the most free partitions of the largest size, then of the next. On the boards
above, whose partitions halve from 8 to 1, this is the buddy system's best fit.

What holds, in every case:

- A server never ends on GPUs that are no partition.
- A size is refused only if no partition of that size is free.
- As long as no server was deleted, a size is refused only if fewer GPUs are free than it asks for:
  then no other order and no other choice would have had room. (Every state that boots can reach was
  tried, on both boards and on a model of 16 GPUs.)

What does not hold: after deletions the free GPUs may be no partition. Eight servers with one GPU
each fill a board; delete one of each pair, and four GPUs are free and no pair is. No chooser can
avoid that, because all GPUs were given; only moving a server would help. How often it happens
depends on the choice. In 10,000 orders of 30 boots and deletions (seeded; sizes 1, 1, 2, 2, 4, 8 as
likely, 45 of 100 events a deletion) on an HGX H100:

"""  # noqa: E501 -- a row of a table is a line

_AFTER_BOARD = """
`refused in vain` are refusals that another arrangement of the servers that were there would have
avoided. nova itself knows nothing of partitions: it gives any free cards of an alias, and has no
place for a chooser. [NVSwitch boards](../how-to/nvswitch-boards.md) gives a board in fixed sets, so
that nova can give nothing else; what that costs is there.
"""


def which_page() -> str:
    """docs/explanation/whole-slice-or-share.md."""
    rows = [
        (_MEANS[name], f"{asked:,}", f"{refused:,}", f"{vain:,}")
        for name, (asked, refused, vain) in FIGURES.items()
    ]
    figures = _table(("choice", "boots asked for", "refused", "refused in vain"), rows)
    return f"{_WHICH_HEAD}\n{_TOGETHER}\n{_BOARD}{figures}{_AFTER_BOARD}"


def cards_page() -> str:
    """docs/reference/splitting.md."""
    return "\n".join([_CARDS_HEAD, _overview(), _framework(), _mig(), _boards(), _amd(), _intel()])


def _overview() -> str:
    rows = [
        (card.name, _ids(card.ids), *(f"{way.state}" for way in ways_of(card)[1:]))
        for card in known_cards()
    ]
    return (
        "## All cards\n\nEvery card can be given whole. `depends` is decided by the driver or the "
        "kernel, which `--driver` and `--kernel` give; `not known` is what no source that was read "
        "tells.\n\n" + _table(("card", "ids", "mdev", "VFs", "MIG"), rows)
    )


def _framework() -> str:
    hosts = (
        ("16 (driver 535), kernel below 6.8", Software((535, 216, 1), (5, 14))),
        ("17 and later (driver 550), kernel below 6.8", Software((550, 90, 5), (5, 14))),
        ("16 (driver 535), kernel 6.8 and later", Software((535, 216, 1), (6, 8))),
        ("17 and later (driver 550), kernel 6.8 and later", Software((580, 159, 1), (6, 8))),
    )
    kinds = (("T4 (Turing)", "T4"), ("A40 (Ampere)", "A40"), ("L40S (Ada), H100 (Hopper)", "L40S"))
    rows = [
        (host, *(_both(next(c for c in known_cards() if c.name == card), software)
                 for _, card in kinds))
        for host, software in hosts
    ]  # fmt: skip
    ways = ways_of(next(c for c in known_cards() if c.name == "L40S"))
    needs = "".join(f"- {need}\n" for need in ways[2].needs)
    return (
        "## NVIDIA: mediated devices or VFs with types\n\nThe vGPU host driver makes either the "
        "one or the other. A VF with the folder `nvidia/` in sysfs has types of the driver's own; "
        "a parent in `/sys/class/mdev_bus` has mediated devices.\n\n"
        + _table(("vGPU software and kernel", *(title for title, _ in kinds)), rows)
        + f"\nVFs with types need:\n\n{needs}"
        + _sources(source for way in ways[1:3] for source in way.sources)
    )


def _both(card: CardKind, software: Software) -> str:
    _, mdev, vfs, _ = ways_of(card, software)
    return f"mdev {mdev.state}, VFs {vfs.state}"


def _mig() -> str:
    rows = [
        (
            card.name, _ids(card.ids), driver_text(card.driver),
            ", ".join(f"{profile.name} {profile.most}" for profile in card.profiles) or "not known",
            "seen" if card.placements_seen else "inferred" if card.profiles else "",
            card.inferred,
        )
        for card in mig.CARDS
    ]  # fmt: skip
    heads = ("card", "ids", "first driver", "profiles, how many at most", "placements", "inferred")
    return (
        "## NVIDIA: MIG\n\nA profile `Ng.Mgb` has N compute slices; a card has one `+me` instance "
        "at most. A MIG instance reaches a server as a MIG-backed vGPU, or inside a guest that has "
        "the whole card.\n\n"
        + _table(heads, rows)
        + _sources(source for card in mig.CARDS for source in card.sources)
    )


def _boards() -> str:
    rows = [
        (
            board.name, _ids(board.ids), str(partition.number), str(partition.size),
            ", ".join(map(str, sorted(partition.gpus))),
        )
        for board in nvswitch.BOARDS
        for partition in board.partitions
    ]  # fmt: skip
    inferred = "; ".join(board.inferred for board in nvswitch.BOARDS)
    return (
        "## NVIDIA: partitions of NVSwitch boards\n\nAs Fabric Manager's shared mode has them; "
        "GPUs are module ids.\n\n"
        + _table(("board", "ids", "partition", "GPUs", "module ids"), rows)
        + f"\nInferred: {inferred}.\n"
        + _sources(board.source for board in nvswitch.BOARDS)
    )


def _amd() -> str:
    rows = [
        (
            model.name, _ids(model.ids), model.vf or "-", "; ".join(map(str, model.modes)),
            ", ".join(f"{host.name} ({dotted(host.kernel)})" for host in model.hosts),
            dotted(model.since),
        )
        for model in amd.MODELS
    ]  # fmt: skip
    heads = ("card", "PF", "VF", "VFs a GPU (modes)", "hosts that AMD tries (kernel)", "GIM since")
    needs = next(way.needs for way in ways_of(amd.CARDS[0]) if way.name == "vfs")
    return (
        "## AMD: VFs by GIM\n\n"
        + _table(heads, rows)
        + "\n"
        + "".join(f"- {need}\n" for need in needs)
        + _sources(_of_vendor(amd.CARDS))
    )


def _intel() -> str:
    cards = [card for card in known_cards() if card.ids[0].startswith("8086")]
    rows = []
    for card in cards:
        _, mdev, vfs, _ = ways_of(card)
        way = mdev if mdev.state != "no" else vfs
        rows.append((card.name, _ids(card.ids), way.name, way.through, _text(way)))
    return (
        "## Intel: xe, i915, GVT-g\n\n"
        + _table(("card", "ids", "way", "driver", "when, and what it needs"), rows)
        + _sources(_of_vendor(cards))
    )


def _text(way: Way) -> str:
    return " ".join((f"{way.reason[:1].upper()}{way.reason[1:]}.", *way.needs))


def _of_vendor(cards: Iterable[CardKind]) -> Iterable[Source]:
    return (source for card in cards for way in ways_of(card)[1:] for source in way.sources)


def _ids(ids: Sequence[str]) -> str:
    """`10de:20b0 20b1`: the vendor once."""
    return f"{ids[0][:5]}{' '.join(each[5:] for each in ids)}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _sources(sources: Iterable[Source]) -> str:
    return "\nSources: " + "; ".join(dict.fromkeys(map(str, sources))) + ".\n"
