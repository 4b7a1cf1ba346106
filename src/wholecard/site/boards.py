"""Boards of GPUs that are given in sets: each set becomes a kind of card of its own. Pure.

A set is one partition of the board, the same on each of its hosts by module ids. nova has no word
for "any one of these sets" (docs/how-to/nvswitch-boards.md says why), but a kind whose cards are,
on each host, exactly one set can only be given as that set. So the sets take the kind's place: each
lists its GPUs by address, and everything after that knows kinds of whole cards alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from wholecard.core.units import counted, joined
from wholecard.host.facts.host import Host
from wholecard.pci import Address
from wholecard.pci.splitting.nvswitch import Partition, board_of, of_size_text, partition_of, place
from wholecard.site.error_words import shown
from wholecard.site.give import GpuSet, Partitions, Whole
from wholecard.site.model import CardKind, Match, Site

Keys = tuple[str | int, ...]
Issue = tuple[Keys, str, str]

# What a set has from its board's kind and what is each set's own.
_MEANINGLESS = {
    "extra_function": "servers get the GPUs of a board",
    "device_type": "the facts of the hosts say it",
    "select": "the GPUs of a set are named by address",
}
_MOST_ROWS = 256


@dataclass(frozen=True)
class _Board:
    """A kind that is given in sets, with the partitions of its board; empty where not known."""

    name: str
    kind: CardKind
    give: Partitions
    partitions: tuple[Partition, ...]

    @property
    def keys(self) -> Keys:
        """Where its policy is in the site file."""
        return ("cards", self.name, "give")

    def places(self) -> dict[str, tuple[Partition, ...]] | None:
        """The partitions of each set, by its name; None where they have no place together."""
        found = ((name, partition_of(self.partitions, frozenset(each.modules)))
                 for name, each in self.give.sets.items())  # fmt: skip
        named = [(name, partition) for name, partition in found if partition]
        free = [(name, each.size) for name, each in self.give.sets.items() if not each.modules
                for _ in range(each.count)]  # fmt: skip
        taken = [gpu for _, partition in named for gpu in partition.gpus]
        rest = place(self.partitions, [size for _, size in free], frozenset(taken))
        if rest is None or len(set(taken)) != len(taken):
            return None
        sets: dict[str, tuple[Partition, ...]] = dict.fromkeys(self.give.sets, ())
        for name, partition in (*named, *zip((name for name, _ in free), rest, strict=True)):
            sets[name] += (partition,)
        return sets

    def hosts(self, site: Site) -> Iterator[tuple[str, Match]]:
        """The hosts that have the board, each with the match that is for it."""
        for host in site.hosts:
            for match in self.kind.match:
                if host in (match.hosts or (host,)):
                    yield host, match
                    break


def with_sets(site: Site) -> Site:
    """The site with each board's sets as kinds in its place; `board_issues` must have none."""
    boards = {board.name: board for board in _boards(site)}
    if not boards:
        return site
    cards: dict[str, CardKind] = {}
    for name, kind in site.cards.items():
        cards |= _kinds(site, boards[name]) if name in boards else {name: kind}
    copy = site.model_copy(update={"cards": cards})
    copy._boards = {name: board.kind for name, board in boards.items()}
    return copy


def _boards(site: Site) -> Iterator[_Board]:
    for name, kind in site.cards.items():
        if isinstance(kind.give, Partitions):
            yield _Board(name, kind, kind.give, _partitions(kind, kind.give.table))


def _partitions(kind: CardKind, table: Sequence[Sequence[int]]) -> tuple[Partition, ...]:
    if table:
        return tuple(Partition(number, frozenset(row)) for number, row in enumerate(table))
    boards = {board_of(f"{match.vendor}:{match.product}") for match in kind.match}
    board = boards.pop() if len(boards) == 1 else None
    return board.partitions if board else ()


