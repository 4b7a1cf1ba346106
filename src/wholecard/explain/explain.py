"""The walk along the chain: evidence in, an explanation out. Nothing is read, nothing is asked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

from wholecard.core import Finding, Severity
from wholecard.core.releases import release
from wholecard.explain.checks import devices, numa, placement
from wholecard.explain.checks.compute_service import alias_link, configuration_link, service_link
from wholecard.explain.checks.filters import FilterLink, hypervisor_link
from wholecard.explain.checks.machine import MachineLinks
from wholecard.explain.checks.request import asked
from wholecard.explain.evidence.asked import Asked
from wholecard.explain.evidence.card_providers import address_in, card_providers
from wholecard.explain.evidence.evidence import Evidence, HostEvidence, Refusal
from wholecard.explain.evidence.host_devices import HostDevices, cards_of
from wholecard.explain.evidence.requested_devices import in_placement
from wholecard.explain.link import (
    HOST_LINKS,
    CheckResult,
    first_broken,
    unknown,
    unknown_links,
    walked,
)
from wholecard.explain.refusals import kind_of
from wholecard.nova.known_bugs import FAULTS, KnownBug


@dataclass(frozen=True)
class HostAnswer:
    """What stands between the request and one host's cards.

    `for_cards` is false for a host of which it is known that it has, or gives, no card at all.
    """

    name: str
    links: tuple[CheckResult, ...]
    for_cards: bool = True

    @property
    def broken(self) -> CheckResult | None:
        """The first link that breaks."""
        return first_broken(self.links)

    @property
    def unknown(self) -> tuple[CheckResult, ...]:
        """The links of which nothing is known."""
        return unknown_links(self.links)

    @property
    def answer(self) -> Literal["yes", "no", "perhaps"]:
        """Whether the host would take the server."""
        if self.broken:
            return "no"
        return "perhaps" if self.unknown else "yes"


@dataclass(frozen=True)
class Explanation:
    """The request's own links, each host's, the answer in a sentence, and findings.

    Where a link of the request breaks, no host is asked and `hosts` have no links.
    """

    evidence: Evidence
    links: tuple[CheckResult, ...]
    hosts: tuple[HostAnswer, ...]
    answer: str
    findings: tuple[Finding, ...]

    def to_json(self) -> dict[str, Any]:
        """What `explain --json` prints."""
        request = self.evidence.request
        return {
            "flavor": request.flavor,
            "image": request.image,
            "release": str(self.evidence.release),
            "answer": self.answer,
            "links": [link.to_json() for link in self.links],
            "hosts": [
                {"host": host.name, "answer": host.answer, "for_cards": host.for_cards,
                 "links": [link.to_json() for link in host.links]}
                for host in self.hosts
            ],
            "findings": [finding.to_json() for finding in self.findings],
        }  # fmt: skip


def explain(evidence: Evidence) -> Explanation:
    """Walk from the flavor to the cards of each host, and stop at the first link that breaks."""
    request = asked(evidence)
    cause = first_broken(request.links)
    if cause is not None:
        hosts = tuple(HostAnswer(host.name, ()) for host in evidence.hosts)
        finding = _finding(cause, evidence.request.flavor_said, Severity.ERROR)
        return Explanation(evidence, request.links, hosts, _sentence(cause), (finding,))
    hosts = _with_filters(evidence, tuple(_walked(evidence, host, request)
                                          for host in evidence.hosts))  # fmt: skip
    return Explanation(evidence, request.links, hosts, *_answer(evidence, hosts))


def _walked(evidence: Evidence, host: HostEvidence, request: Asked) -> HostAnswer:
    cards = cards_of(evidence, host, request.wanted)
    holding = placement.PlacementLinks(evidence, host, request.wanted, cards.providers)
    machine = MachineLinks(evidence, host, request.wanted)
    reported = frozenset(address_in(each) for each in card_providers(host.provider_tree))
    giving = devices.CardLinks(host, cards, request.wanted, reported)
    near = numa.NearLinks(evidence.request, host, cards, request.wanted, request.layout)
    judges = {
        "alias on the compute": lambda: alias_link(evidence, host),
        "configuration": lambda: configuration_link(host, cards),
        "service": lambda: service_link(host),
        **devices.judges(giving),
        **numa.judges(near),
        **placement.judges(holding),
        "machine": machine.machine,
        "zone": lambda: _zone(evidence, machine),
        "filters": FilterLink(evidence, request.layout).judge,
        "hypervisor": lambda: hypervisor_link(host),
    }
    meant = _for_cards(evidence, host, cards, request)
    links = walked(HOST_LINKS, judges)
    if evidence.forbidden:
        links = tuple(_for_administrators(link) for link in links)
    return HostAnswer(host.name, links, meant)


def _zone(evidence: Evidence, machine: MachineLinks) -> CheckResult:
    """The link of the zone, unknown where it holds for want of a zone that may have been asked for.

    An older API shows a server that a host was tried for in that host's zone.
    """
    link = machine.zone()
    if link.state != "ok" or evidence.request.zone_known:
        return link
    return unknown(
        link.name,
        "nova's API before 2.96 does not tell which zone was asked for",
        "--zone NAME, where there was one",
    )


def _for_administrators(link: CheckResult) -> CheckResult:
    """A link of which the cloud was asked in vain says so, where it would be told by the cloud."""
    if link.state != "unknown" or "--cloud NAME" not in link.fix:
        return link
    fix = link.fix.replace("--cloud NAME", "--cloud NAME (of an administrator)")
    return replace(link, says=f"{link.says}: the cloud shows it to administrators", fix=fix)


def _for_cards(evidence: Evidence, host: HostEvidence, cards: HostDevices, request: Asked) -> bool:
    """Whether the host may have been meant for cards: nothing that is known says that it has none.

    Placement's silence counts where it has cards of other hosts.
    """
    if host.conf is not None and not cards.specs and cards.error is None:
        return False
    wanted = request.wanted.requests
    if cards.devices is not None and wanted and not any(map(cards.alike, wanted)):
        return False
    elsewhere = any(card_providers(each.provider_tree) for each in evidence.hosts)
    return not (
        elsewhere and host.provider_tree is not None and not card_providers(host.provider_tree)
    )


def _with_filters(evidence: Evidence, hosts: tuple[HostAnswer, ...]) -> tuple[HostAnswer, ...]:
    """Where a filter is missing, whether that matters depends on the other hosts.

    A scheduler that does not look at cards may choose any host that Placement offers. It is a
    break where there is one that cannot take the server beside one that can, or where nova refused
    though this host could.
    """
    broken = {host.broken.name for host in hosts if host.broken}
    wrong = broken & _UNKNOWN_TO_PLACEMENT if in_placement(evidence)[0] else broken - _NEVER_CHOSEN
    said = kind_of(evidence.refusal.message) if evidence.refusal else None
    refused = evidence.refusal is not None and said not in ("filtered", "no-candidate")
    if not wrong and not refused:
        return hosts
    return tuple(replace(host, links=_armed(host.links)) for host in hosts)


# A host that breaks here is not among those that the scheduler could choose.
_NEVER_CHOSEN = frozenset({"alias on the compute", "configuration", "service", "machine", "zone"})
# And of what Placement knows of cards, these are no part.
_UNKNOWN_TO_PLACEMENT = frozenset({"device type", "NUMA"})


def _armed(links: tuple[CheckResult, ...]) -> tuple[CheckResult, ...]:
    """The links with the filters as the first that breaks, where they are what was wrong."""
    place = next((at for at, link in enumerate(links) if link.rule == "WC327"), None)
    if place is None or links[place].state != "ok":
        return links
    behind = (CheckResult(link.name, "later") for link in links[place + 1 :])
    return (*links[:place], replace(links[place], state="broken", warning=""), *behind)


def _answer(evidence: Evidence, hosts: tuple[HostAnswer, ...]) -> tuple[str, tuple[Finding, ...]]:
    takers = [host.name for host in hosts if host.answer == "yes"]
    perhaps = [host.name for host in hosts if host.answer == "perhaps"]
    if evidence.refusal is not None and (takers or perhaps):
        finding = _unexplained(evidence, evidence.refusal, hosts)
        return finding.message, (finding, *_host_findings(hosts, Severity.NOTE))
    if takers:
        return f"{_listed(takers)} would take it.", tuple(_host_findings(hosts, Severity.NOTE))
    if perhaps:
        unknown = dict.fromkeys(link.name for host in hosts for link in host.unknown)
        says = (
            f"Nothing that is known stands against {_listed(perhaps)}; not known: "
            f"{', '.join(unknown)}."
        )
        return says, tuple(_host_findings(hosts, Severity.NOTE))
    if not hosts and evidence.forbidden:
        return "No host is known: the cloud shows its hosts to administrators.", ()
    return _refused(hosts), tuple(_host_findings(hosts, Severity.ERROR))


def _refused(hosts: tuple[HostAnswer, ...]) -> str:
    """The sentence for hosts of which none would take it."""
    if not hosts:
        return "No host is known."
    able = [host.name for host in hosts if host.broken and host.broken.rule == "WC327"]
    if able:
        return f"{_listed(able)} could take it, and nova may choose another host (WC327)."
    meant = [host for host in hosts if host.for_cards] or list(hosts)
    if len(meant) == 1 and meant[0].broken:
        return f"{meant[0].name} would not take it ({meant[0].broken.rule})."
    causes = list(dict.fromkeys(host.broken.rule for host in meant if host.broken))
    if len(causes) == 1:
        return f"None of the {len(hosts)} hosts would take it, all for one reason ({causes[0]})."
    return f"None of the {len(hosts)} hosts would take it."


def _host_findings(hosts: Iterable[HostAnswer], severity: Severity) -> Iterable[Finding]:
    """A finding for each host that breaks. Beside hosts for cards, those without are notes."""
    meant = any(host.for_cards for host in hosts)
    for host in hosts:
        if host.broken:
            aside = meant and not host.for_cards
            yield _finding(host.broken, host.name, Severity.NOTE if aside else severity)


# Which links Placement and the filters judge, by what nova says when one of the two leaves none.
_IN_QUESTION: dict[str | None, frozenset[str]] = {
    "no-candidate": frozenset(
        {"device_spec", "report", "resource class", "traits", "inventory", "machine", "zone",
         "candidates", "service"}
    ),
    "filtered": frozenset({"device_spec", "device type", "NUMA", "free", "service", "zone"}),
}  # fmt: skip


def _unexplained(evidence: Evidence, refusal: Refusal, hosts: tuple[HostAnswer, ...]) -> Finding:
    """nova refused, and nothing that is known is a reason; what its words leave over."""
    message = refusal.message.strip()
    said = kind_of(message)
    hint = {
        "no-candidate": "Placement had no candidate for it then",
        "filtered": "the scheduler's filters left no host then",
        "hosts-refused": "each host that the scheduler chose refused it then",
    }.get(said or "", "nova refused it then")
    links = [link for host in hosts for link in host.unknown]
    # nova's words leave only some of the links in question.
    left = [link for link in links if link.name in _IN_QUESTION.get(said, HOST_LINKS)] or links
    unknown = dict.fromkeys(link.name for link in left)
    rest = f" Not known: {', '.join(unknown)}." if unknown else (
        " It was otherwise then: full, or a host down. Try again."
    )  # fmt: skip
    how = dict.fromkeys(link.fix for link in left if link.fix)
    fault = _fault_in(evidence, message)
    if fault is not None:
        # Its words are a cause: nobody has to guess that the host was full.
        rest = (
            f" These are the words of nova's own fault {fault.bug}, mended in "
            f"{release(str(fault.mended))}: {fault.what}. {fault.do} ({fault.link})."
        )
    return Finding(
        "WC329",
        evidence.request.flavor_said,
        Severity.ERROR,
        f"Nothing that is known explains it now; {hint} ({message}).{rest}",
        "Tell more: " + "; ".join(how) if how and fault is None else "",
    )


def _fault_in(evidence: Evidence, message: str) -> KnownBug | None:
    """The fault of nova's own that nova's or a compute's words tell of, if this release has it."""
    texts = (message, *(said for host in evidence.hosts for said in host.refused))
    there = (fault for fault in FAULTS if fault.is_in(evidence.release.nova))
    return next((fault for fault in there if any(map(fault.is_said_in, texts))), None)


def _finding(link: CheckResult, subject: str, severity: Severity) -> Finding:
    return Finding(link.rule, subject, severity, link.says, link.fix)


def _sentence(link: CheckResult) -> str:
    return f"No host is asked ({link.rule})."


def _listed(names: list[str]) -> str:
    if len(names) > 4:
        return f"{', '.join(names[:3])} and {len(names) - 3} more"
    return " and ".join(", ".join(names).rsplit(", ", 1))
