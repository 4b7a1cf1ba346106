"""The checks run on the evidence: an explanation comes out. Nothing is read, nothing is asked."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from wholecard.core import Finding, Severity
from wholecard.core.releases import release
from wholecard.core.units import joined
from wholecard.explain.check_result import CheckResult, first_failed, run_checks
from wholecard.explain.checks.filters import MISSING_FILTER
from wholecard.explain.checks.host_case import HostCase
from wholecard.explain.checks.registry import (
    CHECKS,
    MDEV_CHECKS,
    MDEV_REQUEST_CHECKS,
    REQUEST_CHECKS,
)
from wholecard.explain.checks.whole_card import CARD_IN_PARTS
from wholecard.explain.evidence.card_providers import card_providers
from wholecard.explain.evidence.evidence import Evidence, HostEvidence, Refusal
from wholecard.explain.evidence.host_devices import devices_on
from wholecard.explain.evidence.mediated_devices import asks_for_mdevs
from wholecard.explain.evidence.requested_devices import in_placement, requested_devices
from wholecard.explain.host_answer import HostAnswer
from wholecard.explain.hosts_alike import AlikeAnswer, kind_of_host, model_of
from wholecard.explain.live_refusals import LIVE, live_kind_of
from wholecard.explain.refusals import kind_of
from wholecard.nova.flavor.numa_topology import layout
from wholecard.nova.known_bugs import KNOWN_BUGS, KnownBug

_NOT_EXPLAINED = "WC329"
_NOT_LIVE = "WC357"
# The checks of a running cloud's state: no file tells it.
_STATE_NOW = frozenset({
    "service", "free", "report", "resource class", "traits", "inventory", "machine", "zone",
    "candidates",
})  # fmt: skip


@dataclass(frozen=True)
class Explanation:
    """The results of the request's checks and of each host's, the answer in a sentence, findings.

    Where a check of the request failed, nova looks at no host, and `hosts` have no results.
    """

    evidence: Evidence
    checks: tuple[CheckResult, ...]
    hosts: tuple[HostAnswer, ...]
    answer: str
    findings: tuple[Finding, ...]

    @property
    def undecided(self) -> bool:
        """Whether too little is known: no cause was found, and something could be one.

        What only a running cloud shows, and only now (what is free, whether a service is up), does
        not count, unless nova refused the server.
        """
        errors = {one.rule for one in self.findings if one.severity is Severity.ERROR}
        if errors - {_NOT_EXPLAINED} or any(host.answer == "yes" for host in self.hosts):
            return False
        names = self._not_checked
        if errors:
            return bool(names)
        return not self.hosts or bool(names - _STATE_NOW)

    @property
    def _not_checked(self) -> set[str]:
        """The unknown results that could be a cause: the request's, and those of other hosts."""
        possible = (host for host in self.hosts if host.answer == "unknown")
        names = {name for host in possible for name in host.unknown_names}
        return names | {result.name for result in self.checks if result.state == "unknown"}

    def to_json(self) -> dict[str, Any]:
        """What `explain --json` prints."""
        request = self.evidence.request
        return {
            "flavor": request.flavor,
            "image": request.image,
            "release": str(self.evidence.release),
            "answer": self.answer,
            "undecided": self.undecided,
            "checks": [result.to_json() for result in self.checks],
            "hosts": [
                {"host": host.name, "answer": host.answer, "for_cards": host.for_cards,
                 "checks": [result.to_json() for result in host.checks]}
                for host in self.hosts
            ],
            "findings": [finding.to_json() for finding in self.findings],
        }  # fmt: skip


def check_request(evidence: Evidence) -> tuple[CheckResult, ...]:
    """The results of the request's own checks."""
    of_mdevs = asks_for_mdevs(evidence.request.extra_specs)
    return run_checks(MDEV_REQUEST_CHECKS if of_mdevs else REQUEST_CHECKS, evidence)


