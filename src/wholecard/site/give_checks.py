"""Cards that are given in parts: what a site file asks of one card, and what prevents it. Pure.

What cannot go together is said by `wholecard.pci.splitting.together`, each with its source.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from wholecard.core.capabilities import Capability, has
from wholecard.core.releases import Release
from wholecard.core.units import counted, joined
from wholecard.host.facts.host import Host
from wholecard.pci.splitting.together import Conflict, Split, conflicts
from wholecard.site.card_matching import functions_of
from wholecard.site.error_words import shown
from wholecard.site.give import Mdev, Mig, Vfs, slices_of
from wholecard.site.model import CardKind, Match, Site

Keys = tuple[str | int, ...]
Issue = tuple[Keys, str, str]

# What says how nova sees a function of a card: for a part of it that follows from the policy. Only
# VFs can be of a function that is no GPU.
_OF_FUNCTIONS = ("extra_function", "device_type", "select")
_OF_FUNCTIONS_WITH_VFS = ("device_type", "select")


def give_issues(site: Site, known: Release | None) -> Iterator[Issue]:
    """What the file alone shows; `known` is its release, None for one that is not known."""
    for name, kind in site.cards.items():
        yield from _parents(name, kind)
        if kind.parts is not None:
            yield from _counts(name, kind.parts)
            yield from _meaningless(name, kind)
            for ids in dict.fromkeys(filter(None, map(_ids, kind.match))):
                yield from _refused(site, name, kind.parts, ids, known)
    yield from _names(site)


def give_issues_on(site: Site, host_name: str, host: Host, known: Release) -> Iterator[Issue]:
    """What the facts of a host show: how many VFs its cards can have."""
    for name, kind in site.cards.items():
        parts = kind.parts
        for function in functions_of(kind, host_name, host) if parts is not None else ():
            if parts is not None:
                total = function.sriov_total if asked_vfs(parts) else None
                on = f" ({function.address} on {host_name})"
                yield from _refused(site, name, parts, function.ids, known, total, on)


def asked_vfs(parts: Mdev | Vfs | Mig) -> int:
    """How many VFs each card must have; 0 where servers get no VFs."""
    if isinstance(parts, Mdev) or (isinstance(parts, Mig) and parts.through == "mdev"):
        return 0
    typed = sum(each.count for each in parts.types.values())
    return max(typed, (parts.count or 0) if isinstance(parts, Vfs) else 0)


def _ids(match: Match) -> str:
    """`10de:2330`; empty where the match does not give both."""
    return f"{match.vendor}:{match.product}" if match.vendor and match.product else ""


def _refused(
    site: Site, name: str, parts: Mdev | Vfs | Mig, ids: str, known: Release | None,
    total: int | None = None, where: str = "",
) -> Iterator[Issue]:  # fmt: skip
    use = site.nova.pci_in_placement is not False and site.nova.report_in_placement is not False
    placement = use and (known is None or has(known, Capability.PCI_IN_PLACEMENT))
    for conflict in conflicts(_split(parts, ids, total, placement)):
        what = f"{conflict.rule}: {conflict.reason}{where}"
        yield _keys(name, parts, conflict), what, f"source: {conflict.source}"


def _split(parts: Mdev | Vfs | Mig, ids: str, total: int | None, placement: bool) -> Split:
    ways: tuple[str, ...]
    if isinstance(parts, Mig):
        ways, geometry, mixed = ("mig", parts.through), parts.geometry, True
    else:
        ways, geometry, mixed = (parts.policy,), None, parts.mixed_sizes
    return Split(ids, ways, tuple(parts.types), asked_vfs(parts), total, geometry,
                 placement=placement, heterogeneous=mixed)  # fmt: skip


def _keys(name: str, parts: Mdev | Vfs | Mig, conflict: Conflict) -> Keys:
    keys = {"WC602": "types", "WC604": "geometry", "WC605": "count"}
    key = keys.get(conflict.rule, "policy")
    return ("cards", name, "give", key if key in type(parts).model_fields else "types")


def _parents(name: str, kind: CardKind) -> Iterator[Issue]:
    for number, match in enumerate(kind.match):
        if match.parent is None:
            continue
        keys = ("cards", name, "match", number, "parent")
        if not isinstance(kind.give, Mdev):
            what = "a parent that is no PCI function has mediated devices only"
            yield keys, what, "write give: {policy: mdev, types: …}, or match by vendor and product"
        elif match.vendor or match.product or match.subsystem or match.address:
            what = "parent is for what is no PCI function, and the other keys are of PCI functions"
            yield keys, what, "write one of the two"


def _counts(name: str, parts: Mdev | Vfs | Mig) -> Iterator[Issue]:
    if not isinstance(parts, Vfs):
        return
    typed = sum(each.count for each in parts.types.values())
    if parts.count is None and not parts.types:
        yield ("cards", name, "give"), "how many VFs is not said", "write count, or types"
    elif parts.count is not None and parts.count < typed:
        what = f"count is {parts.count}, and the types need {counted(typed, 'VF')}"
        yield ("cards", name, "give", "count"), what, "remove count, or write a larger one"


def _meaningless(name: str, kind: CardKind) -> Iterator[Issue]:
    for key in _OF_FUNCTIONS_WITH_VFS if isinstance(kind.parts, Vfs) else _OF_FUNCTIONS:
        if key in kind.model_fields_set:
            what = f"{key} is for whole cards, and these are given in parts ({kind.give.policy})"
            yield ("cards", name, key), what, f"remove it, or write cards.{name}.give: whole"


def _names(site: Site) -> Iterator[Issue]:
    """Parts without a name of their own, and names that are used twice."""
    used = Counter(name for name, kind in site.cards.items() if kind.parts is None)
    for kind_name, kind in site.cards.items():
        slices = slices_of(kind_name, kind.parts, kind.resource_class) if kind.parts else ()
        for each in slices:
            keys = ("cards", kind_name, "give", "types", each.type)
            if len(slices) > 1 and each.name == kind_name:
                what = f"the kind has {len(slices)} types, and this one has no name"
                yield keys, what, f"for example {each.type}: {{count: {each.count}, name: …}}"
            elif used[each.name] or (each.name != kind_name and each.name in site.cards):
                what = f"the name {shown(each.name)} is used for something else under cards"
                yield keys, what, "choose another name"
            used[each.name] += 1


def unnamed_issue(site: Site, name: str) -> tuple[str, str] | None:
    """Why a flavor cannot ask for this kind of card itself; None where it can."""
    if name in site.boards:
        sets = [set_name for set_name, kind in site.cards.items() if kind.board == name]
        return f"{shown(name)} is given in sets", f"name one of them: {joined(sets, 'or')}"
    kind = site.cards.get(name)
    if kind is None or kind.parts is None or name in site.slices:
        return None
    names = [each.name for each in site.slices.values() if each.kind == name]
    return f"{shown(name)} is given in parts", f"name one of them: {joined(names, 'or')}"
