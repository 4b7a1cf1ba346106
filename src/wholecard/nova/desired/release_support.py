"""What a site wishes, held against what nova of a release has: by the file alone. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from wholecard.core.capabilities import Capability, has
from wholecard.core.releases import Release, release
from wholecard.nova.desired.card_quotas import uncounted
from wholecard.nova.desired.placement_tags import PlacementUse, placement_use
from wholecard.nova.desired.scheduler_filters import WrongFilter, wrong_filters
from wholecard.nova.desired.tuning import is_too_wide
from wholecard.nova.desired.unsupported import Keys, Unsupported
from wholecard.nova.options import DEVICE_SPEC_KEYS, NUMA_POLICIES
from wholecard.site.model import CardKind, Site


def too_wide(site: Site, of: Release, cards_per_host: int) -> tuple[Unsupported, ...]:
    """What stops nothing, where Placement of the release cannot be tuned for so many cards."""
    wish = site.nova
    if wish.pci_in_placement is False or not is_too_wide(of.nova, cards_per_host):
        return ()
    keys: Keys = ("nova", "pci_in_placement")
    since = Capability.WIDE_PROVIDER_TREES.series
    why = f"{since} is the first whose Placement can be tuned for {cards_per_host} cards on a host."
    if wish.pci_in_placement is True:
        return (
            Unsupported(
                keys,
                "nova.pci_in_placement: requests for several cards may find no host",
                why,
                f"Write auto or false, and nova counts cards itself, or upgrade to {since}.",
            ),
        )
    if not placement_use(site, of).choose:
        return ()
    return (
        Unsupported(
            keys,
            "nova.pci_in_placement: auto is off here, and nova counts cards itself",
            why,
            "Write false, and this is not said again.",
        ),
    )


def undoable(site: Site, of: Release, available: Sequence[str] = ()) -> tuple[Unsupported, ...]:
    """All that nova of that release does not have, or would refuse at start.

    `available` is what nova-scheduler's `available_filters` names, as far as somebody told. A
    filter that is not there, and that nova has under a like name or once had, is taken for nova's.
    """
    return (
        *_placement(site, of),
        *(
            each
            for name, kind in site.cards.items()
            for each in _card(name, kind, placement_use(site, of), of)
        ),
        *(_filter(each, of) for each in _wrong_filters(site, of, available) if _is_novas(each)),
    )


def passed_over(site: Site, of: Release, available: Sequence[str] = ()) -> tuple[Unsupported, ...]:
    """What stops nothing: limits that nova would not count are left out, and a filter that may be
    somebody else's stays."""
    return (
        *uncounted(site, of),
        *(_filter(each, of) for each in _wrong_filters(site, of, available) if not _is_novas(each)),
    )


def _placement(site: Site, of: Release) -> Iterator[Unsupported]:
    wish = site.nova
    for name, wanted, capability in (
        ("report_in_placement", wish.report_in_placement, Capability.REPORT_IN_PLACEMENT),
        ("pci_in_placement", wish.pci_in_placement, Capability.PCI_IN_PLACEMENT),
    ):
        if wanted is True and not has(of, capability):
            yield _too_old(("nova", name), f"nova.{name}", capability.since, of)
    if wish.pci_in_placement is True and wish.report_in_placement is False:
        yield Unsupported(
            ("nova", "pci_in_placement"),
            "pci_in_placement needs report_in_placement",
            "The scheduler would look for cards that no compute has reported.",
            "Set report_in_placement on every compute first.",
        )


def _too_old(keys: Keys, what: str, since: int, of: Release) -> Unsupported:
    series = release(str(since))
    return Unsupported(
        keys,
        f"{what}: nova of {of} does not have it",
        f"It came with {series} (nova {since}).",
        f"Leave it out, or render for {series} or later.",
    )


def _card(name: str, kind: CardKind, use: PlacementUse, of: Release) -> Iterator[Unsupported]:
    demands: list[tuple[str, object, int]] = [
        ("resource_class", kind.resource_class, DEVICE_SPEC_KEYS["resource_class"]),
        ("traits", kind.traits, DEVICE_SPEC_KEYS["traits"]),
        ("managed", not kind.managed, DEVICE_SPEC_KEYS["managed"]),
        ("live_migratable", kind.live_migratable, DEVICE_SPEC_KEYS["live_migratable"]),
        ("one_time_use", kind.one_time_use, DEVICE_SPEC_KEYS["one_time_use"]),
        ("numa_policy", kind.numa_policy, NUMA_POLICIES[kind.numa_policy or "legacy"]),
    ]
    for key, wanted, since in demands:
        if not wanted:
            continue
        keys: Keys = ("cards", name, key)
        if of.nova < since:
            yield _too_old(keys, f"cards.{name}.{key}", since, of)
        elif not use.report and key in ("resource_class", "traits", "one_time_use"):
            yield Unsupported(
                keys,
                f"cards.{name}.{key}: it needs Placement",
                "nova.report_in_placement is false.",
                "Report the cards in Placement, or take this key away.",
            )
        elif key == "one_time_use" and kind.device_type == "type-VF":
            yield Unsupported(
                keys,
                f"cards.{name}: a VF cannot be for one use",
                "nova/compute/pci_placement_translator.py refuses it.",
                "Take one_time_use away.",
            )


def _wrong_filters(site: Site, of: Release, available: Sequence[str]) -> Iterator[WrongFilter]:
    return wrong_filters(site.nova.enabled_filters or (), of.nova, available)


def _is_novas(wrong: WrongFilter) -> bool:
    """Whether one of nova's own filters is meant, as far as a name tells."""
    return bool(wrong.right or wrong.gone)


def _filter(wrong: WrongFilter, of: Release) -> Unsupported:
    return Unsupported(
        ("nova", "enabled_filters", wrong.place),
        wrong.says(of),
        "nova-scheduler does not start unless available_filters names it.",
        wrong.mend if _is_novas(wrong) else "",
    )