def explain(evidence: Evidence) -> Explanation:
    """Check the request, then each host, and stop at the first check that fails.

    A refused live migration is explained by nova's sentence alone: the server runs, and no check
    of a new one says why it does not move.
    """
    live = _of_live_migration(evidence)
    if live is not None:
        hosts = tuple(HostAnswer(host.name, ()) for host in evidence.hosts)
        return Explanation(evidence, (), hosts, live.message, (live,))
    results = check_request(evidence)
    cause = first_failed(results)
    if cause is not None:
        hosts = tuple(HostAnswer(host.name, ()) for host in evidence.hosts)
        finding = _finding(cause, evidence.request.flavor_text, Severity.ERROR)
        answer = f"The request itself fails; no host was checked ({cause.rule})."
        return Explanation(evidence, results, hosts, answer, (finding,))
    hosts = tuple(_check_hosts(evidence))
    if not asks_for_mdevs(evidence.request.extra_specs):
        hosts = _with_filters(evidence, hosts)
    return Explanation(evidence, results, hosts, *_answer(evidence, hosts))


def _of_live_migration(evidence: Evidence) -> Finding | None:
    """The finding for a refusal of a live migration; None where nova refused something else."""
    message = evidence.refusal.message.strip() if evidence.refusal else ""
    kind = live_kind_of(message)
    if kind is None:
        return None
    cause = LIVE[kind]
    pages = f" Pages: {', '.join(cause.rules)}." if cause.rules else ""
    says = f"nova did not migrate the server live: {cause.why} ({message}).{pages}"
    return Finding(_NOT_LIVE, evidence.request.flavor_text, Severity.ERROR, says, cause.fix)


def _check_hosts(evidence: Evidence) -> Iterator[HostAnswer]:
    requested = requested_devices(evidence)
    guest = layout(evidence.request, evidence.release)
    any_cards = any(card_providers(host.provider_tree) for host in evidence.hosts)
    of_mdevs = asks_for_mdevs(evidence.request.extra_specs)
    checks = MDEV_CHECKS if of_mdevs else CHECKS

    def checked(host: HostEvidence) -> HostAnswer:
        case = HostCase(evidence, host, requested, guest, devices_on(evidence, host, requested))
        results = run_checks(checks, case)
        if evidence.forbidden:
            results = tuple(map(_for_administrators, results))
        for_cards = _for_mdevs(results) if of_mdevs else _for_cards(case, any_cards)
        return HostAnswer(host.name, results, for_cards)

    answers: dict[Hashable, HostAnswer] = {}
    for host in evidence.hosts:
        kind = kind_of_host(evidence, host)
        if kind is None:
            yield checked(host)
            continue
        model = answers.get(kind.key)
        if model is None:
            model = answers[kind.key] = checked(model_of(host))
        yield AlikeAnswer(host.name, model, kind)


def _for_administrators(result: CheckResult) -> CheckResult:
    """An unknown result that the cloud did not show to this user says so."""
    if result.state != "unknown" or "--cloud NAME" not in result.fix:
        return result
    fix = result.fix.replace("--cloud NAME", "--cloud NAME (of an administrator)")
    return replace(
        result, says=f"{result.says}: the cloud shows it only to administrators", fix=fix
    )


def _for_cards(case: HostCase, any_cards: bool) -> bool:
    """Whether the host may be meant for cards: nothing known says that it has none.

    That Placement has no card of it counts where Placement has cards of other hosts: `any_cards`.
    """
    host, devices, requests = case.host, case.devices, case.requested.requests
    if host.conf is not None and not devices.specs and devices.error is None:
        return False
    if devices.devices is not None and requests and not any(map(devices.alike, requests)):
        return False
    return not (any_cards and host.provider_tree and not card_providers(host.provider_tree))


def _for_mdevs(results: tuple[CheckResult, ...]) -> bool:
    """Whether the host may be meant for mediated devices: it enables a type, or that is not known.

    By Placement alone: it has the class, or was not asked.
    """
    failure = first_failed(results)
    return failure is None or (failure.rule, failure.name) not in (
        ("WC351", "types"), ("WC353", "providers"),
    )  # fmt: skip