def partitions_on(site: Site, host: str) -> tuple[Partition, ...]:
    """The partitions of a host's board, by the site file; empty where they are not known."""
    for kind in (*site.boards.values(), *site.cards.values()):
        if not any(host in (match.hosts or (host,)) for match in kind.match):
            continue
        give = kind.give if isinstance(kind.give, Partitions) else None
        partitions = _partitions(kind, give.table if give else ())
        if partitions:
            return partitions
    return ()


def _kinds(site: Site, board: _Board) -> dict[str, CardKind]:
    places = board.places() or {}
    kinds = {}
    for name, partitions in places.items():
        gpus = frozenset[int]().union(*(partition.gpus for partition in partitions))
        matches = tuple(
            Match(vendor=match.vendor, product=match.product, address=address, hosts=(host,))
            for host, match in board.hosts(site)
            for address, module in site.hosts[host].modules.items()
            if module in gpus
        )
        each = board.give.sets[name]
        own = each.resource_class or board.kind.resource_class
        kind = board.kind.model_copy(
            update={"match": matches, "give": Whole(policy="whole"), "resource_class": own}
        )
        kind._board, kind._set_size = board.name, each.size
        kinds[name] = kind
    return kinds


def place_in_file(site: Site, keys: Keys) -> Keys:
    """Where the file has what is `keys` in the site: a set is below the policy of its board."""
    kind = site.cards.get(str(keys[1])) if len(keys) > 1 and keys[0] == "cards" else None
    if kind is None or not kind.board:
        return keys
    return ("cards", kind.board, "give", "sets", *keys[1:])


def board_issues(site: Site) -> list[Issue]:
    """What is wrong with the boards of a site as its file has them, by the keys of its place."""
    issues: list[Issue] = []
    used = Counter([*site.cards, *site.slices])
    for board in _boards(site):
        used.update(list(board.give.sets))
    for board in _boards(site):
        own = [*_of_kind(board), *_of_names(board, used)] or list(_of_sets(board))
        issues += own or _of_hosts(board, site)
    return issues


def _of_kind(board: _Board) -> Iterator[Issue]:
    yield from _of_matches(board)
    for key, why in _MEANINGLESS.items():
        if key in board.kind.model_fields_set:
            yield (
                ("cards", board.name, key),
                f"{key} is not for GPUs of a board: {why}",
                "remove it",
            )
    if board.kind.resource_class and len(board.give.sets) > 1:
        what = "each set of a board needs a resource class of its own"
        yield ("cards", board.name, "resource_class"), what, "write it at the sets, or remove it"
    yield from _of_table(board)


def _of_matches(board: _Board) -> Iterator[Issue]:
    for number, match in enumerate(board.kind.match):
        if match.address or match.parent or not (match.vendor and match.product):
            what = (
                "the GPUs of a board are matched by vendor and product; which is which is said by "
                "hosts.NAME.modules"
            )
            yield ("cards", board.name, "match", number), what, "write vendor and product"


def _of_table(board: _Board) -> Iterator[Issue]:
    for row, gpus in enumerate(board.give.table):
        if not gpus or len(set(gpus)) != len(gpus):
            yield (*board.keys, "table", row), "no set of GPUs", "write each module id once"
    if len(board.give.table) > _MOST_ROWS:
        yield (*board.keys, "table"), f"more than {_MOST_ROWS} partitions", "write those in use"
    if not board.partitions:
        ids = joined([f"{each.vendor}:{each.product}" for each in board.kind.match], "and")
        what = f"the partitions of a board with GPUs {ids} are not known"
        yield board.keys, what, "write table, the sets of physicalId that fmpm -l prints"


def _of_names(board: _Board, used: Counter[str]) -> Iterator[Issue]:
    for name in board.give.sets:
        if used[name] > 1:
            what = f"the name {shown(name)} is used for something else under cards"
            yield (*board.keys, "sets", name), what, "choose another name"


