"""The checks of Placement: whether it has the cards, enough of them, and finds them in time."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from wholecard.cloud.placement.provider_tree import Inventory, ProviderTree, ResourceProvider
from wholecard.core.capabilities import Capability, has
from wholecard.explain.check_result import CheckResult, failed, ok, unknown
from wholecard.explain.checks.host_case import ALIAS_UNKNOWN, ASK_CLOUD, FEWER, PROVIDERS, HostCase
from wholecard.explain.evidence.card_providers import address_in, card_providers
from wholecard.explain.evidence.conf_values import boolean, files, other
from wholecard.explain.evidence.requested_devices import class_of, in_placement, traits_of
from wholecard.nova.conf.service_conf import NovaConf, as_boolean
from wholecard.nova.flavor.resource_request import resource_request
from wholecard.nova.known_bugs import MOVE_TAKES_OTHER_CARD
from wholecard.nova.match import PciRequest

# Candidates that Placement goes through without its optimisation: at 4,096 it answers in a third of
# a second, at 16.8 million not within minutes (1 host, openstack-placement 16.0.0, 2 cores).
_TOO_MANY = 1_000_000
_IN_PLACEMENT_OPTION = "--conf api=FILE or --conf scheduler=FILE (pci_in_placement)"
_TUNING = (
    "[workarounds] optimize_for_wide_provider_trees = true and [placement] "
    "max_allocation_candidates = 100 in Placement's configuration"
)
# What a query without candidates shows by the demand that it adds: rule, cause, fix.
_DEMANDS = {
    "machine": ("WC324", "a resource class of the query has too little free",
                "Use a smaller flavor, or delete or move servers there."),
    "traits": ("WC325", "the host lacks a trait that the request needs",
               "Compare `openstack resource provider trait list` with the query."),
    "groups": ("WC324", "no provider has everything that one request group of the flavor needs",
               "Compare the flavor's resourcesN and traitN with the host's providers."),
    "class": ("WC320", "no card of that resource class is free",
              "Compare `openstack resource provider inventory list` with the query."),
    "card traits": ("WC321", "no card of that class has the traits",
                    "Add the alias's traits to device_spec too."),
    "count": ("WC318", "too few of the requested cards are free",
              "Wait, delete or move a server, or request fewer cards."),
}  # fmt: skip


def _tree(case: HostCase) -> ProviderTree | None:
    """What Placement has of the host; where it was not asked, what nova-compute would report."""
    derived = case.devices.providers
    if case.host.provider_tree is None and derived is not None:
        return ProviderTree(ResourceProvider(case.host.name), derived)
    return case.host.provider_tree


def _source(case: HostCase) -> str:
    return PROVIDERS if case.host.provider_tree else "what nova-compute on the host would report"


def _not_asked(case: HostCase) -> CheckResult:
    return ok("nova does not request cards from Placement", in_placement(case.evidence)[1])


def report(case: HostCase) -> CheckResult:
    """Whether nova-compute reports its cards.

    nova, nova/compute/pci_placement_translator.py: with `[pci] report_in_placement` each
    function, or PF with its VFs, is a provider `<hypervisor>_<address>`.
    """
    host = case.host
    if case.asks_placement is False:
        return _not_asked(case)
    reports, position = None, ""
    if host.conf is not None:
        reports, position = boolean(host.conf, "report_in_placement", case.evidence.release)
    if reports is False and case.asks_placement:
        return failed(
            "WC319",
            f"nova requests the cards from Placement, but nova-compute on {host.name} does not "
            "report them.",
            "Set [pci] report_in_placement = true there and restart nova-compute; it cannot be "
            "turned off again.",
            position,
        )
    if host.provider_tree is not None:
        return _reported(case)
    if reports:
        return ok("report_in_placement is set", position)
    return unknown("Placement was not asked", ASK_CLOUD.format(host.name))


def _reported(case: HostCase) -> CheckResult:
    cards = card_providers(case.host.provider_tree)
    if cards:
        providers = "one provider" if len(cards) == 1 else f"{len(cards)} providers"
        return ok(f"{providers} of cards", PROVIDERS)
    if case.asks_placement:
        return failed(
            "WC319",
            f"Placement has no card of {case.host.name}: nova-compute does not report them, or "
            "its device_spec matches no card.",
            "Set [pci] report_in_placement = true there, correct device_spec so that it matches "
            "the cards, and restart nova-compute; its log says what it refuses.",
            PROVIDERS,
        )
    says = (
        "Placement has no card of this host; this is a cause only if nova requests cards from "
        "Placement"
    )
    return unknown(says, _IN_PLACEMENT_OPTION, PROVIDERS)


def resource_class(case: HostCase) -> CheckResult:
    """Whether the cards are reported under the class that the alias asks for.

    nova, nova/objects/request_spec.py, `_rc_from_request`: the alias's `resource_class`, or
    CUSTOM_PCI_<VENDOR>_<PRODUCT>; device_spec's the same way.
    """
    skipped = _skipped(case)
    if skipped:
        return skipped
    for request in case.requested.requests:
        if _of_class(case, request):
            continue
        cards = card_providers(_tree(case))
        classes = {row.resource_class for card in cards for row in card.inventories or ()}
        result = failed(
            "WC320",
            f"The alias {request.alias} asks Placement for {class_of(request)}; the cards of "
            f"{case.host.name} are {', '.join(sorted(classes))}.",
            "Write the same resource_class in device_spec and alias, or none in both; restart "
            "nova-compute and nova-api.",
            case.requested.position(request.alias),
            _source(case),
        )
        return _if_asked(case, result)
    return ok(", ".join(dict.fromkeys(map(class_of, case.requested.requests))), _source(case))


def traits(case: HostCase) -> CheckResult:
    """Whether the cards have the traits of the alias.

    nova, nova/compute/pci_placement_translator.py, `get_traits`: both are normalised in the
    same way, `CUSTOM_` comes before what is no standard trait.
    """
    skipped = _skipped(case)
    if skipped:
        return skipped
    for request in case.requested.requests:
        required = traits_of(request)
        cards = _of_class(case, request)
        if any(required <= card.traits for card in cards):
            continue
        having = sorted(frozenset[str]().union(*(card.traits for card in cards)))
        result = failed(
            "WC321",
            f"The alias {request.alias} requests the traits {', '.join(sorted(required))}; no card "
            f"of {case.host.name} has them all. Their traits are: {', '.join(having) or 'none'}.",
            "Add the alias's traits to device_spec too, and restart nova-compute.",
            case.requested.position(request.alias),
            _source(case),
        )
        return _if_asked(case, result)
    every = frozenset[str]().union(*map(traits_of, case.requested.requests))
    return ok(", ".join(sorted(every)) or "none requested", _source(case))


def inventory(case: HostCase) -> CheckResult:
    """Whether Placement has enough of them neither used nor reserved.

    A one-time-use card is reserved after a server had it, until a person takes that back
    (nova, nova/compute/pci_placement_translator.py, `_handle_one_time_use`).
    """
    skipped = _skipped(case)
    if skipped:
        return skipped
    for request in case.requested.requests:
        cards = _fitting(case, request)
        free = sum(max(row.free, 0) for _, row in cards)
        if free < request.count:
            return _if_asked(case, _too_few(case, request, cards))
        if free < request.count + _asked_again(case, class_of(request)):
            return _if_asked(case, _asked_twice(case, request, free))
    classes = dict.fromkeys(map(class_of, case.requested.requests))
    again = next((name for name in classes if _asked_again(case, name)), "")
    twice = (
        f"the flavor requests {again} by its alias, and again by resources: Placement allocates "
        "both, and the server gets those of the alias"
    )
    return ok("enough is free", _source(case), warning=twice if again else "")


def _fitting(case: HostCase, request: PciRequest) -> list[tuple[ResourceProvider, Inventory]]:
    """The providers with the request's class and traits, with their inventory of the class."""
    return [
        (card, row)
        for card in _of_class(case, request)
        if traits_of(request) <= card.traits
        for row in card.inventories or ()
        if row.resource_class == class_of(request)
    ]