# A host that fails here is not among those that the scheduler could choose.
_NEVER_CHOSEN = frozenset({"alias on the compute", "configuration", "service", "machine", "zone"})
# Of what a host may fail at, Placement does not know these where it knows cards.
_UNKNOWN_TO_PLACEMENT = frozenset({"device type", "NUMA"})


def _with_filters(evidence: Evidence, hosts: tuple[HostAnswer, ...]) -> tuple[HostAnswer, ...]:
    """Where a filter is missing, whether that matters depends on the other hosts.

    A scheduler that does not look at cards may choose any host that Placement offers. That is a
    failure where a host that cannot take the server is beside one that can, or where nova refused
    though this host could.
    """
    names = {host.failed.name for host in hosts if host.failed}
    wrong = names & _UNKNOWN_TO_PLACEMENT if in_placement(evidence)[0] else names - _NEVER_CHOSEN
    kind = kind_of(evidence.refusal.message) if evidence.refusal else None
    refused = evidence.refusal is not None and kind not in ("filtered", "no-candidate")
    if not wrong and not refused:
        return hosts
    return tuple(
        HostAnswer(host.name, _with_failed_filter(host.checks), host.for_cards)
        if host.having(MISSING_FILTER)
        else host
        for host in hosts
    )


def _with_failed_filter(results: tuple[CheckResult, ...]) -> tuple[CheckResult, ...]:
    """The results with the missing filter as the first failure, where the check ran."""
    index = next((n for n, result in enumerate(results) if result.rule == MISSING_FILTER), None)
    if index is None or results[index].state != "ok":
        return results
    after = (CheckResult("not run", name=result.name) for result in results[index + 1 :])
    return (*results[:index], replace(results[index], state="failed", warning=""), *after)


def _answer(evidence: Evidence, hosts: tuple[HostAnswer, ...]) -> tuple[str, tuple[Finding, ...]]:
    """The sentence of the answer, and the findings."""
    takers = [host.name for host in hosts if host.answer == "yes"]
    possible = [host.name for host in hosts if host.answer == "unknown"]
    notes = (*_in_parts(hosts), *_host_findings(hosts, Severity.NOTE))
    if evidence.refusal is not None and (takers or possible):
        finding = _unexplained(evidence, evidence.refusal, hosts)
        return finding.message, (finding, *notes)
    in_parts = any(finding.rule == CARD_IN_PARTS for finding in notes)
    but = f" nova may choose parts of several cards ({CARD_IN_PARTS})." if in_parts else ""
    if takers:
        return f"{_listed(takers)} can run this server.{but}", notes
    if possible:
        return f"{_not_known(possible, hosts)}{but}", notes
    if not hosts and evidence.forbidden:
        return "No host is known: the cloud shows its hosts only to administrators.", ()
    return _refused(hosts), tuple(_host_findings(hosts, Severity.ERROR))


def _not_known(names: list[str], hosts: Iterable[HostAnswer]) -> str:
    unknown = ", ".join(dict.fromkeys(name for host in hosts for name in host.unknown_names))
    return f"No check fails for {_listed(names)}. Not checked: {unknown}."


def _unknown_names(results: Iterable[CheckResult]) -> str:
    return ", ".join(dict.fromkeys(result.name for result in results))


def _refused(hosts: tuple[HostAnswer, ...]) -> str:
    """The sentence for hosts of which none can run this server."""
    if not hosts:
        return "No host is known."
    failures = {host.name: host.failed for host in hosts if host.failed}
    able = [name for name, failure in failures.items() if failure.rule == MISSING_FILTER]
    if able:
        return f"{_listed(able)} can run this server, but nova may choose another host (WC327)."
    names = [host.name for host in hosts if host.for_cards] or list(failures)
    return _common_cause(len(hosts), names, failures)


