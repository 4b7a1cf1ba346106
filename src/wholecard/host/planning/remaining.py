"""What stays when a plan is applied: errors and warnings to read before that. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from wholecard.core import Finding, Plan, Severity
from wholecard.host.checks.registry import check
from wholecard.host.config_files import FileText, Settings
from wholecard.host.desired_state import DesiredState, desired_cards
from wholecard.host.facts.host import Host
from wholecard.host.operations.write_file import WriteFile

# A second owner of the same bindings, who keeps them after a rollback.
_NOTES = frozenset({"WC168"})
# The IOMMU, now and at the next boot, and the drivers: what the plan is there for. Of those
# `verify` says after the reboot whether they are as planned.
_CHANGED_BY_PLAN = frozenset({"WC101", "WC103", "WC105", "WC134"})
_ADDRESS = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}(?:\.[0-7])?")


def remaining(host: Host, desired: DesiredState, host_plan: Plan) -> list[Finding]:
    """The errors and warnings about the desired cards that stay when `host_plan` is applied.

    Each cause is there once, with all that it concerns as the subject.
    """
    planned = replace(host, settings=_as_planned(host.settings, host_plan))
    findings = check(planned, desired_cards(host, desired), desired=desired)
    return by_cause(
        finding
        for finding in findings
        if (finding.severity is not Severity.NOTE or finding.rule in _NOTES)
        and finding.rule not in _CHANGED_BY_PLAN
    )


def _as_planned(settings: Settings, host_plan: Plan) -> Settings:
    """The settings as the plan's files make them."""
    operations = (action.do for action in host_plan.actions)
    written = {do.path: do for do in operations if isinstance(do, WriteFile)}
    files = [file for file in settings.files if file.path not in written]
    files += [FileText(do.path, do.content, do.mode) for do in written.values()]
    return replace(settings, files=tuple(files))


def by_cause(findings: Iterable[Finding]) -> list[Finding]:
    """The findings, those as one that differ in nothing but the addresses of functions or cards."""
    alike: dict[tuple[object, ...], list[Finding]] = {}
    for finding in findings:
        texts = (finding.subject, finding.message, finding.fix)
        key = (finding.rule, finding.severity, *(_ADDRESS.sub("?", text) for text in texts))
        alike.setdefault(key, []).append(finding)
    return [_as_one(some) for some in alike.values()]


def _as_one(findings: list[Finding]) -> Finding:
    first, *others = findings
    subjects = [finding.subject for finding in others if finding.subject != first.subject]
    if not subjects:
        return first
    return replace(
        first,
        subject=", ".join([first.subject, *subjects]),
        message=f"{first.message} The same is true of {', '.join(subjects)}.",
    )