def _asked_again(case: HostCase, class_name: str) -> int:
    """How many of a card's class the flavor asks for by `resources:` besides its alias.

    nova, nova/scheduler/utils.py, `ResourceRequest`: one query has the flavor's own groups and
    those of the cards.
    """
    request = resource_request(case.evidence.request, case.evidence.release, False)
    demands = (request.machine, *request.groups.values())
    return sum(demand.resources.get(class_name, 0) for demand in demands)


def _asked_twice(case: HostCase, request: PciRequest, free: int) -> CheckResult:
    class_name = class_of(request)
    again = _asked_again(case, class_name)
    return failed(
        "WC312",
        f"The flavor requests {request.count} {class_name} by the alias {request.alias} and "
        f"{again} more by resources:{class_name}; {case.host.name} has {free} left.",
        f"Remove resources:{class_name} from the flavor: nova asks Placement for the alias's "
        "cards itself.",
        _source(case),
    )


def _too_few(
    case: HostCase, request: PciRequest, cards: list[tuple[ResourceProvider, Inventory]]
) -> CheckResult:
    """Too few in all, or reserved, or allocated."""
    name, class_name = case.host.name, class_of(request)
    total = sum(row.total for _, row in cards)
    if total < request.count:
        says = f"Placement has {total} {class_name} of {name}, {request.count} are requested."
        return failed("WC312", says, FEWER, _source(case))
    if total - sum(row.used for _, row in cards) >= request.count:
        return failed(
            "WC322",
            f"Cards of {name} are reserved in Placement: "
            f"{_addresses(card for card, row in cards if row.reserved)}.",
            "A one-time-use card is reserved after a server has used it. Clean the card, then:\n"
            "    openstack resource provider inventory set --resource "
            f"{class_name}:reserved=0 --amend PROVIDER",
            _source(case),
        )
    return _allocated(case, class_name, [card for card, row in cards if row.used])