def _common_cause(count: int, names: list[str], failures: Mapping[str, CheckResult]) -> str:
    """The sentence for these hosts of so many, with the rule where it is the same for all."""
    causes = list(dict.fromkeys(failures[name].rule for name in names))
    if len(names) == 1:
        return f"{names[0]} cannot run this server ({causes[0]})."
    reason = f", all for one reason ({causes[0]})" if len(causes) == 1 else ""
    return f"None of the {count} hosts can run this server{reason}."


def _host_findings(hosts: Iterable[HostAnswer], severity: Severity) -> Iterator[Finding]:
    """A finding for each host that failed. Beside hosts for cards, those without are notes."""
    any_for_cards = any(host.for_cards for host in hosts)
    for host in hosts:
        if host.failed:
            aside = any_for_cards and not host.for_cards
            yield _finding(host.failed, host.name, Severity.NOTE if aside else severity)


def _in_parts(hosts: Iterable[HostAnswer]) -> Iterator[Finding]:
    """A warning for each host that takes the server and may give it parts of several cards."""
    for host in hosts:
        if host.failed is None:
            parts = host.having(CARD_IN_PARTS)
            yield from (_finding(result, host.name, Severity.WARNING) for result in parts)


# What nova's message leaves open: the checks of Placement, or of the filters.
_HINTS: dict[str | None, tuple[str, frozenset[str]]] = {
    "no-candidate": (
        "Placement had no allocation candidate at that time",
        frozenset({"device_spec", "report", "resource class", "traits", "inventory", "machine",
                   "zone", "candidates", "service"}),
    ),
    "filtered": (
        "the scheduler's filters removed every host at that time",
        frozenset({"device_spec", "device type", "NUMA", "free", "service", "zone"}),
    ),
    "hosts-refused": (
        "each host that the scheduler chose refused the server at that time", frozenset(CHECKS)
    ),
}  # fmt: skip


def _unexplained(evidence: Evidence, refusal: Refusal, hosts: tuple[HostAnswer, ...]) -> Finding:
    """nova refused, and nothing that is known is a reason; what its message leaves open."""
    message = refusal.message.strip()
    hint, names = _HINTS.get(
        kind_of(message), ("nova refused the server at that time", frozenset(CHECKS))
    )
    results = [result for host in hosts for result in host.unknown]
    results = [result for result in results if result.name in names] or results
    bug = _bug_in(evidence, message)
    options = dict.fromkeys(result.fix for result in results if result.fix)
    fix = "To check more, add: " + "; ".join(options) if options and bug is None else ""
    if bug is not None:
        # A known bug's message is a cause: nobody has to guess that the host was full.
        fixed = f"fixed in {release(str(bug.fixed))}" if bug.fixed else "not fixed yet"
        rest = (
            f"This message comes from nova's {bug.name}, {fixed}: {bug.what}. {bug.do} "
            f"({bug.link})."
        )
    elif results:
        rest = f"Not checked: {_unknown_names(results)}."
    else:
        rest = (
            "Probably the cloud was in another state then: cards were in use, or a host was down. "
            "Try again."
        )
    says = f"No check explains the refusal now; {hint} ({message}). {rest}"
    return Finding(_NOT_EXPLAINED, evidence.request.flavor_text, Severity.ERROR, says, fix)


def _bug_in(evidence: Evidence, message: str) -> KnownBug | None:
    """The known bug of this release whose message nova or a nova-compute answered."""
    texts = (message, *(text for host in evidence.hosts for text in host.refused))
    bugs = (bug for bug in KNOWN_BUGS if bug.is_in(evidence.release.nova))
    return next((bug for bug in bugs if any(map(bug.is_in_log, texts))), None)


def _finding(result: CheckResult, subject: str, severity: Severity) -> Finding:
    return Finding(result.rule, subject, severity, result.says, result.fix)


def _listed(names: list[str]) -> str:
    if len(names) > 4:
        return f"{', '.join(names[:3])} and {len(names) - 3} more"
    return joined(names)
