"""Tuning: which option each role gets in which release, and how it grows with the cloud."""

from __future__ import annotations

import pytest

from wholecard.core import UsageError
from wholecard.nova.desired.tuning import tuning
from wholecard.nova.options import ROLES

# Options of each role by the release that brings them: 8 cards on 6 hosts.
NAMES = [
    ("placement", 26, []),
    ("placement", 27, ["[placement] randomize_allocation_candidates = true"]),
    ("placement", 28, [
        "[placement] max_allocation_candidates = 100",
        "[placement] allocation_candidates_generation_strategy = breadth-first",
        "[placement] randomize_allocation_candidates = true",
    ]),
    ("placement", 34, [
        "[placement] max_allocation_candidates = 100",
        "[placement] allocation_candidates_generation_strategy = breadth-first",
        "[placement] randomize_allocation_candidates = true",
        "[workarounds] optimize_for_wide_provider_trees = true",
    ]),
    ("scheduler", 13, [
        "[DEFAULT] scheduler_host_subset_size = 6",
        "[DEFAULT] scheduler_max_attempts = 10",
    ]),
    ("scheduler", 15, [
        "[filter_scheduler] host_subset_size = 6",
        "[scheduler] max_attempts = 10",
    ]),
    ("scheduler", 17, [
        "[filter_scheduler] host_subset_size = 6",
        "[filter_scheduler] shuffle_best_same_weighed_hosts = true",
        "[scheduler] max_attempts = 10",
    ]),
    ("scheduler", 26, [
        "[filter_scheduler] host_subset_size = 6",
        "[filter_scheduler] shuffle_best_same_weighed_hosts = true",
        "[scheduler] max_attempts = 10",
    ]),
    ("scheduler", 34, [
        "[DEFAULT] executor_thread_pool_size = 1",
        "[filter_scheduler] shuffle_best_same_weighed_hosts = true",
        "[scheduler] max_attempts = 10",
        "[scheduler] workers = 2",
    ]),
    ("conductor", 14, ["[DEFAULT] scheduler_max_attempts = 10"]),
    ("conductor", 34, [
        "[DEFAULT] rpc_response_timeout = 300",
        "[scheduler] max_attempts = 10",
    ]),
    ("api", 34, []),
    ("compute", 34, []),
]  # fmt: skip


def lines(role: str, major: int, cards: int = 8, hosts: int = 6) -> list[str]:
    """The settings as they are written."""
    settings = tuning(role, major, cards, hosts, full=True)
    return [f"[{s.section}] {s.name} = {s.value}" for s in settings]


@pytest.mark.parametrize(("role", "major", "expected"), NAMES)
def test_options_of_a_release(role: str, major: int, expected: list[str]) -> None:
    """A role gets what its release knows, under the name of that release."""
    assert lines(role, major) == expected


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("major", range(13, 35))
def test_no_option_before_its_release(role: str, major: int) -> None:
    """No option is given to a release before the one it came with, and each has its reason."""
    settings = tuning(role, major, 8, 6, full=True)
    assert [one.name for one in settings if one.since > major or not one.reason] == []
    assert len({(one.section, one.name) for one in settings}) == len(settings)


@pytest.mark.parametrize(
    ("cards", "hosts", "expected"),
    [(8, 1, "100"), (8, 50, "400"), (16, 20, "320"), (8, 500, "1000")],
)
def test_candidates_grow_with_the_cloud(cards: int, hosts: int, expected: str) -> None:
    """There is room for every card of every host to be a candidate, up to nova's own 1000."""
    assert f"[placement] max_allocation_candidates = {expected}" in lines(
        "placement", 34, cards, hosts
    )


def test_one_card_on_a_host() -> None:
    """Without several cards on a host there is nothing to enumerate."""
    assert lines("placement", 34, cards=1) == ["[placement] randomize_allocation_candidates = true"]


def test_one_host() -> None:
    """Options that choose among hosts are left out where there is one."""
    assert lines("scheduler", 34, hosts=1) == [
        "[DEFAULT] executor_thread_pool_size = 1",
        "[scheduler] workers = 2",
    ]


@pytest.mark.parametrize(
    ("role", "major", "cards", "hosts"),
    [
        ("agent", 34, 8, 6),
        ("placement", 12, 8, 6),
        ("placement", 34, 0, 6),
        ("placement", 34, 8, 0),
    ],
)
def test_nonsense(role: str, major: int, cards: int, hosts: int) -> None:
    """What is no cloud is refused."""
    with pytest.raises(UsageError):
        tuning(role, major, cards, hosts)


@pytest.mark.parametrize("major", [16, 26, 27, 34])
def test_what_is_on_by_default(major: int) -> None:
    """Without `full` nothing is set that costs servers without cards something."""
    costly = {"executor_thread_pool_size", "workers", "rpc_response_timeout", "host_subset_size"}
    for role in ROLES:
        default = tuning(role, major, 8, 6)
        full = tuning(role, major, 8, 6, full=True)
        assert {one.name for one in full if one.cost} <= costly
        assert default == tuple(one for one in full if not one.cost)
    assert tuning("placement", major, 8, 6) == tuning("placement", major, 8, 6, full=True)