def _allocated(case: HostCase, class_name: str, used: list[ResourceProvider]) -> CheckResult:
    """The failure of cards that servers have, with the servers that Placement names."""
    holders = sorted({server for card in used for server in card.consumers or ()})
    by = f" by {', '.join(holders)}" if holders else ""
    # A move leaves a card that its server does not have in the server's allocation.
    bug = MOVE_TAKES_OTHER_CARD.is_in(case.evidence.release.nova)
    left = " and of cards that a move left in an allocation (WC524)" if bug else ""
    return failed(
        "WC318",
        f"Placement has no free {class_name} on {case.host.name}: {_addresses(used)} are "
        f"allocated{by}.",
        f"Wait, or delete or move a server. To find allocations of deleted servers{left}:"
        "\n    wholecard audit",
        _source(case),
    )


def _addresses(cards: Iterable[ResourceProvider]) -> str:
    return ", ".join(map(address_in, cards))


def candidates(case: HostCase) -> CheckResult:
    """Whether Placement finds a combination, and in time.

    Placement tries n cards for each of k groups, n^k ways, before it drops those that use one
    card twice; nova gives up when its time-out or a proxy's ends, and has no candidate
    (openstack-placement, placement/conf/workarounds.py, bug 2126751).
    """
    if case.host.queries:
        return _queried(case)
    if case.asks_placement is False:
        return _not_asked(case)
    ways = _ways(case)
    if case.asks_placement is None and ways:
        return unknown("a cause only if nova requests cards from Placement", _IN_PLACEMENT_OPTION)
    if ways >= _TOO_MANY:
        return _many_ways(case, ways)
    word = "way" if ways == 1 else "ways"
    return ok(
        f"{ways} {word} to choose the cards" if ways else "no card is requested from Placement"
    )


def _many_ways(case: HostCase, ways: int) -> CheckResult:
    """Whether Placement's own configuration lets it answer so wide a query."""
    conf, fix = case.evidence.placement, _tuning_fix(case)
    if conf is None:
        return unknown(
            f"{ways:.1e} ways to choose the cards: without tuning Placement needs minutes",
            "--conf placement=FILE, or --cloud NAME to ask it",
        )
    limited, optimised, position = _tuned(case, conf)
    if limited and optimised:
        return ok(f"{ways:.1e} ways, and Placement is tuned for it", position)
    if limited and len(case.evidence.hosts) == 1:
        # Measured: 3.5 s on one host, 29 s on ten (docs/explanation/placement-tuning.md).
        slow = f"Placement needs seconds with one host, minutes with more: {fix}"
        return ok(
            f"{ways:.1e} ways, but Placement lists only a few of them", position, warning=slow
        )
    return failed(
        "WC323",
        f"Placement would try {ways:.1e} ways to choose the cards of {case.host.name} and not "
        "answer in time.",
        fix,
        position,
    )


