"""Who counts the cards of a project, and since when. Pure.

nova counts cards only with unified limits, as resource classes in Placement, and what an alias asks
for only since 2026.2 (LP 2140631; nova 34, nova/limit/placement.py, `_get_deltas`). A class that
nova's `unified_limits_resource_list` names and that has no registered limit in Keystone has the
limit 0 (nova/limit/utils.py, `should_enforce`), so both lists come from one answer here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from wholecard.core.capabilities import Capability, has
from wholecard.core.releases import Release
from wholecard.host.facts.host import Host
from wholecard.nova.desired.device_selection import hosts_without_facts, select_devices
from wholecard.nova.desired.placement_tags import placement_use
from wholecard.nova.desired.resource_classes import card_classes
from wholecard.nova.desired.slice_classes import slice_classes
from wholecard.nova.desired.unsupported import Unsupported, UnsupportedError
from wholecard.nova.options import DB_DRIVER, UNIFIED_DRIVER
from wholecard.site.model import Site

_NO_LIMITS = "nova of {} has no unified limits."


def quota_driver(site: Site, release: Release) -> str | None:
    """nova's `[quota] driver` to write, None for the release's own default."""
    if site.quota_driver == "db":
        return DB_DRIVER
    is_requested = site.quota_driver == "unified" and not lacks_unified_limits(site, release)
    return UNIFIED_DRIVER if is_requested or limited_cards(site, release) else None


def lacks_unified_limits(site: Site, release: Release) -> bool:
    """Whether the site asks for unified limits and the release does not have them.

    Yoga to 2023.1 list the driver as "Do not use. Still being developed." (nova/conf/quota.py at
    the tags 25.0.0 to 27.0.0).
    """
    return site.quota_driver == "unified" and not has(release, Capability.UNIFIED_LIMITS)


def limited_cards(site: Site, release: Release) -> tuple[str, ...]:
    """The kinds of cards, and of parts, whose limits nova of that release counts."""
    names = dict.fromkeys(name for quota in site.quotas.values() for name in quota.cards)
    return tuple(name for name in names if not why_uncounted(site, release, name))


def limited_classes(site: Site, facts: Mapping[str, Host], release: Release) -> dict[str, str]:
    """The resource class by which nova counts each kind that has a limit.

    Each needs a registered limit in Keystone and a place in nova's `unified_limits_resource_list`.
    Raises UnsupportedError where a class is not known: then the rest of nova's configuration is
    not known either.
    """
    limited = limited_cards(site, release)
    own = slice_classes(site, release)
    parts = {name: own[name] for name in limited if name in own}
    whole = [name for name in limited if name not in own]
    return {**_of_kinds(site.for_servers, whole, facts, release),
            **{name: of_part for name, of_part in parts.items() if of_part}}  # fmt: skip


def _of_kinds(
    site: Site, names: list[str], facts: Mapping[str, Host], release: Release
) -> dict[str, str]:
    """The class of each of these kinds of whole cards."""
    if not names:
        return {}
    without_facts = tuple(hosts_without_facts(site, facts))
    # Every release that counts cards can tune Placement for as many as a host has.
    selected, use = select_devices(site, facts), placement_use(site, release)
    classes = card_classes(site, selected, without_facts, use)
    # Chosen in Placement, a kind has one class.
    return {name: classes.of_kind(name)[0] for name in names}


def refuse_limits_of_one_class(site: Site, classes: Mapping[str, str]) -> None:
    """Raises UnsupportedError for a project with limits of kinds that have one resource class.

    `classes` is what `limited_classes` returns. Keystone has one limit of a class for a project, so
    the second would replace the first, and nova would count the cards of both kinds against it.
    """
    problems = []
    for project, quota in site.quotas.items():
        first_of: dict[str, str] = {}
        for kind in quota.cards:
            first = first_of.setdefault(classes[kind], kind) if kind in classes else kind
            if first != kind:
                problems.append(_two_limits(project, first, kind, classes[kind]))
    if problems:
        raise UnsupportedError(problems)


def _two_limits(project: str, first: str, second: str, resource_class: str) -> Unsupported:
    return Unsupported(
        ("quotas", project, "cards", second),
        f"quotas.{project}: {first} and {second} have one resource class, {resource_class}, and "
        "nova counts them as one",
        "A project has one limit in Keystone for each resource class.",
        f"Give cards.{second} another resource_class, or remove one of the two limits: the other "
        "then limits both kinds together.",
    )


def why_uncounted(site: Site, release: Release, name: str = "") -> str:
    """Why limits of cards have no effect, as a sentence; empty where nova counts cards.

    `name` is a card's, or a part's: mediated devices are what a flavor asks for by `resources:`,
    which unified limits always count (nova, nova/limit/placement.py).
    """
    part = site.slices.get(name)
    if part is not None and part.way == "mdev" and site.quota_driver == "unified":
        return "" if has(release, Capability.UNIFIED_LIMITS) else _NO_LIMITS.format(release)
    if not has(release, Capability.CARDS_COUNTED):
        return f"nova counts cards since {Capability.CARDS_COUNTED.series}, and this is {release}."
    if site.quota_driver == "db":
        return "The quota driver db counts only instances, cores and memory."
    if not placement_use(site, release).choose:
        return "nova counts cards only in Placement, and pci_in_placement is off."
    return ""


def uncounted(site: Site, release: Release) -> Iterator[Unsupported]:
    """What the site asks for of quotas and nova of that release does not support."""
    if lacks_unified_limits(site, release):
        limits = Capability.UNIFIED_LIMITS
        yield Unsupported(
            ("quota_driver",),
            f"quota_driver: nova of {release} has no unified limits",
            f"nova has them since {limits.series} (nova {limits.since}).",
            "It is skipped.",
        )
    for project, quota in site.quotas.items():
        for reason, names in uncounted_cards(site, quota.cards, release).items():
            yield Unsupported(
                ("quotas", project, "cards"),
                f"quotas.{project}: the limit of {', '.join(names)} has no effect",
                reason,
                "It is skipped.",
            )


def uncounted_cards(
    site: Site, names: Iterable[str], release: Release
) -> dict[str, tuple[str, ...]]:
    """Those of these cards and parts that nova does not count, by the reason."""
    reasons: dict[str, tuple[str, ...]] = {}
    for name in names:
        reason = why_uncounted(site, release, name)
        if reason:
            reasons[reason] = (*reasons.get(reason, ()), name)
    return reasons
