"""The links between an alias and the cards of one host: given, there, of the type."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from wholecard.explain.evidence.conf_values import files, misnamed, spelled
from wholecard.explain.evidence.evidence import HostEvidence
from wholecard.explain.evidence.host_devices import HostDevices, could_give, swapped
from wholecard.explain.evidence.requested_devices import RequestedDevices, alias_unknown, class_of
from wholecard.explain.link import CheckResult, broken, ok, unknown
from wholecard.nova.match import Device, PciRequest, Stage


@dataclass(frozen=True)
class CardLinks:
    """The judges of one host. `providers` are the addresses that Placement has of it."""

    host: HostEvidence
    cards: HostDevices
    wanted: RequestedDevices
    in_placement: frozenset[str] = frozenset()

    def spec(self) -> CheckResult:
        """Whether device_spec gives the cards away at all.

        nova, nova/pci/whitelist.py and nova/pci/devspec.py: the first spec that matches gives a
        device; what none matches nova never hears of.
        """
        name, host, cards = "device_spec", self.host, self.cards
        if host.conf is not None and not cards.specs:
            return broken(
                name,
                "WC309",
                f"nova-compute on {host.name} has no device_spec: it gives no card away."
                + misnamed(host.conf, "device_spec", cards.release),
                "Give it one, and restart nova-compute:\n"
                f"    wholecard nova render --role compute --host {host.name}",
                files(host.conf),
            )
        if not self.wanted.requests:
            return alias_unknown(name)
        if host.conf is None:
            if self.in_placement:
                return ok(name, "Placement has cards of this host", "Placement's providers")
            return unknown(name, "not known", f"--compute-conf {host.name}=FILE")
        if cards.devices is None:
            return self._spec_without_facts(name)
        links = (self._spec_for(name, request) for request in self.wanted.requests)
        return next((link for link in links if link is not None), self._gives(name))

    def _gives(self, name: str) -> CheckResult:
        cards = self.cards
        used = dict.fromkeys(
            cards.places[number]
            for number, spec in enumerate(cards.specs)
            if any(spec.match(each) for request in self.wanted.requests
                   for each in cards.alike(request))
        )  # fmt: skip
        if not used:
            return ok(name, "the host has no such card to give")
        return ok(name, f"gives {self.cards.count_given(self.wanted.requests)} of them", *used)

    def _spec_for(self, name: str, request: PciRequest) -> CheckResult | None:
        cards = self.cards
        alike = cards.alike(request)
        given = [each for each in alike if cards.given(each)]
        if not alike or len(given) >= min(request.count, len(alike)):
            return None
        left = next(each for each in alike if each not in given)
        mismatch = [(number, spec.why_not(left)) for number, spec in enumerate(cards.specs)]
        if all(why is not None and why.key == "domain" for _, why in mismatch):
            return self._in_wide_domain(name, left)
        for number, spec in enumerate(cards.specs):
            if swapped(left, spec.vendor_id, spec.product_id):
                return self._swapped(name, "device_spec", cards.places[number], left)
        # Of the specs, the one that came nearest is the one that was meant.
        order = ("vendor_id", "product_id", "address", "devname", "remote_managed", "domain")
        number, why = max(mismatch, key=lambda each: order.index(each[1].key) if each[1] else 9)
        nearest = "" if why is None else (
            f" The nearest wants {why.key} {why.wanted} and finds {why.found}."
        )  # fmt: skip
        what = (
            f"gives {len(given)} of the {len(alike)} that {request.alias} means, "
            f"{request.count} are asked for"
            if given
            else f"matches none of the {len(alike)} that {request.alias} means"
        )
        return broken(
            name,
            "WC310",
            f"device_spec on {self.host.name} {what}; left out is {_title(left)}.{nearest}",
            f"Let device_spec match it and restart nova-compute on {self.host.name}:\n"
            f"    {spelled('device_spec', cards.release).name} = {_spec_text(left)}",
            cards.places[number],
            self.host.facts_source,
        )

    def _spec_without_facts(self, name: str) -> CheckResult:
        """Without the host's facts, ids alone can tell that nothing can match."""
        cards = self.cards
        for request in self.wanted.requests:
            if any(could_give(spec, request) for spec in cards.specs):
                continue
            ids = [(each.get("vendor_id", "*"), each.get("product_id", "*"))
                   for each in request.specs]  # fmt: skip
            reverse = any((s.product_id, s.vendor_id) in ids for s in cards.specs)
            return broken(
                name,
                "WC311" if reverse else "WC310",
                f"device_spec on {self.host.name} names other ids than the alias {request.alias}"
                + (": they are swapped in one of the two." if reverse else
                   f" ({', '.join(':'.join(pair) for pair in ids)})."),
                "Let both name the card's ids, as `lspci -nn` prints them.",
                *cards.spec_places,
                self.wanted.place(request.alias),
            )  # fmt: skip
        if self.in_placement:
            return ok(name, "Placement has cards of this host", "Placement's providers")
        return unknown(
            name,
            "the ids fit; what the host has is not known",
            f"--facts {self.host.name}=FILE (wholecard inspect --save FILE there)",
            *cards.spec_places,
        )

    def card(self) -> CheckResult:
        """Whether the host has as many functions with the alias's ids."""
        name, cards = "card", self.cards
        if not self.wanted.requests:
            return alias_unknown(name)
        if cards.devices is None:
            return self._card_in_placement(name)
        total: set[str] = set()
        for request in self.wanted.requests:
            alike = cards.alike(request)
            total |= {each.address for each in alike}
            if len(alike) >= request.count:
                continue
            return self._too_few(name, request, alike)
        if len(total) < self.wanted.count:
            return broken(
                name,
                "WC312",
                f"{self.host.name} has {len(total)} cards for {self.wanted.names} together, "
                f"{self.wanted.count} are asked for.",
                "Ask for fewer, or use a host with more.",
                self.host.facts_source,
            )
        return ok(name, f"{len(total)} with these ids", self.host.facts_source)

    def _card_in_placement(self, name: str) -> CheckResult:
        """Without facts, what Placement has of the alias's class tells how many there are."""
        tree = self.host.provider_tree
        for request in self.wanted.requests:
            inventories = tree.below_of_class(class_of(request)) if tree else ()
            total = sum(inventory.total for inventory in inventories)
            if not inventories:
                return unknown(
                    name,
                    "what the host has is not known",
                    f"--facts {self.host.name}=FILE (wholecard inspect --save FILE there)",
                )
            if total < request.count:
                return broken(
                    name,
                    "WC312",
                    f"Placement has {total} {class_of(request)} of {self.host.name}; "
                    f"{request.count} are asked for.",
                    "Ask for fewer, or use a host with more.",
                    "Placement's providers",
                )
        return ok(name, "Placement has as many of its class", "Placement's providers")

    def _too_few(self, name: str, request: PciRequest, alike: tuple[Device, ...]) -> CheckResult:
        place = self.wanted.place(request.alias)
        for spec in request.specs:
            for device in self.cards.devices or ():
                if swapped(device, spec.get("vendor_id", ""), spec.get("product_id", "")):
                    return self._swapped(name, f"The alias {request.alias}", place, device)
        ids = ", ".join(
            f"{each.get('vendor_id', '*')}:{each.get('product_id', '*')}" for each in request.specs
        )
        has = f"{len(alike)} of the {request.count} that are asked for" if alike else "none"
        return broken(
            name,
            "WC312",
            f"{self.host.name} has {has} with the ids {ids} of {request.alias}.",
            "Ask for fewer, or use a host with more." if alike else
            "Use a host that has the card, or mend the alias's ids: `lspci -nn` prints them.",
            self.host.facts_source,
            place,
        )  # fmt: skip

    def device_type(self) -> CheckResult:
        """Whether the cards are what the alias asks for besides ids: their type and tags.

        nova, nova/pci/stats.py, `_filter_pools_for_spec` and `_filter_pools_for_unrequested_pfs`:
        a card with an SR-IOV capability is type-PF even where that is unused, and an alias without
        device_type never gets one.
        """
        name, cards = "device type", self.cards
        if not self.wanted.requests:
            return alias_unknown(name)
        if cards.devices is None:
            return unknown(name, "what the host has is not known", f"--facts {self.host.name}=FILE")
        verdict = cards.pools((), ()).supports(self.wanted.requests)
        if verdict:
            kinds = sorted({each.dev_type for request in self.wanted.requests
                            for each in cards.alike(request)})  # fmt: skip
            return ok(name, ", ".join(kinds), self.host.facts_source)
        trail = next(each for each in verdict.trails if each.broken)
        return self._type_break(name, trail.request, trail.stages[-1])

    def _type_break(self, name: str, request: PciRequest, stage: Stage) -> CheckResult:
        place = self.wanted.place(request.alias)
        types = sorted({each.dev_type for each in self.cards.alike(request)})
        wanted = sorted({spec.get("dev_type", "none") for spec in request.specs})
        is_type = stage.name == "pf" or (stage.name == "spec" and "dev_type" in stage.reason)
        if is_type:
            asks = "names no device_type and means type-PCI" if wanted == ["none"] else (
                f"asks for {', '.join(wanted)}")  # fmt: skip
            return broken(
                name,
                "WC314",
                f"The cards on {self.host.name} are {', '.join(types)}; the alias "
                f"{request.alias} {asks}. A card that can do SR-IOV is type-PF also where it is "
                "unused.",
                f'Add "device_type": "{types[0]}" to the alias on every nova-api and '
                "nova-compute, and restart them.",
                place,
                self.host.facts_source,
            )
        if stage.name == "consume":
            return broken(
                name,
                "WC312",
                f"{self.host.name} has not enough cards for {self.wanted.names} at once.",
                "Ask for fewer, or use a host with more.",
                self.host.facts_source,
            )
        return broken(
            name,
            "WC315",
            f"Of the cards on {self.host.name} {stage.left} are left for {request.alias}: "
            f"{stage.reason or stage.name}.",
            "Let device_spec and alias say the same of the card, and restart nova-compute and "
            "nova-api.",
            place,
            *self.cards.spec_places,
        )

    def _swapped(self, name: str, who: str, place: str, device: Device) -> CheckResult:
        return broken(
            name,
            "WC311",
            f"{who} has vendor and product swapped: {self.host.name} has {_title(device)}.",
            f'Write "vendor_id": "{device.vendor_id}", "product_id": "{device.product_id}".',
            place,
            self.host.facts_source,
        )

    def _in_wide_domain(self, name: str, device: Device) -> CheckResult:
        return broken(
            name,
            "WC313",
            f"{device.address} is in a PCI domain above ffff: nova passes it over in silence.",
            "Switch off what makes the domain (Intel VMD for this slot, in the firmware's setup).",
            self.host.facts_source,
        )


def judges(links: CardLinks) -> dict[str, Callable[[], CheckResult]]:
    """The judges by the links' names."""
    return {
        "device_spec": links.spec,
        "card": links.card,
        "device type": links.device_type,
    }


def _title(device: Device) -> str:
    return f"{device.address} ({device.vendor_id}:{device.product_id})"


def _spec_text(device: Device) -> str:
    return json.dumps({"vendor_id": device.vendor_id, "product_id": device.product_id})
