"""What a site asks for, compared with what nova of a release supports: by the file alone. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from wholecard.core import releases
from wholecard.core.capabilities import Capability, has
from wholecard.core.releases import Release
from wholecard.nova.desired.card_quotas import uncounted
from wholecard.nova.desired.placement_tags import PlacementUse, placement_use
from wholecard.nova.desired.scheduler_filters import wrong_filters
from wholecard.nova.desired.tuning import is_too_wide
from wholecard.nova.desired.unsupported import UNREPORTED, Keys, Unsupported
from wholecard.nova.options import DEVICE_SPEC_KEYS, NUMA_POLICIES
from wholecard.site.model import CardKind, Site


def untuned_placement(site: Site, release: Release, cards_per_host: int) -> tuple[Unsupported, ...]:
    """A warning where Placement of the release cannot be tuned for so many cards on a host."""
    requested = site.nova
    if requested.pci_in_placement is False or not is_too_wide(release.nova, cards_per_host):
        return ()
    since = Capability.WIDE_PROVIDER_TREES.series
    why = (
        f"{since} is the first release in which Placement can be tuned for {cards_per_host} cards "
        "on a host."
    )
    if requested.pci_in_placement is True:
        what = "nova.pci_in_placement: requests for several cards may find no host"
        resolution = (
            f"Write auto or false, so that nova counts cards itself, or upgrade to {since}."
        )
    elif placement_use(site, release).choose:
        what = "nova.pci_in_placement: auto means off here, and nova counts cards itself"
        resolution = "Write false to turn this warning off."
    else:
        return ()
    return (Unsupported(("nova", "pci_in_placement"), what, why, resolution),)


def unsupported_requests(
    site: Site, release: Release, available: Sequence[str] = ()
) -> tuple[Unsupported, ...]:
    """Everything that nova of that release does not have, or would refuse at start.

    `available` is what nova-scheduler's `available_filters` names, as far as it is known. An
    unknown filter counts as nova's where nova has one of a similar name, or once had it.
    """
    requests = list(_placement(site, release))
    for name, kind in site.cards.items():
        requests += _card(name, kind, placement_use(site, release), release)
    return (*requests, *_filters(site, release, available, are_novas=True))


def ignored_requests(
    site: Site, release: Release, available: Sequence[str] = ()
) -> tuple[Unsupported, ...]:
    """Warnings: limits that nova would not count are left out, and a filter that nova does not have
    stays, because somebody else's package may have it."""
    return (*uncounted(site, release), *_filters(site, release, available, are_novas=False))


def _placement(site: Site, release: Release) -> Iterator[Unsupported]:
    requested = site.nova
    for name, requested_use, capability in (
        ("report_in_placement", requested.report_in_placement, Capability.REPORT_IN_PLACEMENT),
        ("pci_in_placement", requested.pci_in_placement, Capability.PCI_IN_PLACEMENT),
    ):
        if requested_use is True and not has(release, capability):
            yield _too_old(("nova", name), f"nova.{name}", capability.since, release)
    if requested.pci_in_placement is True and requested.report_in_placement is False:
        yield UNREPORTED


def _too_old(keys: Keys, what: str, since: int, release: Release) -> Unsupported:
    series = releases.release(str(since))
    return Unsupported(
        keys,
        f"{what}: nova of {release} does not have it",
        f"nova has it since {series} (nova {since}).",
        f"Remove it, or render for {series} or later.",
    )


def _card(name: str, kind: CardKind, use: PlacementUse, release: Release) -> Iterator[Unsupported]:
    requests: list[tuple[str, object, int]] = [
        ("resource_class", kind.resource_class, DEVICE_SPEC_KEYS["resource_class"]),
        ("traits", kind.traits, DEVICE_SPEC_KEYS["traits"]),
        ("managed", not kind.managed, DEVICE_SPEC_KEYS["managed"]),
        ("live_migratable", kind.live_migratable, DEVICE_SPEC_KEYS["live_migratable"]),
        ("one_time_use", kind.one_time_use, DEVICE_SPEC_KEYS["one_time_use"]),
        ("numa_policy", kind.numa_policy, NUMA_POLICIES[kind.numa_policy or "legacy"]),
    ]
    for key, value, since in requests:
        if not value:
            continue
        keys: Keys = ("cards", name, key)
        if release.nova < since:
            yield _too_old(keys, f"cards.{name}.{key}", since, release)
        elif not use.report and key in ("resource_class", "traits", "one_time_use"):
            yield Unsupported(
                keys,
                f"cards.{name}.{key} needs Placement",
                "nova.report_in_placement is false.",
                "Report the cards to Placement, or remove this key.",
            )
        elif key == "one_time_use" and kind.device_type == "type-VF":
            yield Unsupported(
                keys,
                f"cards.{name}: a VF cannot have one_time_use",
                "nova/compute/pci_placement_translator.py refuses it.",
                "Remove one_time_use.",
            )


def _filters(
    site: Site, release: Release, available: Sequence[str], *, are_novas: bool
) -> Iterator[Unsupported]:
    """The wrong filters of the site's list: nova's own by their names, or all others."""
    for wrong in wrong_filters(site.nova.enabled_filters or (), release.nova, available):
        is_novas = bool(wrong.right or wrong.removed_in)
        if is_novas is are_novas:
            yield Unsupported(
                ("nova", "enabled_filters", wrong.index),
                wrong.problem(release),
                "nova-scheduler does not start unless available_filters names it.",
                wrong.resolution if is_novas else "",
            )
