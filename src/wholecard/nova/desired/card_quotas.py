"""Who counts the cards of a project, and since when. Pure.

nova counts cards under unified limits alone, as resource classes in Placement, and what an alias
asks for only from 2026.2 on (LP 2140631; nova 34, nova/limit/placement.py, `_get_deltas`). There a
class that nova's `unified_limits_resource_list` names and Keystone has no registered limit of is a
limit of 0 (nova/limit/utils.py, `should_enforce`), so both lists are made from one answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from wholecard.core.capabilities import Capability, has
from wholecard.core.releases import Release
from wholecard.host.facts.host import Host
from wholecard.nova.desired.device_selection import given, hosts_without_facts
from wholecard.nova.desired.placement_tags import placement_use
from wholecard.nova.desired.resource_classes import card_classes
from wholecard.nova.desired.unsupported import Unsupported
from wholecard.nova.options import DB_DRIVER, UNIFIED_DRIVER
from wholecard.site.model import Site


def quota_driver(site: Site, of: Release) -> str | None:
    """nova's `[quota] driver` to write, None to leave the release's own."""
    if site.quota_driver == "db":
        return DB_DRIVER
    asked = site.quota_driver == "unified" and not lacks_unified_limits(site, of)
    return UNIFIED_DRIVER if asked or limited_cards(site, of) else None


def lacks_unified_limits(site: Site, of: Release) -> bool:
    """Whether the site asks for unified limits and the release does not have them.

    Yoga to 2023.1 list the driver as "Do not use. Still being developed." (nova/conf/quota.py at
    the tags 25.0.0 to 27.0.0).
    """
    return site.quota_driver == "unified" and not has(of, Capability.UNIFIED_LIMITS)


def limited_cards(site: Site, of: Release) -> tuple[str, ...]:
    """The kinds of cards whose limits nova of that release counts."""
    if why_uncounted(site, of):
        return ()
    return tuple(dict.fromkeys(name for quota in site.quotas.values() for name in quota.cards))


def limited_classes(site: Site, facts: Mapping[str, Host], of: Release) -> dict[str, str]:
    """The resource class under which nova counts each kind that has a limit.

    Keystone needs a registered limit of each, nova's `unified_limits_resource_list` names each.
    Raises UndoableError where a class cannot be known, as nova's configuration cannot be either.
    """
    names = limited_cards(site, of)
    if not names:
        return {}
    without_facts = tuple(hosts_without_facts(site, facts))
    # Every release that counts cards can tune Placement for as many as a host has.
    classes = card_classes(site, given(site, facts), without_facts, placement_use(site, of))
    # Chosen in Placement, a kind has one class.
    return {name: classes.of_kind(name)[0] for name in names}


def why_uncounted(site: Site, of: Release) -> str:
    """Why limits of cards hold nothing back, as a sentence; empty where nova counts them."""
    if not has(of, Capability.CARDS_COUNTED):
        return f"nova of {of} counts no cards; {Capability.CARDS_COUNTED.series} does."
    if site.quota_driver == "db":
        return "nova's own database counts instances, cores and memory alone."
    if not placement_use(site, of).choose:
        return "nova counts cards in Placement alone, and pci_in_placement is off."
    return ""


def uncounted(site: Site, of: Release) -> Iterator[Unsupported]:
    """What the site asks of quotas and nova of that release does not do; it is left out."""
    if lacks_unified_limits(site, of):
        limits = Capability.UNIFIED_LIMITS
        yield Unsupported(
            ("quota_driver",),
            f"quota_driver: nova of {of} has no unified limits",
            f"They came with {limits.series} (nova {limits.since}).",
            "It is left out.",
        )
    why = why_uncounted(site, of)
    for project, quota in site.quotas.items():
        if quota.cards and why:
            yield Unsupported(
                ("quotas", project, "cards"),
                f"quotas.{project}: its limit of {', '.join(quota.cards)} holds nothing back",
                why,
                "It is left out.",
            )
