"""Injected faults are found, each by its own rules and nothing else, alone and in pairs."""

from __future__ import annotations

from datetime import timedelta
from itertools import combinations, product

import pytest

from support.audit_faults import AUDIT_FAULTS, card_for
from support.audit_views import NOW, FixedViews, audit_cloud, look
from wholecard.audit.report import AuditReport
from wholecard.audit.request import AuditWatcher, audit_views

HOST = "gpu-01"
CLOUD = audit_cloud(2, cards=4, given=2)


def audited(views: FixedViews) -> AuditReport:
    """The audit of views that stay as they are, without the wait."""
    return audit_views(look(views), 60.0, AuditWatcher(), sleep=lambda seconds: None)


def rules(views: FixedViews) -> list[str]:
    report = audited(views)
    assert not report.in_flight
    return sorted(row.rule for row in report.disagreements)


@pytest.mark.parametrize("name", AUDIT_FAULTS)
def test_one(name: str) -> None:
    """A fault gives exactly one finding of each of its rules."""
    fault = AUDIT_FAULTS[name]
    views = fault.inject(CLOUD, HOST, card_for(fault, 0))
    report = audited(views)
    assert sorted(row.rule for row in report.disagreements) == sorted(fault.rules), [
        row.message for row in report.disagreements
    ]
    assert {row.host for row in report.disagreements} == {HOST}


@pytest.mark.parametrize("name", AUDIT_FAULTS)
def test_of_servers_that_changed_just_now(name: str) -> None:
    """A fault of a server that nova built or moved a moment ago is found by the second look: the
    first one does not pass over it."""
    fault = AUDIT_FAULTS[name]
    moment = NOW - timedelta(seconds=10)
    views = fault.inject(CLOUD, HOST, card_for(fault, 0))
    for server in views.cloud.instances:
        views = views.with_instance(server, updated_at=moment)
    report = audited(views)
    assert sorted(row.rule for row in report.disagreements) == sorted(fault.rules)


def test_pairs_on_two_cards() -> None:
    """Two faults on two cards of one host are both found, and nothing else."""
    for first, second in combinations(AUDIT_FAULTS.values(), 2):
        views = first.inject(CLOUD, HOST, card_for(first, 0))
        views = second.inject(views, HOST, card_for(second, 1))
        assert rules(views) == sorted([*first.rules, *second.rules])


# Faults in one layer exclude each other on one card; those of two layers do not.
LAYERS = (
    ("row of a deleted server", "row of an unknown server", "row on the old host",
     "half-deleted row", "second row"),
    ("allocation of nobody", "dead migration", "allocation on two hosts",
     "allocated without a row"),
    ("wrong parent", "wrong class", "wrong trait", "wrong total"),
    ("another model", "another type"),
    ("host driver", "no driver"),
    ("wrong NUMA node",),
    ("reserved",),
)  # fmt: skip


def test_pairs_on_one_card() -> None:
    """Two faults of different layers on the same card are both found, in either order."""
    for names, others in combinations(LAYERS, 2):
        for one, other in product(names, others):
            if {one, other} == {"reserved", "wrong total"}:
                continue  # A total of 2 with 1 reserved keeps nobody from the card.
            first, second = AUDIT_FAULTS[one], AUDIT_FAULTS[other]
            card = card_for(first, 0)
            views = second.inject(first.inject(CLOUD, HOST, card), HOST, card)
            back = first.inject(second.inject(CLOUD, HOST, card), HOST, card)
            expected = sorted([*first.rules, *second.rules])
            assert rules(views) == rules(back) == expected, (one, other)