def _tuned(case: HostCase, conf: NovaConf) -> tuple[bool, bool, str]:
    """Whether candidates are limited, whether the search for them is optimised, and the positions.

    A release's Placement ignores an option that it does not know yet.
    """
    release = case.evidence.release
    limit = other(conf, "placement", "max_allocation_candidates")
    optimise = other(conf, "workarounds", "optimize_for_wide_provider_trees")
    limited = limit is not None and re.fullmatch(r"\s*\+?0*[1-9]\d*\s*", limit.text)
    optimised = optimise is not None and as_boolean(optimise.text)
    return (
        bool(limited) and has(release, Capability.LIMITED_CANDIDATES),
        bool(optimised) and has(release, Capability.WIDE_PROVIDER_TREES),
        ", ".join(option.position for option in (limit, optimise) if option) or files(conf),
    )


def _tuning_fix(case: HostCase) -> str:
    if has(case.evidence.release, Capability.WIDE_PROVIDER_TREES):
        return f"Set {_TUNING}, and restart it."
    since = Capability.WIDE_PROVIDER_TREES.series
    return (
        "Set [filter_scheduler] pci_in_placement = false for nova-api, nova-scheduler and "
        f"nova-conductor, so that nova counts the cards itself; or upgrade to {since}, the first "
        "release in which Placement can be tuned for it."
    )


def _ways(case: HostCase) -> int:
    """In how many ways the cards can be chosen; 0 where none is requested."""
    functions = case.host.facts.functions if case.host.facts else ()
    ways = 1
    for request in case.requested.requests:
        ids = {(spec.get("vendor_id"), spec.get("product_id")) for spec in request.specs}
        cards = sum((function.vendor, function.device) in ids for function in functions)
        if _tree(case):
            cards = len(_of_class(case, request))
        ways *= max(cards, 1) ** min(request.count, 64)
    return ways if case.requested.requests else 0


def _queried(case: HostCase) -> CheckResult:
    """What Placement answered to the candidates queries."""
    queries = case.host.queries
    last = next((query for query in queries if not query.has_candidates), None)
    if last is None:
        return ok(f"found in {queries[-1].seconds:.2f} s", queries[-1].text)
    if last.has_candidates is None:
        says = f"Placement did not answer in {math.ceil(last.seconds)} s: {last.error}."
        return failed("WC323", says, _tuning_fix(case), last.text)
    rule, cause, fix = _DEMANDS[last.demand]
    says = f"Placement has no candidate on {case.host.name}: {cause}."
    return failed(rule, says, fix, last.text)


def _skipped(case: HostCase) -> CheckResult | None:
    """The result where nova requests no cards from Placement, or where it is not known what it "
    "has."""
    if case.asks_placement is False:
        return _not_asked(case)
    if _tree(case) is None:
        return unknown("Placement was not asked", ASK_CLOUD.format(case.host.name))
    if not case.requested.requests:
        return ALIAS_UNKNOWN
    if not card_providers(_tree(case)):
        return unknown("Placement has no card of this host", "")
    return None


def _if_asked(case: HostCase, result: CheckResult) -> CheckResult:
    """A failure that is one only where nova asks Placement for cards, which may not be known."""
    if case.asks_placement:
        return result
    says = f"{result.says} This is a cause only if nova requests cards from Placement"
    return unknown(says, _IN_PLACEMENT_OPTION, *result.seen)


def _of_class(case: HostCase, request: PciRequest) -> tuple[ResourceProvider, ...]:
    """The host's cards of the class that the request asks for."""
    cards = card_providers(_tree(case))
    return tuple(card for card in cards if card.inventory(class_of(request)))