def _of_sets(board: _Board) -> Iterator[Issue]:
    """Of a board whose partitions are known."""
    wrong = False
    for name, each in board.give.sets.items():
        for key, what, hint in _of_set(board, each):
            wrong = True
            yield (*board.keys, "sets", name, *key), what, hint
    if not wrong and board.places() is None:
        sizes = joined([str(each.size) for each in board.give.sets.values()
                        for _ in range(each.count)], "and")  # fmt: skip
        what = f"WC607: no partitions of the board make sets of {sizes} GPUs beside each other"
        yield (*board.keys, "sets"), what, "give fewer, or smaller ones"


def _of_set(board: _Board, each: GpuSet) -> Iterator[Issue]:
    sizes = sorted({partition.size for partition in board.partitions}, reverse=True)
    if each.size not in sizes:
        what = f"WC607: no partition of the board has {counted(each.size, 'GPU')}"
        yield ("size",), what, f"partitions have {joined(list(map(str, sizes)), 'or')}"
    if each.count > 1 and each.size > 1:
        what = f"nova would give a server GPUs of two of these {each.count} sets"
        yield ("count",), what, "write each as a set with a name of its own"
    if not each.modules:
        return
    if len(each.modules) != each.size * each.count:
        what = f"{counted(len(each.modules), 'module id')} for {counted(each.size, 'GPU')}"
        yield ("modules",), what, "write one for each GPU, and count: 1"
    elif partition_of(board.partitions, frozenset(each.modules)) is None:
        what = f"WC607: GPUs {' '.join(map(str, each.modules))} are no partition of the board"
        yield ("modules",), what, f"those of that size: {of_size_text(board.partitions, each.size)}"


def _of_hosts(board: _Board, site: Site) -> Iterator[Issue]:
    places = board.places() or {}
    needed = {gpu for sets in places.values() for partition in sets for gpu in partition.gpus}
    having = 0
    for host, match in board.hosts(site):
        modules = site.hosts[host].modules
        keys: Keys = ("hosts", host, "modules")
        if not modules and not match.hosts:
            continue
        having += 1
        missing = sorted(needed - set(modules.values()))
        if len(set(modules.values())) != len(modules):
            yield keys, "two GPUs have one module id", "read them again: nvidia-smi -q"
        elif missing:
            what = f"{host} has no address for module {joined(list(map(str, missing)), 'and')}"
            yield keys, f"{what} of cards.{board.name}", "read it from nvidia-smi -q, Module ID"
    if not having:
        what = "no host says which of its GPUs is which"
        yield board.keys, what, "write hosts.NAME.modules, from nvidia-smi -q, Module ID"


def board_issues_on(site: Site, host_name: str, host: Host) -> Iterator[Issue]:
    """What the facts of a host show: GPUs that are not where the site file has them."""
    modules = site.hosts[host_name].modules
    ids = _ids_by_address(site, host_name)
    for address in modules:
        function = host.function(Address.parse(address))
        expected = ids.get(address)
        if function is None or (expected and function.ids != expected):
            there = f"is {function.ids}" if function else "does not exist"
            what = f"{address} on {host_name} {there}, and modules names it as a GPU of the board"
            yield ("hosts", host_name, "modules", address), what, (
                "addresses change when buses are numbered anew: read them again")  # fmt: skip
    for name, kind in site.boards.items():
        for address in _gpus_of(kind, host_name, host):
            if address not in modules:
                what = f"{address} on {host_name} is a GPU of cards.{name} without module id"
                hint = "add it, from nvidia-smi -q, Module ID"
                yield ("hosts", host_name, "modules"), what, hint
                break


def _gpus_of(kind: CardKind, host_name: str, host: Host) -> list[str]:
    ids = {f"{each.vendor}:{each.product}" for each in kind.match
           if host_name in (each.hosts or (host_name,))}  # fmt: skip
    return [str(each.address) for each in host.functions if each.is_display and each.ids in ids]


def _ids_by_address(site: Site, host_name: str) -> Mapping[str, str]:
    return {
        match.address: f"{match.vendor}:{match.product}"
        for kind in site.cards.values()
        for match in kind.match
        if kind.board and match.address and host_name in match.hosts
    }
