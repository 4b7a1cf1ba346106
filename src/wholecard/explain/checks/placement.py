"""The links in Placement: whether it knows the cards, has them left, and finds them in time."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from wholecard.cloud.placement.provider_tree import Inventory, ProviderTree, ResourceProvider
from wholecard.core.capabilities import Capability, has
from wholecard.explain.evidence.card_providers import address_in, card_providers
from wholecard.explain.evidence.conf_values import boolean, files, other
from wholecard.explain.evidence.evidence import (
    CandidatesQuery,
    Evidence,
    HostEvidence,
)
from wholecard.explain.evidence.requested_devices import (
    RequestedDevices,
    alias_unknown,
    class_of,
    in_placement,
    traits_of,
)
from wholecard.explain.link import CheckResult, broken, ok, unknown
from wholecard.nova.conf.service_conf import NovaConf, as_boolean
from wholecard.nova.match import PciRequest

# Candidates that Placement goes through without its optimisation: at 4,096 it answers in a third of
# a second, at 16.8 million not within minutes (1 host, openstack-placement 16.0.0, 2 cores).
_TOO_MANY = 1_000_000
_ASK = "--cloud NAME, with --host {0} where there are many"
_TUNING = (
    "[workarounds] optimize_for_wide_provider_trees = true and [placement] "
    "max_allocation_candidates = 100 in Placement's configuration"
)


@dataclass(frozen=True)
class PlacementLinks:
    """The judges of one host.

    `derived` is what nova-compute there would report by its facts and configuration; it stands in
    for Placement where that was not asked.
    """

    evidence: Evidence
    host: HostEvidence
    wanted: RequestedDevices
    derived: tuple[ResourceProvider, ...] | None = None

    @property
    def asked(self) -> bool | None:
        """Whether Placement is asked for cards at all; None where that is not known."""
        return in_placement(self.evidence)[0]

    @property
    def tree(self) -> ProviderTree | None:
        """What Placement has of the host, or would have."""
        if self.host.provider_tree is None and self.derived is not None:
            return ProviderTree(ResourceProvider(self.host.name), self.derived)
        return self.host.provider_tree

    @property
    def source(self) -> str:
        """Where that is known from."""
        return (
            "Placement's providers"
            if self.host.provider_tree
            else "what nova-compute there would report"
        )

    def report(self) -> CheckResult:
        """Whether nova-compute reports its cards.

        nova, nova/compute/pci_placement_translator.py: with `[pci] report_in_placement` each
        function, or PF with its VFs, is a provider `<hypervisor>_<address>`.
        """
        name = "report"
        if self.asked is False:
            return ok(name, "Placement is not asked for cards", in_placement(self.evidence)[1])
        on, where = self._reports()
        if on is False and self.asked:
            return broken(
                name,
                "WC319",
                f"nova asks Placement for the cards, and nova-compute on {self.host.name} does "
                "not report them.",
                "Set [pci] report_in_placement = true there and restart nova-compute; it cannot "
                "be taken back.",
                where,
            )
        if self.host.provider_tree is None:
            if on:
                return ok(name, "report_in_placement is set", where)
            return unknown(name, "Placement was not asked", _ASK.format(self.host.name))
        return self._reported(name)

    def _reports(self) -> tuple[bool | None, str]:
        """Whether nova-compute reports by its configuration, and where that stands."""
        if self.host.conf is None:
            return None, ""
        return boolean(self.host.conf, "report_in_placement", self.evidence.release)

    def _reported(self, name: str) -> CheckResult:
        cards = self._cards()
        if cards:
            providers = "one provider" if len(cards) == 1 else f"{len(cards)} providers"
            return ok(name, f"{providers} of cards", self.source)
        if self.asked:
            return broken(
                name,
                "WC319",
                f"Placement has no card of {self.host.name}: nova-compute does not report them, or "
                "its device_spec matches none.",
                "Set [pci] report_in_placement = true there, let device_spec match, restart "
                "nova-compute; its log names what it refuses.",
                self.source,
            )
        return unknown(
            name,
            "Placement has no card of this host; a reason only where nova asks it for cards",
            "--api-conf FILE or --scheduler-conf FILE (pci_in_placement)",
            self.source,
        )

    def resource_class(self) -> CheckResult:
        """Whether the cards are reported under the class that the alias asks for.

        nova, nova/objects/request_spec.py, `_rc_from_request`: the alias's `resource_class`, or
        CUSTOM_PCI_<VENDOR>_<PRODUCT>; device_spec's the same way.
        """
        name = "resource class"
        skipped = self._skipped(name)
        if skipped:
            return skipped
        for request in self.wanted.requests:
            if self._of_class(request):
                continue
            there = sorted(
                {each.resource_class for card in self._cards() for each in card.inventories or ()}
            )
            return self._doubted(broken(
                name,
                "WC320",
                f"The alias {request.alias} asks Placement for {class_of(request)}; the cards of "
                f"{self.host.name} are {', '.join(there)}.",
                "Let device_spec and alias name the same resource_class, or neither any; restart "
                "nova-compute and nova-api.",
                self.wanted.place(request.alias),
                self.source,
            ))  # fmt: skip
        classes = dict.fromkeys(class_of(request) for request in self.wanted.requests)
        return ok(name, ", ".join(classes), self.source)

    def traits(self) -> CheckResult:
        """Whether the cards have the traits of the alias.

        nova, nova/compute/pci_placement_translator.py, `get_traits`: both are normalised in the
        same way, `CUSTOM_` is put before what is no standard trait.
        """
        name = "traits"
        skipped = self._skipped(name)
        if skipped:
            return skipped
        for request in self.wanted.requests:
            wanted = traits_of(request)
            if any(_has(card, wanted) for card in self._of_class(request)):
                continue
            has = sorted(set().union(*(card.traits for card in self._of_class(request))))
            return self._doubted(broken(
                name,
                "WC321",
                f"The alias {request.alias} asks for the traits {', '.join(sorted(wanted))}; no "
                f"card of {self.host.name} has them all. They have {', '.join(has) or 'none'}.",
                "Let device_spec name the alias's traits too, and restart nova-compute.",
                self.wanted.place(request.alias),
                self.source,
            ))  # fmt: skip
        every = frozenset[str]().union(*map(traits_of, self.wanted.requests))
        return ok(name, ", ".join(sorted(every)) or "none asked for", self.source)

    def inventory(self) -> CheckResult:
        """Whether Placement has enough of them neither used nor reserved.

        A one-time-use card is reserved when a server has had it, until somebody takes that back
        (nova, nova/compute/pci_placement_translator.py, `_handle_one_time_use`).
        """
        name = "inventory"
        skipped = self._skipped(name)
        if skipped:
            return skipped
        for request in self.wanted.requests:
            inventories = [
                (card, inventory)
                for card in self._of_class(request)
                if _has(card, traits_of(request))
                for inventory in card.inventories or ()
                if inventory.resource_class == class_of(request)
            ]
            room = sum(max(inventory.free, 0) for _, inventory in inventories)
            if room >= request.count:
                continue
            return self._doubted(self._short(name, request, inventories))
        return ok(name, "enough is left", self.source)

    def _short(
        self, name: str, request: PciRequest, inventories: list[tuple[ResourceProvider, Inventory]]
    ) -> CheckResult:
        total = sum(inventory.total for _, inventory in inventories)
        reserved = [card for card, inventory in inventories if inventory.reserved]
        used = [card for card, inventory in inventories if inventory.used]
        class_name = class_of(request)
        if total < request.count:
            return broken(
                name, "WC312",
                f"Placement has {total} {class_name} of {self.host.name}, {request.count} are "
                "asked for.",
                "Ask for fewer, or use a host with more.", self.source,
            )  # fmt: skip
        if total - sum(inventory.used for _, inventory in inventories) >= request.count:
            return broken(
                name, "WC322",
                f"Cards of {self.host.name} are reserved in Placement: "
                f"{', '.join(address_in(card) for card in reserved)}.",
                "A one-time-use card is reserved when a server has had it. Clean it, then:\n"
                "    openstack resource provider inventory set --resource "
                f"{class_name}:reserved=0 --amend PROVIDER",
                self.source,
            )  # fmt: skip
        holders = sorted({server for card in used for server in card.consumers or ()})
        by = f" by {', '.join(holders)}" if holders else ""
        return broken(
            name, "WC318",
            f"Placement has no {class_name} left on {self.host.name}: "
            f"{', '.join(address_in(card) for card in used)} are allocated{by}.",
            "Wait, delete or move a server. A server that is gone and still holds one is an orphan:"
            "\n    nova-manage placement audit --verbose",
            self.source,
        )  # fmt: skip

    def candidates(self) -> CheckResult:
        """Whether Placement finds a combination, and in time.

        Placement tries n cards for each of k groups, n^k ways, before it drops those that take one
        card twice; nova gives up when its time-out or a proxy's does, and finds no candidate
        (openstack-placement, placement/conf/workarounds.py, bug 2126751).
        """
        name = "candidates"
        asked = self._by_questions(name)
        if asked is not None:
            return asked
        if self.asked is False:
            return ok(name, "Placement is not asked for cards", in_placement(self.evidence)[1])
        ways = self._ways()
        if self.asked is None and ways:
            return unknown(
                name,
                "a reason only where nova asks Placement for cards",
                "--api-conf FILE or --scheduler-conf FILE (pci_in_placement)",
            )
        if ways < _TOO_MANY:
            word = "way" if ways == 1 else "ways"
            return ok(name, f"{ways} {word} to choose the cards" if ways else "nothing asked of it")
        return self._of_many(name, ways)

    def _of_many(self, name: str, ways: int) -> CheckResult:
        """Whether Placement's own configuration lets it answer so wide a question."""
        conf = self.evidence.placement
        if conf is None:
            return unknown(
                name,
                f"{ways:.1e} ways to choose the cards: without tuning Placement takes minutes",
                "--placement-conf FILE, or --cloud NAME to ask it",
            )
        limited, optimised, where = self._tuned(conf)
        if limited and optimised:
            return ok(name, f"{ways:.1e} ways, and Placement is tuned for it", where)
        if limited and len(self.evidence.hosts) == 1:
            # Measured: 3.5 s on one host, 29 s on ten (docs/explanation/placement-tuning.md).
            slow = f"with one host it takes seconds, with more minutes: {self._tuning_fix()}"
            return ok(name, f"{ways:.1e} ways, of which Placement lists few", where, warning=slow)
        return broken(
            name, "WC323",
            f"Placement would try {ways:.1e} ways to choose the cards of {self.host.name} and not "
            "answer in time.",
            self._tuning_fix(),
            where,
        )  # fmt: skip

    def _tuned(self, conf: NovaConf) -> tuple[bool, bool, str]:
        """Whether candidates are limited, whether they are gone through wisely, and where it says.

        What the release's Placement does not know yet it passes over.
        """
        release = self.evidence.release
        most = other(conf, "placement", "max_allocation_candidates")
        wise = other(conf, "workarounds", "optimize_for_wide_provider_trees")
        limited = most is not None and re.fullmatch(r"\s*\+?0*[1-9]\d*\s*", most.text)
        optimised = wise is not None and as_boolean(wise.text)
        return (
            bool(limited) and has(release, Capability.LIMITED_CANDIDATES),
            bool(optimised) and has(release, Capability.WIDE_PROVIDER_TREES),
            ", ".join(each.where for each in (most, wise) if each) or files(conf),
        )

    def _tuning_fix(self) -> str:
        if has(self.evidence.release, Capability.WIDE_PROVIDER_TREES):
            return f"Set {_TUNING}, and restart it."
        since = Capability.WIDE_PROVIDER_TREES.series
        return (
            "Set [filter_scheduler] pci_in_placement = false for nova-api, nova-scheduler and "
            f"nova-conductor, and nova counts the cards itself; or upgrade to {since}, the first "
            "whose Placement can be tuned for it."
        )

    def _ways(self) -> int:
        ways = 1
        for request in self.wanted.requests:
            cards = len(self._of_class(request)) if self.tree else self._alike(request)
            ways *= max(cards, 1) ** min(request.count, 64)
        return ways if self.wanted.requests else 0

    def _alike(self, request: PciRequest) -> int:
        functions = self.host.facts.functions if self.host.facts else ()
        ids = {(each.get("vendor_id"), each.get("product_id")) for each in request.specs}
        return sum((each.vendor, each.device) in ids for each in functions)

    def _by_questions(self, name: str) -> CheckResult | None:
        """What the real questions to Placement came to; None where none was asked."""
        last = next((each for each in self.host.questions if each.found is not True), None)
        if not self.host.questions:
            return None
        if last is None:
            asked = self.host.questions[-1]
            return ok(name, f"found in {asked.seconds:.2f} s", asked.text)
        if last.found is None:
            return broken(
                name, "WC323",
                f"Placement did not answer in {math.ceil(last.seconds)} s: {last.error}.",
                self._tuning_fix(), last.text,
            )  # fmt: skip
        return self._emptied(name, last)

    def _emptied(self, name: str, question: CandidatesQuery) -> CheckResult:
        rule, what, fix = {
            "machine": ("WC324", "too little of a class in the question is left",
                        "Use a smaller flavor, or free some there."),
            "traits": ("WC325", "the host lacks a trait that the request needs",
                       "Compare `openstack resource provider trait list` with the question."),
            "groups": ("WC324", "no provider has all that a group of the flavor's asks for",
                       "Compare the flavor's resourcesN and traitN with the host's providers."),
            "class": ("WC320", "it has no card of that resource class left",
                      "Compare `openstack resource provider inventory list` with the question."),
            "card traits": ("WC321", "no card of that class has the traits",
                            "Let device_spec name the alias's traits too."),
            "count": ("WC318", "too few of the cards are left for all that are asked for",
                      "Wait, delete or move a server, or ask for fewer."),
        }[question.demand]  # fmt: skip
        return broken(
            name, rule, f"Placement has no candidate on {self.host.name}: {what}.", fix,
            question.text,
        )  # fmt: skip

    def _skipped(self, name: str) -> CheckResult | None:
        """What there is to say where Placement is not asked, or has not been looked at."""
        if self.asked is False:
            return ok(name, "Placement is not asked for cards", in_placement(self.evidence)[1])
        if self.tree is None:
            return unknown(name, "Placement was not asked", _ASK.format(self.host.name))
        if not self.wanted.requests:
            return alias_unknown(name)
        if not self._cards():
            return unknown(name, "Placement has no card of this host", "")
        return None

    def _doubted(self, link: CheckResult) -> CheckResult:
        """A break that is one only where nova asks Placement for cards, which may not be known."""
        if self.asked:
            return link
        return unknown(
            link.name,
            f"{link.says} That is a reason only where nova asks Placement for cards",
            "--api-conf FILE or --scheduler-conf FILE (pci_in_placement)",
            *link.seen,
        )

    def _cards(self) -> tuple[ResourceProvider, ...]:
        return card_providers(self.tree)

    def _of_class(self, request: PciRequest) -> tuple[ResourceProvider, ...]:
        return tuple(each for each in self._cards() if each.inventory(class_of(request)))


def judges(links: PlacementLinks) -> dict[str, Callable[[], CheckResult]]:
    """The judges by the links' names."""
    return {
        "report": links.report,
        "resource class": links.resource_class,
        "traits": links.traits,
        "inventory": links.inventory,
        "candidates": links.candidates,
    }


def _has(card: ResourceProvider, traits: frozenset[str]) -> bool:
    return traits <= card.traits
