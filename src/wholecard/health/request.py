"""The health command as records: a request in, a report out. Nothing is printed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from wholecard.core import Finding, Severity, UsageError
from wholecard.fleet import Ssh, Watcher
from wholecard.health.card_states import card_rows, state_findings
from wholecard.health.host_answers import ask_hosts, here_or_error, no_answer
from wholecard.health.record import CloudCards, HealthReport, HostAnswer
from wholecard.health.usage import CardSeconds
from wholecard.host.facts.card_health import HostHealth

_CLOUD_FIX = "Check the cloud's entry in clouds.yaml, and that its account is an administrator's."


@dataclass(frozen=True)
class HealthRequest:
    """Which hosts, and which cloud of clouds.yaml (empty: none).

    `local` asks this machine without ssh. `earlier` is an earlier answer of each host: what it had
    does not count again. `usage_since` is where card-seconds begin (UTC), by default the first of
    this month. `aliases` are those that mean cards, all where none is named.
    """

    hosts: tuple[str, ...] = ()
    local: bool = False
    ssh: Ssh = field(default_factory=Ssh)
    jobs: int = 16
    timeout: float | None = None
    cloud: str = ""
    clouds_file: Path | None = None
    earlier: Mapping[str, HostHealth] = field(default_factory=dict)
    usage_since: datetime | None = None
    aliases: frozenset[str] = frozenset()


def with_options(
    request: HealthRequest, usage_since: datetime | None, earlier: Mapping[str, HostHealth]
) -> HealthRequest:
    """The request with what only `health` is asked."""
    return replace(request, usage_since=usage_since, earlier=earlier)


def read_report(request: HealthRequest, watcher: Watcher | None = None) -> HealthReport:
    """Ask all hosts and the cloud. Raises UsageError where nothing is to be asked.

    A host or a cloud that does not answer is a finding, and the others are still reported.
    """
    if not (request.hosts or request.local):
        raise UsageError(
            "no host is named", resolution="Name them: --on gpu-01,gpu-02; or this one: --local"
        )
    answers = read_hosts(request, watcher)
    since = request.usage_since or this_month()
    if not request.cloud:
        return report(answers, None, since)
    # Late: it loads OpenStack's whole SDK, which a host without a cloud does not need.
    from wholecard.cloud.client.errors import CloudError  # noqa: PLC0415

    try:
        cloud = read_cloud_of(request, since)
    except CloudError as error:
        # What the hosts said is worth as much as before.
        return report(answers, None, since, f"{request.cloud}: {error.brief}")
    return report(answers, cloud, since)


def read_hosts(request: HealthRequest, watcher: Watcher | None = None) -> tuple[HostAnswer, ...]:
    """The hosts' answers, this machine's first."""
    here = (here_or_error(request.earlier),) if request.local else ()
    if not request.hosts:
        return here
    return here + ask_hosts(
        request.hosts, request.ssh, request.jobs, request.timeout, watcher, request.earlier
    )


def read_cloud_of(request: HealthRequest, deleted_since: datetime) -> CloudCards:
    """What the request's cloud knows. Raises UsageError, CloudError."""
    # Late: it loads OpenStack's whole SDK, which a host without a cloud does not need.
    from wholecard.cloud.client.connection import connect  # noqa: PLC0415
    from wholecard.health.cloud_cards import read_cloud  # noqa: PLC0415

    return read_cloud(connect(request.cloud, request.clouds_file), deleted_since, request.aliases)


def report(
    answers: tuple[HostAnswer, ...],
    cloud: CloudCards | None,
    since: datetime,
    cloud_error: str = "",
) -> HealthReport:
    """The report of what was read; `cloud_error` says why a cloud did not answer. Pure."""
    rows = card_rows(answers, cloud, cloud_expected=bool(cloud_error))
    findings: list[Finding] = [
        finding
        for answer in answers
        for finding in ((no_answer(answer),) if answer.error else answer.findings)
    ]
    findings += state_findings(rows)
    if cloud_error:
        name, _, why = cloud_error.partition(": ")
        message = f"The cloud {name} was not read: {why}."
        findings.append(Finding("WC588", name, Severity.WARNING, message, _CLOUD_FIX))
    order = list(Severity)
    findings.sort(key=lambda finding: order.index(finding.severity))
    return HealthReport(
        answers,
        rows,
        tuple(findings),
        None if cloud is None else CardSeconds(since).add(cloud),
        None if cloud is None else since,
        cloud_error,
    )


def this_month() -> datetime:
    """Midnight of the first of this month, in UTC."""
    now = datetime.now(UTC)
    return datetime(now.year, now.month, 1)
